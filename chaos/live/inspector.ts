import { openConnection } from '../../client/connection.ts'
import type { ClusterFiles } from '../../client/files.ts'
import type { ChannelEvent } from '../../protocol/channel/endpoint.ts'
import { decodeMessage, encodeMessage, isMalformed } from '../../protocol/codec.ts'
import type { RunningEndpoint } from '../../protocol/endpoint-driver.ts'
import { parseReport, type ReplicaReport } from '../../protocol/inspection.ts'
import { replicaId } from '../../protocol/types.ts'

/** One question to all replicas, and who has answered it. */
type Look = {
  readonly nonce: number
  readonly awaited: Set<number>
  readonly reports: Map<number, ReplicaReport>
  readonly done: () => void
}

/** Asks replicas how they are, over one connection that stays open: a look costs one round trip. */
export class Inspector {
  readonly #replicas: readonly number[]
  readonly #looks = new Set<Look>()
  #endpoint: RunningEndpoint | undefined
  #nonce = 0

  private constructor(replicas: readonly number[]) {
    this.#replicas = replicas
  }

  static async open(files: ClusterFiles): Promise<Inspector> {
    const inspector = new Inspector(files.genesis.replicas.map(({ id }) => id))
    inspector.#endpoint = await openConnection(files, (events) => inspector.#onEvents(events))
    return inspector
  }

  /** Each replica's own word, unchecked; those that do not answer within `timeoutMs` are absent. */
  async reports(timeoutMs: number): Promise<ReadonlyMap<number, ReplicaReport>> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#nonce += 1
    const look: Look = {
      nonce: this.#nonce,
      awaited: new Set(this.#replicas),
      reports: new Map(),
      done: resolve,
    }
    this.#looks.add(look)
    for (const id of this.#replicas) this.#ask(id, look)
    const timer = setTimeout(resolve, timeoutMs)
    await promise
    clearTimeout(timer)
    this.#looks.delete(look)
    return new Map([...look.reports].sort(([a], [b]) => a - b))
  }

  /** One without a session is asked as soon as it has one. */
  #ask(id: number, { nonce }: Look): void {
    const peer = replicaId(id)
    if (this.#endpoint?.isUp(peer) !== true) return
    this.#endpoint.send(peer, encodeMessage({ type: 'inspect', nonce }))
  }

  #onEvents(events: readonly ChannelEvent[]): void {
    for (const event of events) {
      if (event.type === 'session-up') for (const look of this.#looks) this.#ask(event.peer, look)
      if (event.type === 'message') this.#onAnswer(event.from, event.message)
    }
  }

  #onAnswer(from: number, bytes: Uint8Array): void {
    const message = decodeMessage(bytes)
    if (isMalformed(message) || message.type !== 'inspection') return
    const report = parseReport(message.report)
    const look = [...this.#looks].find(({ nonce }) => nonce === message.nonce)
    if (report === undefined || look === undefined || !look.awaited.delete(from)) return
    look.reports.set(from, report)
    if (look.awaited.size === 0) look.done()
  }

  async close(): Promise<void> {
    await this.#endpoint?.close()
  }
}
