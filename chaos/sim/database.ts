import { MemoryStore } from '../../db/memory-store.ts'
import type { Connected } from '../../db/store.ts'
import { type Genesis, logWindowOf } from '../../protocol/config.ts'
import type { Seq } from '../../protocol/types.ts'
import type { DatabaseState } from '../../replica/core/event.ts'
import type { Random } from './random.ts'

/** One replica's database server: survives its replica's crashes, and has its own. */
export class Database {
  readonly store: MemoryStore
  readonly #checkpointInterval: number
  readonly #logWindow: number
  up = true

  constructor(genesis: Genesis) {
    this.store = new MemoryStore({ genesis })
    this.#checkpointInterval = genesis.parameters.checkpointInterval
    this.#logWindow = logWindowOf(genesis.parameters)
  }

  /** A new connection, and where it finds the database [D4]. */
  connect(): DatabaseState {
    return this.describe(this.store.connectSync())
  }

  describe({ lastExecuted, chain, lanes, incarnations }: Connected): DatabaseState {
    const boundary = (lastExecuted - (lastExecuted % this.#checkpointInterval)) as Seq
    const checkpoint = this.store.chainAtSync(boundary)
    return {
      lastExecuted,
      chain,
      recent: this.#recent(lastExecuted),
      checkpoint: checkpoint === undefined ? null : { seq: boundary, chain: checkpoint.chain },
      lanes,
      incarnations,
    }
  }

  #recent(lastExecuted: Seq): DatabaseState['recent'] {
    const first = Math.max(1, lastExecuted - this.#logWindow + 1)
    return Array.from({ length: lastExecuted - first + 1 }, (_, index) => {
      const row = this.store.chainAtSync((first + index) as Seq)
      if (row === undefined) throw new Error(`no chain row at ${first + index}`)
      return { seq: row.seq, batchDigest: row.batchDigest }
    })
  }

  /** Everything in it is gone: what starts on it finds genesis. */
  wipe(): void {
    this.store.wipe()
  }

  /** The server dies: of what was committed and not yet durable an arbitrary end is lost. */
  crash(random: Random): void {
    this.up = false
    const { durableSeq, position } = this.store
    this.store.crash(random.int(durableSeq, position.lastExecuted) as Seq)
  }
}
