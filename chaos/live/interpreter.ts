import { createHash } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import type { ReplicaReport } from '../../protocol/inspection.ts'
import { quorumOf } from '../../protocol/quorum.ts'
import type { Fault, Plan, Selection, Step } from '../plan/plan.ts'
import { makesFaulty } from '../plan/tolerance.ts'
import { Random } from '../sim/random.ts'
import { DatabaseGates } from './database-gates.ts'
import { type Struck, startAll, strike } from './strikes.ts'
import { highestExecuted, isWell, primaryOf, type StruckCluster } from './struck-cluster.ts'

const LOOK_MS = 50
/** For a fault's victims to be as good as any others again. */
const RECOVERY_MS_MAX = 120_000

type Reports = ReadonlyMap<number, ReplicaReport>

/** A line of faults.jsonl. 'recovered': its victims are level with the others again. */
export type FaultEvent = {
  readonly phase: 'begin' | 'end' | 'recovered'
  readonly atMs: number
  readonly path: string
  readonly kind: string
  readonly action: string
  readonly targets: readonly number[]
  readonly detail: string
}

export type PlanContext = {
  readonly cluster: StruckCluster
  readonly seed: number
  /** No further strike; what is in force is undone. */
  readonly signal: AbortSignal
  readonly nowMs: () => number
  readonly onFault: (event: FaultEvent) => void
}

export type PlanOutcome = {
  /** What did not go as a plan may expect: a replica that does not start, one that does not recover. */
  readonly incidents: readonly string[]
  /** Steps for which no time was left. */
  readonly leftOut: number
}

/**
 * What one strike draws, of the seed, its place in the plan, and how many that place has struck before: nothing that
 * other steps do, or how long they take, changes it. Struck are the first in `order` that may be struck then.
 */
type Draw = { readonly random: Random; readonly order: readonly number[] }

/**
 * Plays a plan on a cluster. A step is over when its fault was undone and its victims have recovered; whatever happens,
 * every fault is undone, and in the end everything is healed and started.
 */
export async function runPlan(plan: Plan, context: PlanContext): Promise<PlanOutcome> {
  const interpreter = new Interpreter(plan, context)
  await interpreter.run()
  return { incidents: interpreter.incidents, leftOut: interpreter.leftOut }
}

class Interpreter {
  readonly incidents: string[] = []
  leftOut = 0
  readonly #plan: Plan
  readonly #context: PlanContext
  readonly #deadlineMs: number
  /** Replicas that count as faulty now, each with how many faults it has. */
  readonly #faulty = new Map<number, number>()
  readonly #max: number
  /** By place in the plan: how many strikes drew there. */
  readonly #drawn = new Map<string, number>()
  readonly #gates: DatabaseGates

  constructor(plan: Plan, context: PlanContext) {
    this.#plan = plan
    this.#context = context
    this.#deadlineMs = context.nowMs() + plan.strikeSeconds * 1_000
    const { replicas } = context.cluster
    this.#gates = new DatabaseGates(context.cluster)
    this.#max = plan.beyondTolerance ? replicas.length : quorumOf(replicas.length).f
  }

  async run(): Promise<void> {
    try {
      await this.#serial(this.#plan.steps)
    } finally {
      await this.#heal()
    }
  }

