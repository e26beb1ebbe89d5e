import { replicaId } from '../../protocol/types.ts'
import { AnswerCheck } from './check/answer-check.ts'
import { HistoryCheck } from './check/history-check.ts'
import { PromiseCheck } from './check/promise-check.ts'
import type { Checks } from './checks.ts'
import { Clients } from './clients.ts'
import { fastSuite, realSuite } from './crypto.ts'
import { Disk } from './disk.ts'
import { EventQueue } from './event-queue.ts'
import { castOf } from './genesis.ts'
import { Happenings } from './happenings.ts'
import { Machine } from './machine.ts'
import { Nemesis } from './nemesis.ts'
import { Network } from './network.ts'
import type { Plan } from './plan.ts'
import type { Random } from './random.ts'
import type { Sabotage } from './sabotage.ts'
import { Trace } from './trace.ts'
import { Violation } from './violation.ts'
import type { World } from './world.ts'

/** Healed, every request must be over within so much simulated time, and then all replicas equal. */
const COMPLETE_MS_MAX = 60_000
const EQUAL_MS_MAX = 30_000
/** How often the end of a phase is looked for. */
const LOOK_US = 5_000

/** One cluster, its clients and its faults, from the first event to the last. */
export class Simulation {
  readonly world: World
  readonly machines: readonly Machine[]
  readonly clients: Clients
  readonly #checks: Checks

  constructor(args: {
    readonly plan: Plan
    readonly random: Random
    readonly verbose: boolean
    readonly sabotage: Sabotage
  }) {
    const { plan, random, sabotage } = args
    const queue = new EventQueue()
    const trace = new Trace(args.verbose)
    const happenings = new Happenings()
    const network = new Network({ plan, queue, random, trace, happenings })
    const cast = castOf(plan, plan.realCrypto ? realSuite : fastSuite, random)
    this.world = { plan, cast, random, queue, network, trace, happenings }
    const disks = cast.genesis.replicas.map(() => new Disk(random, sabotage.fsyncLies === true))
    const history = new HistoryCheck(cast.genesis, happenings)
    this.#checks = {
      history,
      promises: disks.map((disk, replica) => new PromiseCheck(replicaId(replica), disk)),
      answers: new AnswerCheck(history),
      isIdle: () => this.clients.outstanding === 0,
    }
    this.machines = disks.map(
      (disk, replica) => new Machine({ world: this.world, replica, disk, checks: this.#checks, sabotage }),
    )
    this.clients = new Clients(this.world, this.#checks)
  }

  /** @throws Violation */
  run(): void {
    const { queue, plan } = this.world
    for (const machine of this.machines) machine.start()
    this.clients.start()
    const nemesis = new Nemesis(this.world, this.machines, this.clients)
    this.#runUntil(() => this.clients.outstanding === 0, plan.faultsUntilMs)
    this.#note('heals')
    nemesis.heal()
    const completeBy = queue.nowUs / 1000 + COMPLETE_MS_MAX
    if (!this.#runUntil(() => this.clients.outstanding === 0, completeBy)) {
      throw new Violation(
        'stuck',
        `healed, and not complete: ${this.clients.describeOutstanding()}; ${this.#where()}`,
      )
    }
    this.#note('is idle')
    if (!this.#runUntil(() => this.#areLevel(), queue.nowUs / 1000 + EQUAL_MS_MAX)) {
      throw new Violation('not-equal', `idle, and not level: ${this.#where()}`)
    }
    this.#checkRows()
  }

  /** Runs events until `done`, which is looked at every few milliseconds; false when the time is over. */
  #runUntil(done: () => boolean, endMs: number): boolean {
    const { queue } = this.world
    let lookAtUs = queue.nowUs
    while (queue.nowUs < endMs * 1000) {
      if (queue.nowUs >= lookAtUs) {
        if (done()) return true
        lookAtUs = queue.nowUs + LOOK_US
      }
      if (!queue.runNext()) return done()
    }
    return done()
  }

  #areLevel(): boolean {
    const { height } = this.#checks.history
    return this.machines.every(
      ({ process, database }) =>
        process?.position.lastExecuted === height && database.store.position.lastExecuted === height,
    )
  }

  /** Every row of every table, against the model. */
  #checkRows(): void {
    const text = (machine: { allRows(): object }): string =>
      JSON.stringify(machine.allRows(), (_, value: unknown) =>
        typeof value === 'bigint' ? `${value}` : value,
      )
    const wanted = text(this.#checks.history.model)
    for (const { replica, database } of this.machines) {
      if (text(database.store) !== wanted) {
        throw new Violation('not-equal', `the rows of replica ${replica} differ from the model's`)
      }
    }
  }

  /** Per replica, where it stands. */
  #where(): string {
    const positions = this.machines.map(({ replica, process }) => {
      if (process === null) return `r${replica} down`
      const { lastExecuted, frontier, lowWaterMark, nextSeq, slots } = process.position
      return `r${replica} executed ${lastExecuted} committed ${frontier} low ${lowWaterMark} next ${nextSeq} slots ${slots}`
    })
    return `agreed ${this.#checks.history.height}; ${positions.join('; ')}`
  }

  #note(what: string): void {
    const { trace, queue } = this.world
    if (trace.verbose) trace.line(queue.nowUs, `-- the cluster ${what}`)
  }

  get height(): number {
    return this.#checks.history.height
  }
}
