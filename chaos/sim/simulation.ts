import { logWindowOf } from '../../protocol/config.ts'
import { quorumOf } from '../../protocol/quorum.ts'
import { replicaId } from '../../protocol/types.ts'
import { formatBehaviours } from '../../replica/byzantine/behaviour.ts'
import { AnswerCheck } from './check/answer-check.ts'
import { authorityOf } from './check/authority-check.ts'
import { Certified } from './check/certified.ts'
import { EvidenceCheck } from './check/evidence-check.ts'
import { HistoryCheck } from './check/history-check.ts'
import { PromiseCheck } from './check/promise-check.ts'
import { ViewCheck } from './check/view-check.ts'
import type { Checks } from './checks.ts'
import { Clients, type ClientsOptions } from './clients.ts'
import { isSigned } from './core-crypto.ts'
import { fastSuite, realSuite } from './crypto.ts'
import { shorten } from './describe.ts'
import { Disk } from './disk.ts'
import { EventQueue } from './event-queue.ts'
import { type Customers, castOf } from './genesis.ts'
import { Happenings } from './happenings.ts'
import { Machine } from './machine.ts'
import { Nemesis } from './nemesis.ts'
import { Network } from './network.ts'
import { Observer } from './observer.ts'
import type { Plan } from './plan.ts'
import type { Random } from './random.ts'
import type { Sabotage } from './sabotage.ts'
import { Trace } from './trace.ts'
import { Violation } from './violation.ts'
import type { World } from './world.ts'

/** Healed, every request must be over within so much simulated time, and then all replicas equal. */
const COMPLETE_MS_MAX = 60_000
const EQUAL_MS_MAX = 30_000
/** Checkpoints within which changed rows are found and repaired. */
const CHECKPOINTS_MORE = 4
/** Before a measurement: a few handshakes, also where many datagrams are lost. */
const CONNECT_MS = 2_000
/** How often the end of a phase is looked for. */
const LOOK_US = 5_000

/** One cluster, its clients and its faults, from the first event to the last. */
export class Simulation {
  readonly world: World
  readonly machines: readonly Machine[]
  readonly clients: Clients
  /** When the last request was over, in simulated time; null: not yet. */
  completeMs: number | null = null
  readonly checks: Checks
  readonly #liars: Set<number>

  constructor(args: {
    readonly plan: Plan
    readonly random: Random
    readonly verbose: boolean
    readonly sabotage: Sabotage
    readonly clients?: ClientsOptions
    /** Who banks there; a bank of tellers and customers when left out. */
    readonly customers?: Customers
  }) {
    const { plan, random, sabotage } = args
    const queue = new EventQueue()
    const trace = new Trace(args.verbose)
    const happenings = new Happenings()
    const network = new Network({ plan, queue, random, trace, happenings })
    const cast = castOf(plan, plan.realCrypto ? realSuite : fastSuite, random, args.customers)
    const liars = new Set(plan.liars.map(({ replica }) => replica))
    this.#liars = liars
    this.world = { plan, cast, random, queue, network, trace, happenings, liars }
    const disks = cast.genesis.replicas.map(() => new Disk(random, sabotage.fsyncLies === true))
    const history = new HistoryCheck(cast.genesis, { happenings, authority: authorityOf(cast) })
    const isIdle = () => this.clients.outstanding === 0
    const promises = disks.map((disk, replica) => new PromiseCheck(replicaId(replica), disk))
    const { quorum } = quorumOf(plan.replicas)
    this.checks = {
      history,
      promisesOf: (replica) => (liars.has(replica) ? null : (promises[replica] ?? null)),
      views: new ViewCheck({
        replicas: plan.replicas,
        logWindow: logWindowOf(cast.genesis.parameters),
        exempt: liars,
        isSigned: (certificate) => isSigned(certificate, cast),
      }),
      certified: new Certified({
        quorum,
        checkpointInterval: plan.cluster.checkpointInterval,
      }),
      evidence: new EvidenceCheck({ cast, liars, happenings }),
      answers: new AnswerCheck(history, () => liars.size < quorum),
      observer: new Observer(this.world, isIdle, args.clients?.probe),
      isIdle,
    }
    this.machines = disks.map(
      (disk, replica) => new Machine({ world: this.world, replica, disk, checks: this.checks, sabotage }),
    )
    this.clients = new Clients(this.world, this.checks, args.clients)
  }

  /** This replica, which is down, lies from its next start on, by the sabotage's adversary. */
  corrupt(replica: number): void {
    this.#liars.add(replica)
    this.machines[replica]?.corrupt()
  }

  /** @throws Violation */
  run(): void {
    const { plan } = this.world
    for (const machine of this.machines) machine.start()
    this.clients.start()
    const nemesis = new Nemesis({
      world: this.world,
      machines: this.machines,
      clients: this.clients,
      isAcknowledged: () => this.checks.answers.isAcknowledged,
    })
    if (this.runUntil(() => this.clients.outstanding === 0, plan.faultsUntilMs)) {
      this.completeMs = this.world.queue.nowUs / 1000
    }
    this.#note('heals')
    nemesis.heal()
    this.#complete()
    this.clients.silenceLiars()
    this.#note('is idle')
    this.#becomeLevel()
    this.#checkRows()
  }

