import { MemoryStore } from '../../db/memory-store.ts'
import { StoreError } from '../../db/store.ts'
import { type Genesis, logWindowOf } from '../../protocol/config.ts'
import type { Digest, Seq } from '../../protocol/types.ts'
import { assertNever } from '../../protocol/types.ts'
import type { Effect } from '../../replica/core/effect.ts'
import type { DatabaseState, Event } from '../../replica/core/event.ts'

type Of<T extends Effect['type']> = Extract<Effect, { type: T }>

/** What only the database answers. */
export type StateEffect = Of<
  | 'take-checkpoint'
  | 'keep-checkpoints'
  | 'read-partitions'
  | 'read-history'
  | 'begin-transfer'
  | 'stage-partition'
  | 'stage-history'
  | 'install-transfer'
  | 'cancel-transfer'
>

/** One replica's database as its core sees it: a real memory store, and what the runtime's executor does of itself. */
export class Database {
  readonly store: MemoryStore
  /** While true, what it reports has another chain than it should: its state diverged. */
  diverged = false
  readonly #k: number
  readonly #logWindow: number
  /** [CP4] [CP6] Nothing is executed: a transfer is under way, or rows were changed behind its back. */
  #suspended = false

  constructor(genesis: Genesis) {
    this.store = new MemoryStore({ genesis })
    this.#k = genesis.parameters.checkpointInterval
    this.#logWindow = logWindowOf(genesis.parameters)
  }

  /** Where it stands, as it says itself on a new connection. */
  connect(): DatabaseState {
    this.#suspended = false
    return this.#describe(this.store.connectSync())
  }

  /** The server crashes and loses what was not durable above `keep`. */
  crash(keep: Seq): void {
    this.store.crash(keep)
    this.#suspended = false
  }

  execute({ seq, batch }: Of<'execute'>): Event[] {
    if (this.#suspended) return []
    try {
      const durable = seq % this.#k === 0
      const events = this.store
        .executeSync([{ seq, batch }], { durable })
        .map((executed): Event => ({ type: 'executed', ...executed, chain: this.#told(executed.chain) }))
      return durable ? [...events, this.takeCheckpoint()] : events
    } catch (error) {
      if (!(error instanceof StoreError) || error.code !== 'tampered') throw error
      this.#suspended = true
      return [{ type: 'rows-mismatched', rows: error.rows }]
    }
  }

  takeCheckpoint(): Event {
    const { lastExecuted, chain, stateRoot } = this.store.takeCheckpointSync()
    return { type: 'checkpoint-taken', seq: lastExecuted, stateRoot, chain: this.#told(chain) }
  }

  /** [CP6] Reads every row again. */
  scrub(): Event[] {
    const rows = this.store.scrubSync({ share: 1 })
    return rows.length === 0 ? [] : [{ type: 'rows-mismatched', rows }]
  }

  state(effect: StateEffect): Event[] {
    const { store } = this
    switch (effect.type) {
      case 'take-checkpoint':
        return [this.takeCheckpoint()]
      case 'keep-checkpoints':
        store.keepCheckpoints(effect.seqs)
        return []
      case 'read-partitions': {
        const { reader, seq } = effect
        const nodes = store.readPartitionsSync(seq, effect) ?? null
        return [{ type: 'partitions-read', reader, seq, nodes }]
      }
      case 'read-history': {
        const { reader, upTo } = effect
        return [{ type: 'history-read', reader, upTo, entries: store.readHistorySync(effect) }]
      }
      case 'begin-transfer': {
        this.#suspended = true
        const { seq } = effect
        return [{ type: 'transfer-begun', seq, ...store.beginTransferSync(effect, effect) }]
      }
      case 'stage-partition': {
        const { partition, node } = effect
        return [{ type: 'partition-staged', partition, wants: store.stagePartitionSync(partition, node) }]
      }
      case 'stage-history': {
        const lowest = effect.entries.at(-1)?.seq ?? (0 as Seq)
        return [{ type: 'history-staged', lowest, isComplete: store.stageHistorySync(effect.entries) }]
      }
      case 'install-transfer':
        return this.#install()
      case 'cancel-transfer':
        this.#suspended = false
        store.cancelTransferSync()
        return []
      default:
        return assertNever(effect)
    }
  }

  #install(): Event[] {
    const installed = this.store.installTransferSync()
    this.#suspended = false
    const { repaired, lastExecuted } = installed
    const events: Event[] = [{ type: 'state-installed', database: this.#describe(installed), repaired }]
    return lastExecuted > 0 && lastExecuted % this.#k === 0 ? [...events, this.takeCheckpoint()] : events
  }

  #describe({
    lastExecuted,
    chain,
    lanes,
    incarnations,
  }: Pick<DatabaseState, 'lastExecuted' | 'chain' | 'lanes' | 'incarnations'>): DatabaseState {
    const rows = this.store.allRows().chain
    const boundary = (lastExecuted - (lastExecuted % this.#k)) as Seq
    const checkpoint = rows[boundary - 1]
    return {
      lastExecuted,
      chain,
      recent: rows.slice(-this.#logWindow).map(({ seq, batchDigest }) => ({ seq, batchDigest })),
      checkpoint: checkpoint === undefined ? null : { seq: boundary, chain: checkpoint.chain },
      lanes,
      incarnations,
    }
  }

  #told(chain: Digest): Digest {
    if (!this.diverged) return chain
    return `${chain.startsWith('0') ? 'f' : '0'}${chain.slice(1)}` as Digest
  }
}
