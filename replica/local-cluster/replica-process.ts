import { type ChildProcess, spawn } from 'node:child_process'
import { extname, join } from 'node:path'
import { createInterface } from 'node:readline'
import * as v from 'valibot'
import type { ControlAnswer, ControlCommand } from '../runtime/control.ts'

/** Its own end: log made durable, database stopped. */
const STOP_PATIENCE_MS = 30_000
/** A first start makes a database, which can't be stopped half-way without leaving what makes it behind. */
const START_PATIENCE_MS = 30_000
const LAST_WORDS_LINES_MAX = 10
/** One that stands still answers nothing. */
const ANSWER_PATIENCE_MS = 5_000

export type SpawnOptions = {
  /** Segments that are cut off the vote log are kept. */
  readonly archive?: boolean
  /** The replica takes commands, and ends when this process does. */
  readonly control?: boolean
  /** Messages around view changes go to a file of the bundle; with `traceAll` all of them do. */
  readonly trace?: boolean
  readonly traceAll?: boolean
  /** The vote log says beside itself what of it is synced. */
  readonly noteSynced?: boolean
  /** All of it; undefined: this process's own. */
  readonly environment?: NodeJS.ProcessEnv | undefined
  /** What it wants the operator to know although it serves. */
  readonly onNotice?: (text: string) => void
}

export type ReplicaExit = {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  /** What it wrote to stderr last; empty when it said nothing. */
  readonly lastWords: string
}

/** A replica did not do what it was told. */
export class ControlError extends Error {
  override name = 'ControlError'
}

/** A replica ended before it served. The message is what it said itself. */
export class ReplicaStartError extends Error {
  override name = 'ReplicaStartError'
}

/** One replica as a process of its own, which does not outlive `stop`. */
export class ReplicaProcess {
  readonly id: number
  readonly pid: number
  /** Resolves when it serves. @throws ReplicaStartError */
  readonly ready: Promise<void>
  readonly exited: Promise<ReplicaExit>
  readonly #child: ChildProcess
  readonly #onNotice: (text: string) => void
  #lastWords: string[] = []
  #isReady = false
  /** Who waits for an answer to a command, in order of the commands. */
  readonly #asked: ((answer: ControlAnswer) => void)[] = []

  private constructor(
    id: number,
    child: ChildProcess & { readonly pid: number },
    onNotice: (text: string) => void = () => undefined,
  ) {
    this.#onNotice = onNotice
    this.id = id
    this.pid = child.pid
    this.#child = child
    this.exited = new Promise((resolve) => {
      child.once('close', (code, signal) => resolve({ code, signal, lastWords: this.#lastWords.join('\n') }))
    })
    this.#listen(child)
    // A command to a replica that just died is answered by its end.
    child.stdin?.on('error', () => undefined)
    this.ready = this.#untilReady(child)
    // Whoever waits for `ready` hears of it; nobody has to.
    this.ready.catch(() => undefined)
  }

  /** @throws ReplicaStartError when there is no process at all */
  static async spawn(id: number, bundle: string, options: SpawnOptions = {}): Promise<ReplicaProcess> {
    // In a group of its own: Ctrl-C in a terminal reaches whoever runs the cluster, which then stops it in order.
    const child = spawn(process.execPath, [ENTRY_POINT, '--dir', bundle, ...flagsOf(options)], {
      detached: true,
      env: options.environment,
      stdio: [options.control === true ? 'pipe' : 'ignore', 'pipe', 'pipe'],
    })
    const { pid } = child
    if (pid !== undefined) return new ReplicaProcess(id, Object.assign(child, { pid }), options.onNotice)
    const error = await new Promise<Error>((resolve) => child.once('error', resolve))
    throw new ReplicaStartError(`replica ${id}: no process could be started: ${error.message}`)
  }

  #listen(child: ChildProcess): void {
    if (child.stderr === null) return
    createInterface({ input: child.stderr }).on('line', (line) => {
      if (line.startsWith('(')) return // Node's own warnings
      this.#lastWords.push(line.replace(/^replica: /, ''))
      this.#lastWords = this.#lastWords.slice(-LAST_WORDS_LINES_MAX)
    })
  }

  async #untilReady(child: ChildProcess): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    if (child.stdout !== null) {
      createInterface({ input: child.stdout }).on('line', (line) => {
        const said = v.safeParse(lineSchema, parseJson(line))
        if (!said.success) return
        if (said.output.notice !== undefined) this.#onNotice(said.output.notice)
        if (said.output.answer !== undefined) this.#asked.shift()?.(said.output.answer)
        if (said.output.ready !== true) return
        this.#isReady = true
        resolve()
      })
    }
    const ended = await Promise.race([promise, this.exited])
    if (ended !== undefined) {
      throw new ReplicaStartError(`replica ${this.id} did not start: ${describeExit(ended)}`)
    }
  }

