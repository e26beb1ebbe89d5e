import { setTimeout as delay } from 'node:timers/promises'
import { formatClientBehaviours } from '../../client/byzantine/behaviour.ts'
import { encodeHistoryEvent } from '../check/history-lines.ts'
import { type FaultEvent, runPlan } from '../live/interpreter.ts'
import type { LiveCluster } from '../live/live-cluster.ts'
import type { Plan } from '../plan/plan.ts'
import { type CustomerAccounts, customerAccounts } from '../workload/customers.ts'
import { type LyingCounts, LyingLoad } from '../workload/lying-load.ts'
import { FaultsInForce } from './faults-in-force.ts'
import { JsonLines } from './json-lines.ts'
import { runPaths } from './layout.ts'
import type { RunPhase, RunProgress } from './progress.ts'
import { RunLoad } from './run-load.ts'
import { type Sample, Sampler } from './samples.ts'

/** The load runs alone for so long before the first fault: what it does then is held against its floor. */
const LOAD_ALONE_MS = 3_000
/** What the first answers of cold processes take is not the load. */
const WARM_UP_MS = 1_000
const LOOK_MS = 100
/** Since the load stopped, for all replicas to stand at the same place. */
const SETTLE_MS_MAX = 60_000

export type RunOptions = {
  readonly plan: Plan
  readonly seed: number
  readonly cluster: LiveCluster
  /** Of the run. */
  readonly directory: string
  /** Ends the striking early; everything heals, and is judged. */
  readonly signal: AbortSignal
  readonly onProgress: (progress: RunProgress) => void
  /** A line that stays. */
  readonly say: (line: string) => void
}

/** What happened while it ran. */
export type RunRecord = {
  readonly incidents: readonly string[]
  readonly faults: readonly FaultEvent[]
  readonly samples: readonly Sample[]
  readonly load: {
    readonly counts: RunLoad['counts']
    /** Before the first fault. */
    readonly operationsPerSecond: number
    /** Of the client that lied; null: none did. */
    readonly liar: LyingCounts | null
  }
  readonly interrupted: boolean
  readonly elapsedMs: number
}

/**
 * One run on a cluster that serves: load alone, then the plan under load, then quiet, until all replicas stand at the
 * same place. Everything is written down as it happens.
 */
export class ChaosRun {
  readonly #options: RunOptions
  readonly #history: JsonLines
  readonly #faultLines: JsonLines
  readonly #sampleLines: JsonLines
  readonly #inForce = new FaultsInForce()
  readonly #faults: FaultEvent[] = []
  readonly #samples: Sample[] = []
  readonly #incidents: string[] = []
  readonly #sampler: Sampler
  readonly #startedMs = performance.now()
  readonly #broken = new AbortController()
  /** Somebody broke the run off, or a replica ended by itself. */
  readonly #signal: AbortSignal
  #load: RunLoad | undefined
  #liar: LyingLoad | undefined
  #phase: RunPhase = 'starting'
  #shown = { operations: 0, atMs: 0 }

