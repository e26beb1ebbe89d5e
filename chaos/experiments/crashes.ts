import type { Random } from '../sim/random.ts'
import type { CrashPlan, CrashPoint } from './crash-plan.ts'
import type { Progress } from './progress.ts'
import { highestOf, primaryOf, type Reports, type Watch } from './watch.ts'

const CAUGHT_UP_MS_MAX = 60_000

/** What an experiment does to a cluster. */
export type CrashTarget = {
  readonly replicas: number
  /** SIGKILL. Resolves when the process is gone. */
  killReplica(id: number): Promise<void>
  /** Resolves when it serves. */
  startReplica(id: number): Promise<void>
}

/** One crash/recover as it went. */
export type Crash = {
  readonly replica: number
  readonly wasPrimary: boolean
  /** Completed iterations when it was dead, and when it was started again. */
  readonly downFrom: number
  readonly downTo: number
  readonly missedBatches: number
  /** From its start to the state of the others. */
  readonly backAfterMs: number
}

type Parts = {
  readonly target: CrashTarget
  readonly watch: Watch
  readonly progress: Progress
  /** Which backup. */
  readonly random: Random
  readonly signal: AbortSignal
}

/** Kills and brings back, one replica after the other, as the iterations go by. */
export class Crashes {
  readonly #plan: CrashPlan
  readonly #parts: Parts
  /** Of each point: resolves when its victim is dead. */
  readonly #killed: readonly PromiseWithResolvers<void>[]
  #kills = 0

  constructor(plan: CrashPlan, parts: Parts) {
    this.#plan = plan
    this.#parts = parts
    this.#killed = plan.points.map(() => Promise.withResolvers<void>())
  }

  /** For the loop: what it has to wait for before the iteration of this number. */
  hold(iteration: number): Promise<void> | undefined {
    const next = this.#plan.points[this.#kills]
    if (next === undefined || iteration < next.latest) return undefined
    return this.#killed[this.#kills]?.promise
  }

  /** Resolves when the last victim is back among the others. */
  async run(): Promise<Crash[]> {
    const crashes: Crash[] = []
    try {
      for (const point of this.#plan.points) crashes.push(await this.#crash(point))
      return crashes
    } finally {
      // Whoever is held must not wait for what will not come: the failure is told by this promise.
      for (const { resolve } of this.#killed) resolve()
    }
  }

  async #crash(point: CrashPoint): Promise<Crash> {
    const { target, watch, progress, signal } = this.#parts
    await progress.reached(point.at, signal)
    const before = await watch.look()
    const primary = primaryOf(before)
    if (primary === undefined)
      throw new Error('no replica says how it is, so that none can be chosen to be killed')
    const replica = point.victim === 'primary' ? primary : this.#backupOf(primary)
    await target.killReplica(replica)
    const downFrom = progress.completed
    this.#killed[this.#kills]?.resolve()
    this.#kills += 1
    await progress.reached(downFrom + this.#plan.downIterations, signal)
    const missedTo = highestOf(await watch.look())
    const downTo = progress.completed
    await target.startReplica(replica)
    const backAfterMs = await this.#untilBack(replica)
    const missedBatches = missedTo - (before.get(replica)?.lastExecuted ?? 0)
    return { replica, wasPrimary: replica === primary, downFrom, downTo, missedBatches, backAfterMs }
  }

  #backupOf(primary: number): number {
    const { target, random } = this.#parts
    return (primary + random.int(1, target.replicas - 1)) % target.replicas
  }

  /** Until it has executed all that anybody had executed one look before: one that is still behind would be a second fault. */
  async #untilBack(replica: number): Promise<number> {
    const { watch, signal } = this.#parts
    const startedMs = performance.now()
    let target = Number.POSITIVE_INFINITY
    const isBack = (reports: Reports): boolean => {
      const own = reports.get(replica)
      const reached =
        own !== undefined && own.lastExecuted >= target && own.transfer === null && !own.isAmnesiac
      target = highestOf(reports)
      return reached
    }
    if ((await watch.until(isBack, { withinMs: CAUGHT_UP_MS_MAX, signal })) === undefined) {
      throw new Error(
        `replica ${replica} did not catch up within ${CAUGHT_UP_MS_MAX / 1_000} s of its return`,
      )
    }
    return Math.round(performance.now() - startedMs)
  }
}