  /** It serves, or did before it ended. */
  get isReady(): boolean {
    return this.#isReady
  }

  /**
   * One command; resolves when it is done.
   * @throws ControlError when the replica refuses it, ends before, or was started without `control`
   */
  async control(command: ControlCommand): Promise<void> {
    const { stdin } = this.#child
    const kind = `replica ${this.id}: ${command.kind}`
    if (stdin === null) throw new ControlError(`${kind}: it was started without control`)
    const { promise: answered, resolve } = Promise.withResolvers<ControlAnswer>()
    this.#asked.push(resolve)
    stdin.write(`${JSON.stringify(command)}\n`)
    const { promise: outOfPatience, resolve: giveUp } = Promise.withResolvers<ControlAnswer>()
    const error = `it does not answer within ${ANSWER_PATIENCE_MS} ms, and does it when it goes on`
    const timer = setTimeout(() => giveUp({ error }), ANSWER_PATIENCE_MS)
    const outcome = await Promise.race([answered, this.exited, outOfPatience])
    clearTimeout(timer)
    if ('error' in outcome) throw new ControlError(`${kind}: ${outcome.error}`)
    if (!('done' in outcome)) throw new ControlError(`${kind}: it ended: ${describeExit(outcome)}`)
  }

  /** Any end is fine; `exited` tells. */
  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  /** One that is on its way up gets there first. */
  async stop(): Promise<ReplicaExit> {
    const { promise: outOfPatience, resolve } = Promise.withResolvers<void>()
    const waiting = setTimeout(resolve, START_PATIENCE_MS)
    await Promise.race([this.ready.catch(() => undefined), this.exited, outOfPatience])
    clearTimeout(waiting)
    this.kill('SIGTERM')
    const timer = setTimeout(() => this.kill('SIGKILL'), STOP_PATIENCE_MS)
    const exit = await this.exited
    clearTimeout(timer)
    return exit
  }
}

export function describeExit({ code, signal, lastWords }: ReplicaExit): string {
  if (lastWords !== '') return lastWords
  return signal === null ? `exit code ${code}` : signal
}

function flagsOf({ archive, control, trace, traceAll, noteSynced }: SpawnOptions): string[] {
  const flags = {
    '--archive': archive,
    '--control': control,
    '--trace': trace,
    '--trace-all': traceAll,
    '--note-synced': noteSynced,
  }
  return Object.entries(flags).flatMap(([flag, isSet]) => (isSet === true ? [flag] : []))
}

/** What the entry point prints. */
const lineSchema = v.object({
  ready: v.optional(v.boolean()),
  notice: v.optional(v.string()),
  answer: v.optional(v.union([v.object({ done: v.literal(true) }), v.object({ error: v.string() })])),
})

function parseJson(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch {
    return undefined
  }
}

/** The sources in a checkout, the compiled file in an installed package. */
const ENTRY_POINT = join(import.meta.dirname, '..', 'runtime', `main${extname(import.meta.filename)}`)
