import { decodeRows } from '../../db/state-tree/partition-node.ts'
import type { Store } from '../../db/store.ts'
import { assertNever } from '../../protocol/types.ts'
import type { Event } from '../core/event.ts'
import type { StateEffect } from './engine.ts'
import type { Executor } from './executor.ts'
import type { FailpointHook } from './failpoints.ts'

type Of<T extends StateEffect['type']> = Extract<StateEffect, { type: T }>

/** What of a state came from others: rows of replicated tables, and sequence numbers of history. */
export type Fetched = { readonly rows: number; readonly history: number }

/**
 * [CP3] [CP4] The core's wishes about states, performed on the store: what changes rows between runs, in order;
 * what only reads beside them.
 */
export class StateWork {
  readonly #store: Store
  readonly #executor: Executor
  readonly #onEvent: (event: Event) => void
  readonly #guard: (work: Promise<void>) => void
  readonly #failpoint: FailpointHook
  /** A transfer that a lost connection ended takes no more. */
  #begun = false
  #fetched: Fetched = { rows: 0, history: 0 }

  constructor(args: {
    readonly store: Store
    readonly executor: Executor
    readonly onEvent: (event: Event) => void
    /** Takes what may fail for good. */
    readonly guard: (work: Promise<void>) => void
    readonly failpoint?: FailpointHook
  }) {
    this.#store = args.store
    this.#executor = args.executor
    this.#onEvent = args.onEvent
    this.#guard = args.guard
    this.#failpoint = args.failpoint
  }

  perform(effect: StateEffect): void {
    switch (effect.type) {
      case 'take-checkpoint':
        return this.#executor.betweenRuns(() => this.#executor.hold())
      case 'keep-checkpoints':
        return this.#store.keepCheckpoints(effect.seqs)
      case 'read-partitions':
        return this.#guard(this.#readPartitions(effect))
      case 'read-history':
        return this.#guard(this.#readHistory(effect))
      case 'begin-transfer':
        this.#executor.suspend()
        return this.#executor.betweenRuns(() => this.#begin(effect))
      case 'stage-partition':
        return this.#inTransfer(() => this.#stagePartition(effect))
      case 'stage-history':
        return this.#inTransfer(() => this.#stageHistory(effect))
      case 'install-transfer':
        return this.#inTransfer(() => this.#install())
      case 'cancel-transfer':
        this.#inTransfer(() => this.#cancel())
        return this.#executor.resume()
      default:
        return assertNever(effect)
    }
  }

  /** Since the last time that this was asked: a transfer that moves on keeps what came before. */
  takeFetched(): Fetched {
    const fetched = this.#fetched
    this.#fetched = { rows: 0, history: 0 }
    return fetched
  }

  /** The connection is gone: nothing more of this transfer until it is begun again. */
  onDisconnected(): void {
    this.#begun = false
  }

  #inTransfer(work: () => Promise<void>): void {
    this.#executor.betweenRuns(() => (this.#begun ? work() : Promise.resolve()))
  }

  async #begin({ seq, stateRoot, chain, rescan }: Of<'begin-transfer'>): Promise<void> {
    const { partitions, history } = await this.#store.beginTransfer({ seq, stateRoot, chain }, { rescan })
    this.#begun = true
    this.#onEvent({ type: 'transfer-begun', seq, partitions, history })
  }

  async #stagePartition({ partition, node }: Of<'stage-partition'>): Promise<void> {
    const wants = await this.#store.stagePartition(partition, node)
    const rows = node.kind === 'rows' ? (decodeRows(node.rows, partition)?.length ?? 0) : 0
    this.#fetched = { ...this.#fetched, rows: this.#fetched.rows + rows }
    this.#onEvent({ type: 'partition-staged', partition, wants })
  }

  async #stageHistory({ entries }: Of<'stage-history'>): Promise<void> {
    const lowest = entries.at(-1)?.seq
    if (lowest === undefined) return
    const isComplete = await this.#store.stageHistory(entries)
    this.#fetched = { ...this.#fetched, history: this.#fetched.history + entries.length }
    this.#onEvent({ type: 'history-staged', lowest, isComplete })
  }

  async #install(): Promise<void> {
    this.#failpoint?.('before-install')
    const { repaired, ...connected } = await this.#store.installTransfer()
    this.#failpoint?.('after-install')
    this.#begun = false
    const database = await this.#executor.installed(connected)
    this.#onEvent({ type: 'state-installed', database, repaired })
    await this.#executor.holdIfDue()
  }

  async #cancel(): Promise<void> {
    this.#begun = false
    this.takeFetched()
    await this.#store.cancelTransfer()
  }

  async #readPartitions({ reader, seq, partitions, bytesMax }: Of<'read-partitions'>): Promise<void> {
    const nodes = await this.#executor.beside((store) => store.readPartitions(seq, { partitions, bytesMax }))
    this.#onEvent({ type: 'partitions-read', reader, seq, nodes: nodes ?? null })
  }

  async #readHistory({ reader, upTo, bytesMax }: Of<'read-history'>): Promise<void> {
    const entries = await this.#executor.beside((store) => store.readHistory({ upTo, bytesMax }))
    this.#onEvent({ type: 'history-read', reader, upTo, entries: entries ?? [] })
  }
}
