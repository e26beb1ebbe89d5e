import { MemoryStore } from '../../db/memory-store.ts'
import type { Genesis } from '../../protocol/config.ts'
import type { Seq } from '../../protocol/types.ts'
import type { DatabaseState } from '../../replica/core/event.ts'
import type { Random } from './random.ts'

/** One replica's database server: survives its replica's crashes, and has its own. */
export class Database {
  readonly store: MemoryStore
  readonly #checkpointInterval: number
  up = true

  constructor(genesis: Genesis) {
    this.store = new MemoryStore({ genesis })
    this.#checkpointInterval = genesis.parameters.checkpointInterval
  }

  /** A new connection, and where it finds the database [D4]. */
  connect(): DatabaseState {
    const { lastExecuted, chain, lanes } = this.store.connectSync()
    const boundary = (lastExecuted - (lastExecuted % this.#checkpointInterval)) as Seq
    const rows = this.store.allRows().chain
    const checkpoint = rows[boundary - 1]
    return {
      lastExecuted,
      chain,
      batchDigest: rows[lastExecuted - 1]?.batchDigest ?? null,
      checkpoint: checkpoint === undefined ? null : { seq: boundary, chain: checkpoint.chain },
      lanes,
    }
  }

  /** The server dies: of what was committed and not yet durable an arbitrary end is lost. */
  crash(random: Random): void {
    this.up = false
    const { durableSeq, position } = this.store
    this.store.crash(random.int(durableSeq, position.lastExecuted) as Seq)
  }
}
