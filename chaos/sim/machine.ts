import type { Evidence } from '../../protocol/messages.ts'
import { type ReplicaId, replicaId } from '../../protocol/types.ts'
import { adversaryOf } from '../../replica/byzantine/adversary.ts'
import type { Behaviour } from '../../replica/byzantine/behaviour.ts'
import { seqOfRecord } from '../../replica/core/vote-record.ts'
import type { Adversary } from '../../replica/runtime/adversary.ts'
import type { FailpointHook } from '../../replica/runtime/failpoints.ts'
import type { Checks } from './checks.ts'
import { Clock } from './clock.ts'
import { coreCryptoOf } from './core-crypto.ts'
import { Database } from './database.ts'
import type { Disk } from './disk.ts'
import { Failpoints } from './failpoints.ts'
import { coreConfigOf } from './genesis.ts'
import { ReplicaProcess } from './replica-process.ts'
import type { Sabotage } from './sabotage.ts'
import { Violation } from './violation.ts'
import type { World } from './world.ts'

/** One replica's host: its disk, its database and its clock stay; its processes come and go. */
export class Machine {
  readonly replica: ReplicaId
  readonly disk: Disk
  readonly database: Database
  readonly clock: Clock
  readonly behaviours: readonly Behaviour[]
  /** Null for a correct replica. It outlives the processes. */
  adversary: Adversary | null = null
  readonly failpoints = new Failpoints()
  readonly failpointHook: FailpointHook
  readonly #world: World
  readonly #checks: Checks
  readonly #sabotage: Sabotage
  process: ReplicaProcess | null = null
  /** Why its replica stopped for good, by itself. */
  halted: string | null = null
  /** What its database held before it was lost; until it is back, nothing there says what is durable. */
  #lostSeq = 0
  /** [EV3] What its replica keeps against others. */
  readonly evidence: Evidence[] = []
  /** How far it executed while rows were wrong. */
  #wrongUpTo = 0
  /** A row was changed by hand and the replica has not repaired it. */
  isTampered = false

  constructor(args: {
    readonly world: World
    readonly replica: number
    readonly disk: Disk
    readonly checks: Checks
    readonly sabotage: Sabotage
  }) {
    const { plan, queue, cast } = args.world
    this.#world = args.world
    this.replica = replicaId(args.replica)
    this.disk = args.disk
    this.database = new Database(cast.genesis)
    this.clock = new Clock(queue, plan.processes.clockRates[args.replica])
    this.failpointHook = plan.faults.includes('failpoint')
      ? (point) => this.failpoints.pass(point)
      : undefined
    this.#checks = args.checks
    this.#sabotage = args.sabotage
    const planned = plan.liars.find(({ replica }) => replica === args.replica)
    this.behaviours = planned?.behaviours ?? []
    if (planned !== undefined) this.corrupt()
  }

  /** While it is down: a process is correct, or a liar, for as long as it runs. */
  corrupt(): void {
    if (this.process !== null) throw new Error('a running replica is made a liar')
    this.adversary ??= this.#adversaryIn(this.#world)
  }

  #adversaryIn({ cast, plan, random, happenings }: World): Adversary {
    const config = coreConfigOf(cast.genesis, plan, this.replica)
    const crypto = coreCryptoOf(cast, this.replica)
    const liar = { config, crypto, random: () => random.float() }
    return counted(this.#sabotage.liar?.(liar) ?? adversaryOf(this.behaviours, liar), () =>
      happenings.count('lie told'),
    )
  }

  /** Starts a process on what the disk and the database hold. The database must be up. */
  start(): void {
    if (this.process !== null || this.halted !== null || !this.database.up) return
    const recovered = this.disk.recover()
    const { happenings } = this.#world
    if (recovered.tornBytes > 0) happenings.count('torn tail cut')
    if (recovered.lost !== null) happenings.count('vote log replaced')
    const promises = this.#checks.promisesOf(this.replica)
    if (recovered.lost !== null) {
      promises?.onLost()
      this.#checks.certified.onLost(this.replica)
    }
    const votes = this.#sabotage.recovered?.(this.replica, recovered.votes) ?? recovered.votes
    promises?.onRecovered(recovered.votes)
    this.#checks.observer.onStart(recovered.votes)
    const highest = votes.reduce((seq, record) => Math.max(seq, seqOfRecord(record)), 0)
    this.#note(
      `starts: ${votes.length} records up to ${highest}${recovered.lost === null ? '' : ', amnesiac'}`,
    )
    this.process = new ReplicaProcess({
      world: this.#world,
      machine: this,
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
    const { process } = this
    process?.kill()
    this.disk.cutPower(this.#world.random, process?.underWay ?? [])
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

  /** The replica is down; its vote log is gone, or unreadable before its end [D5]. */
  loseLog(): void {
    this.kill()
    const { random, happenings } = this.#world
    if (random.chance(0.5) && this.disk.flipBit(random)) this.#note('has a bit of its vote log flip')
    else {
      this.#note('loses its vote log')
      this.disk.lose()
    }
    happenings.count('vote log damaged or lost')
  }

  /** The replica is down; its database is empty again. */
  wipeDatabase(): void {
    this.kill()
    this.#note('loses its database')
    this.#lostSeq = this.database.store.position.lastExecuted
    this.database.wipe()
    this.#endTampering()
    this.#world.happenings.count('database lost')
  }

  /** Its database was lost and is not as far as it was. */
  get isBehindLoss(): boolean {
    return this.database.store.durableSeq < this.#lostSeq
  }

  onTampered(way: string): void {
    this.#note(`has a row tampered with: ${way}`)
    this.isTampered = true
    this.#world.happenings.count('row changed by hand')
  }

  onRepaired(): void {
    this.#endTampering()
  }

  #endTampering(): void {
    const { lastExecuted } = this.database.store.position
    if (this.isTampered) this.#wrongUpTo = Math.max(this.#wrongUpTo, this.#lostSeq, lastExecuted)
    this.isTampered = false
  }

  /** [CP6] It may have signed CHECKPOINTs of wrong rows, and signs no others for those seqs: until h is past them. */
  get hasSignedWrong(): boolean {
    const { checkpointInterval } = this.#world.plan.cluster
    const lastSigned = this.#wrongUpTo - (this.#wrongUpTo % checkpointInterval)
    return (this.process?.position.lowWaterMark ?? 0) < lastSigned
  }

  /** Only a liar, who contradicts itself, may have a reason to stop. */
  onHalt(why: string): void {
    if (this.adversary === null) throw new Violation('halted', `replica ${this.replica}: ${why}`)
    this.#world.happenings.count('liar halted')
    this.halted = why
    this.kill()
  }

  #note(what: string): void {
    const { trace, queue } = this.#world
    if (trace.verbose) trace.line(queue.nowUs, `r${this.replica} ${what}`)
  }
}

/** Says of each step and each message whether it is not what its honest core would have made of it. */
function counted(adversary: Adversary, onLie: () => void): Adversary {
  return {
    hears: (from, message) => {
      const hears = adversary.hears(from, message)
      if (!hears) onLie()
      return hears
    },
    effects: (effects) => {
      const told = adversary.effects(effects)
      if (told.length !== effects.length || told.some((effect, at) => effect !== effects[at])) onLie()
      return told
    },
    wire: (to, message, packets) => {
      const told = adversary.wire(to, message, packets)
      if (told !== packets) onLie()
      return told
    },
  }
}