  /**
   * For measurements: liars and network are as the plan has them to the end; nothing strikes, nothing heals. Calls begin
   * when all are connected. Ends when they are over, or `isOver`, which is asked every few milliseconds.
   * @throws Violation
   */
  measure(isOver: () => boolean): void {
    for (const machine of this.machines) machine.start()
    this.clients.connect()
    this.runUntil(() => false, CONNECT_MS)
    this.clients.begin()
    this.runUntil(() => this.clients.outstanding === 0 || isOver(), Number.POSITIVE_INFINITY)
  }

  #complete(): void {
    const completeBy = this.world.queue.nowUs / 1000 + COMPLETE_MS_MAX
    if (this.runUntil(() => this.clients.outstanding === 0, completeBy)) {
      this.completeMs ??= this.world.queue.nowUs / 1000
      return
    }
    throw new Violation(
      'stuck',
      `healed, and not complete: ${this.clients.describeOutstanding()}; ${this.#where()}`,
    )
  }

  /**
   * While the cluster is idle; only what a changed row led to behind the last checkpoint shows at the next one [CP6],
   * for which more requests are made.
   */
  #becomeLevel(): void {
    const { queue, plan } = this.world
    const isLevel = () => this.#areLevel()
    if (this.runUntil(isLevel, queue.nowUs / 1000 + EQUAL_MS_MAX)) return
    if (this.machines.some(({ isTampered }) => isTampered)) {
      this.#note('is given more to do')
      this.clients.giveMore(CHECKPOINTS_MORE * plan.cluster.checkpointInterval)
      this.#complete()
      if (this.runUntil(isLevel, queue.nowUs / 1000 + EQUAL_MS_MAX)) return
    }
    throw new Violation('not-equal', `idle, and not level: ${this.#where()}`)
  }

  /** Runs events until `done`, which is looked at every few milliseconds; false when the time is over. */
  runUntil(done: () => boolean, endMs: number): boolean {
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

  /** Executed alike, voting, and the newest checkpoint that a quorum signed is stable everywhere. */
  #areLevel(): boolean {
    const { height } = this.checks.history
    const certified = this.checks.certified.highest
    const isLevel = this.#correct().every(
      ({ process, database }) =>
        process !== null &&
        process.position.lastExecuted === height &&
        database.store.position.lastExecuted === height &&
        process.position.lowWaterMark >= certified &&
        !process.position.isAmnesiac,
    )
    // A database that crashed may have taken the change by hand back.
    if (!isLevel) return false
    const tampered = this.#correct().filter(({ isTampered }) => isTampered)
    return this.unlikeModel(tampered) === undefined
  }

  /** What a liar holds is its own affair. */
  #correct(): readonly Machine[] {
    return this.machines.filter(({ adversary }) => adversary === null)
  }

  #checkRows(): void {
    const unlike = this.unlikeModel(this.#correct())
    if (unlike === undefined) return
    throw new Violation('not-equal', `the rows of replica ${unlike.replica} differ from the model's`)
  }

  /** The first that has not every row of every table as the model has it. */
  unlikeModel(machines: readonly Machine[]): Machine | undefined {
    if (machines.length === 0) return undefined
    const rows = rowsOf(this.checks.history.model)
    return machines.find(({ database }) => rowsOf(database.store) !== rows)
  }

  /** Per replica, where it stands and what it waits for. */
  #where(): string {
    const positions = this.machines.map((machine) => describeMachine(machine))
    return [`agreed ${this.checks.history.height}`, ...positions].join('\n  ')
  }

  #note(what: string): void {
    const { trace, queue } = this.world
    if (trace.verbose) trace.line(queue.nowUs, `-- the cluster ${what}`)
  }

  get height(): number {
    return this.checks.history.height
  }
}

const rowsOf = (store: { allRows(): object }): string =>
  JSON.stringify(store.allRows(), (_, value: unknown) => (typeof value === 'bigint' ? `${value}` : value))

function describeMachine({ replica, process, database, halted, isTampered, behaviours }: Machine): string {
  const state = [
    ...(behaviours.length === 0 ? [] : [`liar (${formatBehaviours(behaviours)})`]),
    ...(halted === null ? [] : [`halted: ${halted}`]),
    ...(isTampered ? ['tampered'] : []),
    `database ${database.store.position.lastExecuted}${database.up ? '' : ' down'}`,
  ]
  if (process === null) return `r${replica} down, ${state.join(', ')}`
  const position = Object.entries(process.position).map(([what, value]) => `${what} ${shorten(value)}`)
  return `r${replica} ${[...position, `timers [${process.timers.join(' ')}]`, ...state].join(', ')}`
}
