import { closeSync, openSync, statSync, writeSync } from 'node:fs'
import type { Message } from '../../protocol/messages.ts'
import type { PrincipalId } from '../../protocol/types.ts'
import type { Observation } from '../core/effect.ts'

/** Messages remembered while nothing happens. */
const RING_MAX = 2_000
/** After a view was entered the trace goes on for so many messages or so long, whatever ends first. */
const AFTER_MESSAGES_MAX = 400
const AFTER_MS = 500
/** Of the file, over all starts of the replica. */
const FILE_BYTES_MAX = 16 * 1024 * 1024
/** Lines gathered before they are written. */
const PENDING_MAX = 256
const DIGEST_CHARACTERS = 8

export type Traced = {
  /** Wall clock of the machine, ms since 1970: lines of several replicas are merged by it. */
  readonly atMs: number
  readonly direction: 'sent' | 'received'
  /** The principal it went to, or came from. */
  readonly peer: number
  readonly type: Message['type']
  readonly view?: number
  readonly seq?: number
  /** The first characters of what it is about. */
  readonly digest?: string
}

/** A line of messages.jsonl. */
export type TraceLine =
  | Traced
  | { readonly atMs: number; readonly event: 'view-change-started' | 'view-entered'; readonly view: number }
  /** Nothing more is written: the file has its full size. */
  | { readonly atMs: number; readonly event: 'full' }

/**
 * What a replica sent and received, all of it or around its view changes: what was remembered when one starts, and everything until
 * shortly after a view was entered. Bounded in memory and on disk.
 */
export class MessageTrace {
  readonly #write: (text: string) => void
  readonly #nowMs: () => number
  /** Not only around view changes. */
  readonly #everything: boolean
  #ring: Traced[] = []
  /** Where the ring's oldest entry is, once it is full. */
  #oldest = 0
  #recording: { untilMs: number; messagesLeft: number } | null = null
  #pending: string[] = []
  #bytesLeft: number

  /** @param nowMs wall clock */
  constructor(args: {
    readonly write: (text: string) => void
    readonly nowMs: () => number
    readonly bytesMax: number
    readonly everything?: boolean
  }) {
    this.#write = args.write
    this.#nowMs = args.nowMs
    this.#bytesLeft = args.bytesMax
    this.#everything = args.everything === true
  }

  /** Appends to `path`. `everything`: all messages, soon after they were sent or received. */
  static toFile(
    path: string,
    { everything = false }: { readonly everything?: boolean } = {},
  ): MessageTrace & { close(): void } {
    const file = openSync(path, 'a', 0o644)
    const trace = new MessageTrace({
      write: (text) => writeSync(file, text),
      nowMs: () => performance.timeOrigin + performance.now(),
      bytesMax: Math.max(0, FILE_BYTES_MAX - statSync(path).size),
      everything,
    })
    const close = () => {
      trace.flush()
      closeSync(file)
    }
    return Object.assign(trace, { close })
  }

  message(direction: Traced['direction'], peer: PrincipalId, message: Message): void {
    const traced = { atMs: this.#nowMs(), direction, peer, ...summaryOf(message) }
    if (this.#everything) return this.#say(traced)
    const recording = this.#recording
    if (recording === null) return this.#remember(traced)
    this.#say(traced)
    recording.messagesLeft -= 1
    if (recording.messagesLeft <= 0 || traced.atMs >= recording.untilMs) this.#stop()
  }

  observe(what: Observation): void {
    if (what.kind !== 'view-change-started' && what.kind !== 'view-entered') return
    if (this.#recording === null) this.#sayRemembered()
    const isOver = what.kind === 'view-entered'
    this.#recording = {
      untilMs: isOver ? this.#nowMs() + AFTER_MS : Number.POSITIVE_INFINITY,
      messagesLeft: isOver ? AFTER_MESSAGES_MAX : Number.POSITIVE_INFINITY,
    }
    this.#say({ atMs: this.#nowMs(), event: what.kind, view: what.view })
    this.flush()
  }

  /** What was gathered is written. */
  flush(): void {
    if (this.#pending.length > 0) this.#write(this.#pending.join(''))
    this.#pending = []
  }

  #remember(traced: Traced): void {
    if (this.#ring.length < RING_MAX) {
      this.#ring.push(traced)
      return
    }
    this.#ring[this.#oldest] = traced
    this.#oldest = (this.#oldest + 1) % RING_MAX
  }

  #sayRemembered(): void {
    for (const traced of this.#ring.slice(this.#oldest)) this.#say(traced)
    for (const traced of this.#ring.slice(0, this.#oldest)) this.#say(traced)
    this.#ring = []
    this.#oldest = 0
  }

  #stop(): void {
    this.#recording = null
    this.flush()
  }

  #say(line: TraceLine): void {
    if (this.#bytesLeft <= 0) return
    const text = `${JSON.stringify(line)}\n`
    this.#bytesLeft -= text.length
    if (this.#bytesLeft <= 0) this.#pending.push(`${JSON.stringify({ atMs: line.atMs, event: 'full' })}\n`)
    else this.#pending.push(text)
    if (this.#pending.length >= PENDING_MAX) this.flush()
    else if (this.#everything && this.#pending.length === 1) setImmediate(() => this.flush())
  }
}

/** What a line says of a message. */
export function summaryOf(message: Message): Pick<Traced, 'type' | 'view' | 'seq' | 'digest'> {
  const { type } = message
  switch (message.type) {
    case 'pre-prepare': {
      const { view, seq, digest } = message.header
      return { type, view, seq, digest: short(digest) }
    }
    case 'prepare':
    case 'commit':
    case 'committed':
      return { type, view: message.view, seq: message.seq, digest: short(message.digest) }
    case 'view-change':
      return { type, view: message.newView, seq: message.lowWaterMark, digest: short(message.digest) }
    case 'new-view':
      return { type, view: message.view, digest: short(message.digest) }
    case 'checkpoint':
      return { type, seq: message.seq, digest: short(message.stateRoot) }
    case 'status':
      return { type, view: message.view, seq: message.lastExecuted }
    case 'request':
      return { type, digest: short(message.digest) }
    case 'reply':
      return { type, digest: short(message.requestDigest) }
    case 'fetch-batch':
      return { type, seq: message.seq, digest: short(message.digest) }
    default:
      return { type }
  }
}

const short = (digest: string): string => digest.slice(0, DIGEST_CHARACTERS)
