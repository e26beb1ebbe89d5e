import { setTimeout as delay } from 'node:timers/promises'
import type { ClusterFiles } from '../../client/files.ts'
import { inspectReplicas } from '../../client/inspect.ts'
import type { ReplicaReport } from '../../protocol/inspection.ts'

const LOOK_AGAIN_MS = 100
/** One that is down does not answer at all; the others do at once, unless the machine is busy. */
const ANSWER_TIMEOUT_MS = 500

export type Reports = ReadonlyMap<number, ReplicaReport>

/** What replicas counted over a run, in all their lives: a process that is killed takes its own counts with it. */
export type RunCounts = {
  /** Views entered beyond the first. */
  readonly viewChanges: number
  /** States fetched from other replicas and installed. */
  readonly stateTransfers: number
  /** Batches that came late, with a proof or on the word of f+1, over all replicas. */
  readonly batchesCaughtUp: number
}

type Life = { readonly stateTransfers: number; readonly batchesCaughtUp: number }

/** Asks the replicas how they are, and remembers what each of their processes had counted when it last answered. */
export class Watch {
  readonly #ask: () => Promise<Reports>
  /** By replica and pid: a replica has a life per process. */
  readonly #lives = new Map<string, Life>()
  #highestView = 0

  constructor(ask: () => Promise<Reports>) {
    this.#ask = ask
  }

  /** `files`: with a client key that nobody else uses. */
  static of(files: ClusterFiles): Watch {
    return new Watch(() => inspectReplicas(files, { timeoutMs: ANSWER_TIMEOUT_MS }))
  }

  async look(): Promise<Reports> {
    const reports = await this.#ask()
    for (const { replica, pid, view, counters, committed } of reports.values()) {
      this.#highestView = Math.max(this.#highestView, view)
      this.#lives.set(`${replica}/${pid}`, {
        stateTransfers: counters['transfer-installed'] ?? 0,
        batchesCaughtUp: (committed.proof ?? 0) + (committed.words ?? 0),
      })
    }
    return reports
  }

  /** @returns undefined when it did not come true within the time. Rejects with the signal's reason. */
  async until(
    isTrue: (reports: Reports) => boolean,
    { withinMs, signal }: { readonly withinMs: number; readonly signal: AbortSignal },
  ): Promise<Reports | undefined> {
    const deadlineMs = performance.now() + withinMs
    while (performance.now() < deadlineMs) {
      signal.throwIfAborted()
      const reports = await this.look()
      if (isTrue(reports)) return reports
      await delay(LOOK_AGAIN_MS)
    }
    return undefined
  }

  get counts(): RunCounts {
    const lives = [...this.#lives.values()]
    return {
      viewChanges: this.#highestView,
      stateTransfers: lives.reduce((sum, life) => sum + life.stateTransfers, 0),
      batchesCaughtUp: lives.reduce((sum, life) => sum + life.batchesCaughtUp, 0),
    }
  }
}

/** Of the highest view that a replica entered; undefined when nobody answered. */
export function primaryOf(reports: Reports): number | undefined {
  return [...reports.values()].sort((a, b) => b.view - a.view)[0]?.primary
}

export const highestOf = (reports: Reports): number =>
  Math.max(0, ...[...reports.values()].map(({ lastExecuted }) => lastExecuted))

/** Why the replicas are not all at rest at the same state; empty when they are. */
export function unrestOf(reports: Reports, replicas: number): string[] {
  const highest = highestOf(reports)
  const why: string[] = []
  for (let id = 0; id < replicas; id++) {
    const report = reports.get(id)
    if (report === undefined) why.push(`replica ${id} does not answer`)
    else if (!report.database.connected) why.push(`replica ${id} has no database`)
    else if (report.isAmnesiac) why.push(`replica ${id} has lost its vote log and does not vote yet`)
    else if (report.transfer !== null) why.push(`replica ${id} fetches the state of ${report.transfer.seq}`)
    else if (report.lastExecuted < highest)
      why.push(`replica ${id} is at ${report.lastExecuted}, not at ${highest}`)
  }
  return why
}
