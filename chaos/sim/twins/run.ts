import { type Quorum, quorumOf } from '../../../protocol/quorum.ts'
import { replicaId } from '../../../protocol/types.ts'
import { Database } from '../database.ts'
import { Disk } from '../disk.ts'
import { coreConfigOf } from '../genesis.ts'
import type { Random } from '../random.ts'
import { Violation, type ViolationKind } from '../violation.ts'
import { Checks } from './checks.ts'
import { Instance } from './instance.ts'
import { Requests } from './requests.ts'
import { namesOf, type Schedule, seatsOf } from './schedule.ts'
import type { Settings } from './settings.ts'
import { Shim } from './shim.ts'
import { type TwinWorld, worldOf } from './world.ts'

/** How often it is looked whether anything can still happen; not for so long, and the next partition is in force. */
const LOOK_US = 5_000
const STILL_US = 70_000
/** A stage is longer than the longest time-out, and shorter than this. */
const STAGE_US_MAX = 1_000_000
/** Healed, everything must be done within this; clients send again what is not answered. */
const HEALED_US_MAX = 60_000_000
const RESEND_US = 500_000

export type TwinsFailure = { readonly kind: ViolationKind; readonly message: string; readonly atMs: number }
export type TwinsRun = {
  readonly failure: TwinsFailure | null
  /** Only under `trace`. */
  readonly lines: readonly string[]
  readonly simulatedMs: number
  /** Batches that correct replicas agreed on. */
  readonly batches: number
  readonly happenings: Readonly<Record<string, number>>
}

export type RunOptions = {
  readonly schedule: Schedule
  readonly settings: Settings
  readonly random: Random
  readonly trace?: boolean
  /** Breaks every replica on purpose: what it takes for a quorum. */
  readonly quorum?: (real: Quorum) => Quorum
}

/** One schedule, from genesis until all is healed, answered and level; never throws for what the run did. */
export function runSchedule(options: RunOptions): TwinsRun {
  const { schedule, settings, random, trace = false } = options
  const world = worldOf(random, { replicas: schedule.replicas, settings, verbose: trace })
  const cluster = new Cluster(world, options)
  return {
    failure: attempt(cluster, world),
    lines: world.trace.lines,
    simulatedMs: world.queue.nowUs / 1_000,
    batches: cluster.height,
    happenings: world.happenings.snapshot(),
  }
}

function attempt(cluster: Cluster, world: TwinWorld): TwinsFailure | null {
  try {
    cluster.run()
    return null
  } catch (error) {
    const atMs = world.queue.nowUs / 1_000
    if (!(error instanceof Violation)) throw error
    const cause = error.cause instanceof Error ? `\n${error.cause.stack}` : ''
    return { kind: error.kind, message: error.message + cause, atMs }
  }
}

class Cluster {
  readonly #world: TwinWorld
  readonly #schedule: Schedule
  readonly #settings: Settings
  readonly #instances: readonly Instance[]
  readonly #correct: readonly Instance[]
  readonly #checks: Checks
  readonly #requests: Requests
  readonly #shim: Shim
  #stageSinceUs = 0
  /** Nobody has waited for a primary since. */
  #stillSinceUs = 0
  #resendAtUs = 0

  constructor(world: TwinWorld, { schedule, settings, quorum = (real) => real }: RunOptions) {
    const real = quorumOf(schedule.replicas)
    this.#world = world
    this.#schedule = schedule
    this.#settings = settings
    this.#checks = new Checks(world, schedule)
    this.#requests = new Requests(world, { quorum: real.quorum, history: this.#checks.history })
    const names = namesOf(schedule)
    this.#instances = seatsOf(schedule).map((replica, index) => {
      const disk = new Disk(world.random)
      const database = new Database(world.cast.genesis)
      const instance: Instance = new Instance({
        world,
        config: { ...coreConfigOf(world.cast.genesis, world.plan, replica), quorum: quorum(real) },
        index,
        name: `r${names[index]}`,
        disk,
        database,
        checks: this.#checks.of(replica, { disk, database }),
        send: (to, message) => this.#shim.send(instance, to, message),
      })
      return instance
    })
    this.#correct = this.#instances.filter(({ replica }) => !schedule.twins.includes(replica))
    this.#shim = new Shim({
      world,
      schedule,
      settings,
      instances: this.#instances,
      onReply: (from, message) => this.#requests.onReply(from.replica, message),
    })
  }

  get height(): number {
    return this.#checks.history.height
  }

  /** @throws Violation */
  run(): void {
    const { queue } = this.#world
    this.#start()
    let lookAtUs = 0
    while (queue.runNext()) {
      if (queue.nowUs < lookAtUs) continue
      lookAtUs = queue.nowUs + LOOK_US
      if (this.#isDone) return
      if (this.#shim.isHealed) this.#pressOn()
      else this.#moveOn()
    }
    throw new Error('a cluster without timers')
  }

  #start(): void {
    for (const instance of this.#instances) {
      const ids = Array.from({ length: this.#schedule.replicas }, (_, id) => replicaId(id))
      instance.start(ids.filter((id) => id !== instance.replica))
    }
    for (const instance of this.#instances) {
      for (const index of this.#settings.requests[instance.index] ?? []) this.#tell(instance, index)
    }
  }

  #tell(instance: Instance, index: number): void {
    const request = this.#requests.all[index]
    if (request !== undefined) instance.receive(request.client, request)
  }

  /** Every request is answered, and every correct replica has executed all that any of them has. */
  get #isDone(): boolean {
    if (this.#requests.outstanding.length > 0) return false
    return this.#correct.every(({ position }) => position.lastExecuted === this.height)
  }

  /** To the next partition, once nobody waits for a primary any more, or for too long. */
  #moveOn(): void {
    const { nowUs } = this.#world.queue
    if (this.#instances.some(({ isImpatient }) => isImpatient)) this.#stillSinceUs = nowUs
    if (nowUs - this.#stillSinceUs < STILL_US && nowUs - this.#stageSinceUs < STAGE_US_MAX) return
    this.#shim.stage += 1
    this.#stillSinceUs = nowUs
    this.#stageSinceUs = nowUs
    this.#note(this.#shim.isHealed ? 'all hear all' : `partition ${this.#shim.stage} is in force`)
  }

  #pressOn(): void {
    const { nowUs } = this.#world.queue
    if (nowUs - this.#stageSinceUs > HEALED_US_MAX) {
      throw new Violation('stuck', `healed, and not done: ${this.#where()}`)
    }
    if (nowUs < this.#resendAtUs) return
    this.#resendAtUs = nowUs + RESEND_US
    for (const request of this.#requests.outstanding) {
      for (const instance of this.#instances) instance.receive(request.client, request)
    }
  }

  #where(): string {
    const open = this.#requests.outstanding.map(({ client }) => client)
    const places = this.#instances.map(({ name, position, isHalted }) => {
      const { view, highestViewChange, lastExecuted, frontier, lowWaterMark } = position
      return `${name} view ${view}/${highestViewChange} executed ${lastExecuted} frontier ${frontier} low ${lowWaterMark}${isHalted ? ' halted' : ''}`
    })
    return [`clients ${open.join(' ')} wait, agreed ${this.height}`, ...places].join('\n  ')
  }

  #note(what: string): void {
    const { trace, queue, happenings } = this.#world
    happenings.count('stage moved on')
    if (trace.verbose) trace.line(queue.nowUs, `-- ${what}`)
  }
}