  constructor(options: RunOptions) {
    this.#options = options
    this.#signal = AbortSignal.any([options.signal, this.#broken.signal])
    const paths = runPaths(options.directory)
    this.#history = new JsonLines(paths.history)
    this.#faultLines = new JsonLines(paths.faults)
    this.#sampleLines = new JsonLines(paths.samples)
    this.#sampler = new Sampler({
      look: () => options.cluster.reports(),
      nowMs: () => this.#elapsedMs,
      onSample: (sample) => this.#onSample(sample),
    })
  }

  get #elapsedMs(): number {
    return performance.now() - this.#startedMs
  }

  /** Something that no plan asked for: the run fails. */
  incident(what: string): void {
    this.#incidents.push(what)
    this.#options.say(`INCIDENT  ${what}`)
  }

  /** It stays down, and nobody becomes level with it: the run has failed, and is over. */
  onReplicaEnded(id: number, lastWords: string): void {
    this.incident(`replica ${id} ended by itself: ${lastWords}`)
    this.#broken.abort()
  }

  async run(): Promise<RunRecord> {
    try {
      const operationsPerSecond = await this.#loadAlone()
      await this.#startLying()
      await this.#strike()
      const liar = await this.#endLying()
      const counts = await this.#endLoad()
      await this.#settle()
      await this.#sampler.stop()
      return {
        incidents: this.#incidents,
        faults: this.#faults,
        samples: this.#samples,
        load: { counts, operationsPerSecond, liar },
        interrupted: this.#options.signal.aborted,
        elapsedMs: this.#elapsedMs,
      }
    } finally {
      await this.close()
    }
  }

  /** Ends what it began, from any state. */
  async close(): Promise<void> {
    await this.#sampler.stop()
    await this.#endLying()
    await this.#load?.abandon()
    this.#load = undefined
    for (const lines of [this.#history, this.#faultLines, this.#sampleLines]) lines.close()
  }

  /** @returns operations per second */
  async #loadAlone(): Promise<number> {
    const { plan, cluster, seed } = this.#options
    const { clients, callers, thinkMs } = plan.load
    const files = await Promise.all(Array.from({ length: clients }, (_, index) => cluster.clientFiles(index)))
    this.#phase = 'load alone'
    const load = await RunLoad.start(
      files,
      { callersEach: callers, thinkMs, accounts: runAccounts(plan), seed },
      {
        record: (event) => this.#history.write(encodeHistoryEvent(event)),
        nowUs: () => Math.round(this.#elapsedMs * 1_000),
      },
    )
    this.#load = load
    await this.#wait(WARM_UP_MS)
    const before = { operations: load.counts.operations, atMs: this.#elapsedMs }
    await this.#wait(LOAD_ALONE_MS)
    return ((load.counts.operations - before.operations) * 1_000) / (this.#elapsedMs - before.atMs)
  }

  /** Beside the load that is judged, from the first fault to the last. */
  async #startLying(): Promise<void> {
    const { plan, cluster, seed } = this.#options
    const { liars: behaviours } = plan.load
    if (behaviours.length === 0) return
    const files = await cluster.lyingClientFiles()
    this.#liar = await LyingLoad.start(files, { behaviours, accounts: runAccounts(plan), seed })
    this.#options.say(`a client lies: ${formatClientBehaviours(behaviours)}`)
  }

  async #endLying(): Promise<LyingCounts | null> {
    const liar = this.#liar
    if (liar === undefined) return null
    this.#liar = undefined
    await liar.stop()
    return liar.counts
  }

  /** Until the plan has ended, or its time is over, or somebody breaks it off. */
  async #strike(): Promise<void> {
    const { plan, cluster, seed } = this.#options
    this.#phase = 'striking'
    const endMs = this.#elapsedMs + plan.seconds * 1_000
    const { incidents } = await runPlan(plan, {
      cluster,
      seed,
      signal: this.#signal,
      nowMs: () => this.#elapsedMs,
      onFault: (event) => this.#onFault(event),
    })
    for (const incident of incidents) this.incident(incident)
    this.#phase = 'healing'
    await this.#wait(endMs - this.#elapsedMs)
  }

  async #endLoad(): Promise<RunLoad['counts']> {
    this.#phase = 'settling'
    const load = this.#load
    if (load === undefined) throw new Error('the load was started')
    await load.stop()
    this.#load = undefined
    return load.counts
  }

  async #settle(): Promise<void> {
    const deadlineMs = this.#elapsedMs + SETTLE_MS_MAX
    while (this.#elapsedMs < deadlineMs) {
      if (this.#broken.signal.aborted) return
      const reports = await this.#options.cluster.reports()
      if (areSettled(reports.values(), this.#options.cluster.replicas.length)) return
      await delay(LOOK_MS)
    }
    const where = [...this.#sampler.latest.values()].map(
      ({ replica, view, highestViewChange, lastExecuted, isAmnesiac, transfer, database }) =>
        `replica ${replica}: view ${view}/${highestViewChange}, executed ${lastExecuted}` +
        `${isAmnesiac ? ', without votes' : ''}${transfer === null ? '' : `, fetching ${transfer.seq}`}` +
        `${database.connected ? '' : ', no database'}`,
    )
    this.incident(
      `${SETTLE_MS_MAX / 1_000} s after everything healed the replicas do not stand at the same place (${where.join('; ')})`,
    )
  }

  async #wait(ms: number): Promise<void> {
    if (ms <= 0) return
    await delay(ms, undefined, { signal: this.#signal }).catch(() => undefined)
  }

  #onFault(event: FaultEvent): void {
    this.#faults.push(event)
    this.#faultLines.write(JSON.stringify(event))
    const line = this.#inForce.on(event)
    this.#options.say(`${(event.atMs / 1_000).toFixed(1).padStart(6)} s  ${line}`)
  }

  #onSample(sample: Sample): void {
    this.#samples.push(sample)
    this.#sampleLines.write(JSON.stringify(sample))
    this.#options.onProgress(this.#progress(sample))
  }

  #progress({ reports }: Sample): RunProgress {
    const { plan, seed, cluster } = this.#options
    const counts = this.#load?.counts ?? NO_CALLS
    const atMs = this.#elapsedMs
    const operations = Math.max(0, counts.operations - this.#shown.operations)
    const operationsPerSecond = Math.round((operations * 1_000) / Math.max(1, atMs - this.#shown.atMs))
    this.#shown = { operations: counts.operations, atMs }
    const { running } = cluster
    return {
      name: plan.name,
      seed,
      phase: this.#phase,
      elapsedMs: atMs,
      plannedMs: plan.seconds * 1_000 + WARM_UP_MS + LOAD_ALONE_MS,
      view: Math.max(0, ...reports.map(({ view }) => view)),
      counts,
      operationsPerSecond,
      faults: this.#inForce.words,
      replicas: cluster.replicas.map((id) => ({
        id,
        isRunning: running.includes(id),
        report: reports.find(({ replica }) => replica === id) ?? null,
      })),
    }
  }
}

export const runAccounts = ({ load }: Plan): CustomerAccounts =>
  customerAccounts({ hot: load.hotAccounts, cold: load.coldAccounts })

const NO_CALLS = { operations: 0, answered: 0, failed: 0, unknown: 0, settled: 0 }

/** All stand at the same place, and nobody has anything left to do. */
export function areSettled(reports: Iterable<Sample['reports'][number]>, replicas: number): boolean {
  const all = [...reports]
  const places = new Set(all.map(({ lastExecuted, chain }) => `${lastExecuted} ${chain}`))
  const isWell = all.every(
    ({ isAmnesiac, transfer, database }) => !isAmnesiac && transfer === null && database.connected,
  )
  return all.length === replicas && places.size === 1 && isWell
}
