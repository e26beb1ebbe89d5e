import { type ReplicaId, replicaId } from '../../protocol/types.ts'
import { seqOfRecord } from '../../replica/core/vote-record.ts'
import type { Checks } from './checks.ts'
import { Database } from './database.ts'
import type { Disk } from './disk.ts'
import { ReplicaProcess } from './replica-process.ts'
import type { Sabotage } from './sabotage.ts'
import type { World } from './world.ts'

/** One replica's host: its disk and its database stay; its processes come and go. */
export class Machine {
  readonly replica: ReplicaId
  readonly disk: Disk
  readonly database: Database
  readonly #world: World
  readonly #checks: Checks
  readonly #sabotage: Sabotage
  process: ReplicaProcess | null = null

  constructor(args: {
    readonly world: World
    readonly replica: number
    readonly disk: Disk
    readonly checks: Checks
    readonly sabotage: Sabotage
  }) {
    this.#world = args.world
    this.replica = replicaId(args.replica)
    this.disk = args.disk
    this.database = new Database(args.world.cast.genesis)
    this.#checks = args.checks
    this.#sabotage = args.sabotage
  }

  /** Starts a process on what the disk and the database hold. The database must be up. */
  start(): void {
    if (this.process !== null || !this.database.up) return
    const recovered = this.disk.recover()
    const votes = this.#sabotage.recovered?.(this.replica, recovered.votes) ?? recovered.votes
    if (recovered.tornBytes > 0) this.#world.happenings.count('torn tail cut')
    this.#checks.promises[this.replica]?.onRecovered(recovered.votes)
    const { trace, queue } = this.#world
    if (trace.verbose) {
      const highest = votes.reduce((seq, record) => Math.max(seq, seqOfRecord(record)), 0)
      trace.line(queue.nowUs, `r${this.replica} starts: ${votes.length} records up to ${highest}`)
    }
    this.process = new ReplicaProcess({
      world: this.#world,
      replica: this.replica,
      disk: this.disk,
      database: this.database,
      votes,
      checks: this.#checks,
      sabotage: this.#sabotage,
    })
    this.process.start()
  }

  /** kill -9 of the replica; its database goes on. */
  kill(): void {
    const { process } = this
    if (process === null) return
    this.#note('is killed')
    process.kill()
    this.disk.kill(this.#world.random, process.underWay)
    this.process = null
  }

  /** The machine goes dark, with the database on it. */
  cutPower(): void {
    this.#note('loses power')
    this.process?.kill()
    this.disk.cutPower(this.#world.random, this.process?.underWay ?? [])
    this.process = null
    if (this.database.up) this.database.crash(this.#world.random)
  }

  restorePower(): void {
    this.database.up = true
    this.start()
  }

  /** The database restarts under a running replica; a mere loss of the connection loses nothing. */
  loseDatabase({ crash, downUs }: { readonly crash: boolean; readonly downUs: number }): void {
    if (!this.database.up) return
    this.#note(crash ? 'has its database crash' : 'loses its database connection')
    this.process?.loseDatabase()
    if (!crash) return
    this.database.crash(this.#world.random)
    this.#world.queue.after(downUs, () => {
      this.database.up = true
    })
  }

  #note(what: string): void {
    const { trace, queue } = this.#world
    if (trace.verbose) trace.line(queue.nowUs, `r${this.replica} ${what}`)
  }
}