  get #isOver(): boolean {
    const { signal, nowMs } = this.#context
    return signal.aborted || nowMs() >= this.#deadlineMs
  }

  /** Until the time is over; a serial that stands in another is one step of it, and is played to its end. */
  async #serial(steps: readonly Step[]): Promise<void> {
    for (const [index, step] of steps.entries()) {
      if (this.#isOver) {
        this.leftOut += steps.length - index
        return
      }
      if (step.type === 'serial') await this.#wholly(step.steps)
      else await this.#step(step)
    }
  }

  async #wholly(steps: readonly Step[]): Promise<void> {
    for (const step of steps) {
      if (this.#context.signal.aborted) return
      if (step.type === 'serial') await this.#wholly(step.steps)
      else await this.#step(step)
    }
  }

  async #step(step: Step): Promise<void> {
    switch (step.type) {
      case 'serial':
        return this.#serial(step.steps)
      case 'parallel':
        await Promise.all(step.steps.map((inner) => this.#step(inner)))
        return
      case 'suspend':
        return this.#wait(step.ms)
      case 'await':
        return this.#awaitLevel(this.#context.cluster.replicas, {
          path: step.path,
          timeoutMs: step.timeoutMs,
        })
      case 'repeat':
        return this.#repeat(step)
      case 'fault':
        return this.#fault(step)
    }
  }

  async #repeat({ everyMs, times, fault }: Extract<Step, { type: 'repeat' }>): Promise<void> {
    for (let time = 0; time < times && !this.#isOver; time++) {
      const dueMs = this.#context.nowMs() + everyMs
      await this.#fault(fault)
      if (time < times - 1) await this.#wait(dueMs - this.#context.nowMs())
    }
  }

  async #fault(fault: Fault): Promise<void> {
    const { action } = fault.strike
    if (action === 'rolling-restart') return this.#rollingRestart(fault)
    const draw = this.#draw(fault.path)
    const victims = await this.#victims(fault, draw)
    if (victims.length === 0) return
    try {
      // Rows that are being fetched would be written over what was edited, and nothing would be left to find.
      if (action === 'edit') await this.#awaitLevel(victims, { path: fault.path, timeoutMs: RECOVERY_MS_MAX })
      const struck =
        action === 'crash-loop'
          ? await this.#crashLoop(fault, victims, draw)
          : await this.#once(fault, victims, draw)
      await this.#recover(fault, victims, struck)
    } catch (error) {
      this.#incident(fault.path, error)
      await this.#putRight(fault, victims)
    } finally {
      this.#count(fault, victims, -1)
    }
  }

  #draw(path: string): Draw {
    const before = this.#drawn.get(path) ?? 0
    this.#drawn.set(path, before + 1)
    const { seed, cluster } = this.#context
    const digest = createHash('sha256').update(`${seed} ${before} ${path}`).digest()
    const random = new Random(digest.readInt32LE())
    return { random, order: random.shuffled(cluster.replicas) }
  }

  async #once(fault: Fault, victims: readonly number[], draw: Draw): Promise<Struck> {
    const struck = await this.#strike(fault, victims, draw)
    try {
      await this.#wait(fault.durationMs)
    } finally {
      await struck.undo()
      this.#tell('end', fault, { targets: victims, detail: struck.detail })
    }
    return struck
  }

  async #strike(fault: Fault, victims: readonly number[], { random, order }: Draw): Promise<Struck> {
    const { cluster } = this.#context
    // Links of a replica with itself there are none.
    const others = await this.#othersOf(fault, [...order.filter((id) => !victims.includes(id)), ...victims])
    const struck = await strike(fault, { cluster, gates: this.#gates, random, victims, others })
    this.#tell('begin', fault, { targets: victims, detail: struck.detail })
    return struck
  }

  /** Killed again some time after each start, until its duration is over. */
  async #crashLoop(fault: Fault, victims: readonly number[], draw: Draw): Promise<Struck> {
    const { cluster, nowMs, signal } = this.#context
    const everyMs = fault.strike.action === 'crash-loop' ? fault.strike.everyMs : 0
    const untilMs = nowMs() + fault.durationMs
    for (;;) {
      const struck = await this.#strike(
        fault,
        victims.filter((id) => cluster.running.includes(id)),
        draw,
      )
      await struck.undo()
      if (signal.aborted || nowMs() >= untilMs) {
        this.#tell('end', fault, { targets: victims, detail: struck.detail })
        return struck
      }
      await this.#wait(everyMs)
    }
  }

  /** One after the other, each when the one before it has recovered. */
  async #rollingRestart(fault: Fault): Promise<void> {
    const kill = { ...fault, strike: { kind: 'ProcessChaos', action: 'kill' } } as const
    if (fault.selection.mode === 'primary') return this.#fault(kill)
    const all = fault.selection.replicas ?? this.#context.cluster.replicas
    for (const id of await this.#select(fault.selection, all, this.#draw(fault.path).order)) {
      if (this.#context.signal.aborted) return
      const selection = { mode: 'all', value: 1, replicas: [id] } as const
      await this.#fault({ ...kill, selection })
    }
  }

  /** A strike or its undoing failed half-way: while its victims are not level, nobody else may be struck for them. */
  async #putRight(fault: Fault, victims: readonly number[]): Promise<void> {
    if (!makesFaulty(fault)) return
    const { cluster } = this.#context
    try {
      for (const id of victims) cluster.resume(id)
      await Promise.all(victims.map((id) => cluster.database(id).resumeServer()))
      await startAll(cluster, victims)
      await this.#awaitLevel(victims, { path: fault.path, timeoutMs: RECOVERY_MS_MAX })
    } catch (error) {
      this.#incident(`${fault.path}, putting it right`, error)
    }
  }

  async #recover(fault: Fault, victims: readonly number[], { isOver }: Struck): Promise<void> {
    if (!makesFaulty(fault)) return
    await this.#awaitLevel(victims, { path: fault.path, timeoutMs: RECOVERY_MS_MAX })
    const isSeen = await this.#look((reports) => isOver?.(reports) ?? true, RECOVERY_MS_MAX)
    if (this.#context.signal.aborted) return
    // Written over before it was found, or there still: then the checker names the row.
    this.#tell('recovered', fault, { targets: victims, detail: isSeen ? '' : 'no repair was seen' })
  }

  /** Whether it came true in time. */
  async #look(isTrue: (reports: Reports) => boolean, timeoutMs: number): Promise<boolean> {
    const { cluster, nowMs, signal } = this.#context
    const deadlineMs = nowMs() + timeoutMs
    while (nowMs() < deadlineMs && !signal.aborted) {
      if (isTrue(await cluster.reports())) return true
      await delay(LOOK_MS)
    }
    return false
  }

  /** Each of them has been where the furthest one is now, and has nothing left to do. */
  async #awaitLevel(
    ids: readonly number[],
    { path, timeoutMs }: { readonly path: string; readonly timeoutMs: number },
  ): Promise<void> {
    const goal = highestExecuted((await this.#context.cluster.reports()).values())
    let late: readonly number[] = ids
    const areLevel = (reports: Reports) => {
      late = ids.filter((id) => {
        const report = reports.get(id)
        return report === undefined || !isWell(report) || report.lastExecuted < goal
      })
      return late.length === 0
    }
    if ((await this.#look(areLevel, timeoutMs)) || this.#context.signal.aborted) return
    this.incidents.push(
      `${path}: replica ${late.join(', ')} is not level with the others ${timeoutMs / 1_000} s after it could be`,
    )
  }

  // --- who

  /** Waits for whoever is not level yet, rather than strike fewer than the plan says. Empty: broken off, or told of. */
  async #victims(fault: Fault, { order }: Draw): Promise<readonly number[]> {
    const { nowMs, signal } = this.#context
    const deadlineMs = nowMs() + RECOVERY_MS_MAX
    while (!signal.aborted) {
      const victims = this.#claim(fault, await this.#pick(fault, order))
      if (victims.length > 0) return victims
      if (nowMs() >= deadlineMs) {
        this.#incident(fault.path, `nobody could be struck within ${RECOVERY_MS_MAX / 1_000} s`)
        return []
      }
      await this.#wait(LOOK_MS)
    }
    return []
  }

  async #pick(fault: Fault, order: readonly number[]): Promise<readonly number[]> {
    const { cluster } = this.#context
    const { selection, strike } = fault
    if (strike.action === 'restart-all') return cluster.running
    const isOfProcess = strike.kind !== 'NetworkChaos' && strike.action !== 'slow'
    const all = [...new Set(selection.replicas ?? cluster.replicas)]
    const able = all.filter((id) => !isOfProcess || (cluster.running.includes(id) && !this.#faulty.has(id)))
    const isOfPrimary = strike.action === 'partition' && strike.shape === 'primary'
    const effective = isOfPrimary ? ({ ...selection, mode: 'primary' } as const) : selection
    const picked = await this.#select(effective, able, order)
    const wanted = { all: all.length, fixed: selection.value, one: 1, primary: 1 }[selection.mode]
    return makesFaulty(fault) && picked.length < wanted ? [] : picked
  }

  /** The plan was looked through before: this bounds what comes of it. All or none; from here on they count. */
  #claim(fault: Fault, picked: readonly number[]): readonly number[] {
    if (!makesFaulty(fault)) return picked
    const isOfAll = picked.length === this.#context.cluster.replicas.length
    const isTooMany = this.#faulty.size + picked.length > this.#max
    if (picked.some((id) => this.#faulty.has(id)) || (isTooMany && !isOfAll)) return []
    this.#count(fault, picked, 1)
    return picked
  }

  async #select(
    { mode, value }: Selection,
    able: readonly number[],
    order: readonly number[],
  ): Promise<readonly number[]> {
    switch (mode) {
      case 'all':
        return able
      case 'primary': {
        const primary = primaryOf((await this.#context.cluster.reports()).values())
        return primary !== undefined && able.includes(primary) ? [primary] : []
      }
      case 'one':
      case 'fixed': {
        const count = mode === 'one' ? 1 : value
        return order
          .filter((id) => able.includes(id))
          .slice(0, count)
          .sort((a, b) => a - b)
      }
    }
  }

  async #othersOf({ strike }: Fault, order: readonly number[]): Promise<readonly number[] | undefined> {
    if (!('target' in strike) || strike.target === null) return undefined
    return this.#select(strike.target, strike.target.replicas ?? this.#context.cluster.replicas, order)
  }

  #count(fault: Fault, victims: readonly number[], by: 1 | -1): void {
    if (!makesFaulty(fault)) return
    for (const id of victims) {
      const faults = (this.#faulty.get(id) ?? 0) + by
      if (faults === 0) this.#faulty.delete(id)
      else this.#faulty.set(id, faults)
    }
  }

  // --- the end

  async #heal(): Promise<void> {
    const { cluster } = this.#context
    cluster.network.heal()
    for (const id of cluster.replicas) {
      cluster.resume(id)
      const database = cluster.database(id)
      database.open()
      await database.resumeServer().catch((error: unknown) => this.#incident(`healing replica ${id}`, error))
    }
    await startAll(cluster, cluster.replicas).catch((error: unknown) => this.#incident('healing', error))
  }

  async #wait(ms: number): Promise<void> {
    if (ms > 0) await delay(ms, undefined, { signal: this.#context.signal }).catch(() => undefined)
  }

  #incident(path: string, error: unknown): void {
    this.incidents.push(`${path}: ${error instanceof Error ? error.message : String(error)}`)
  }

  #tell(
    phase: FaultEvent['phase'],
    { path, strike: { kind, action } }: Fault,
    { targets, detail }: Pick<FaultEvent, 'targets' | 'detail'>,
  ): void {
    const atMs = Math.round(this.#context.nowMs())
    this.#context.onFault({ phase, atMs, path, kind, action, targets, detail })
  }
}
