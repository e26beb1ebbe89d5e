import { setTimeout as delay } from 'node:timers/promises'
import type { ClusterFiles } from '../../client/files.ts'
import { inspectReplicas } from '../../client/inspect.ts'
import type { ReplicaReport } from '../../protocol/inspection.ts'
import { replicaId } from '../../protocol/types.ts'

const LOOK_AGAIN_MS = 100
/** One that is down does not answer at all; the others do at once. */
const ANSWER_TIMEOUT_MS = 400
const PATIENCE_MS = 30_000

type Reports = ReadonlyMap<number, ReplicaReport>

/** Asks the replicas how they are, again and again, with a client key of its own. */
export class Observer {
  readonly #files: ClusterFiles
  readonly #signal: AbortSignal

  /** @param signal ends every wait */
  constructor(files: ClusterFiles, signal: AbortSignal) {
    this.#files = files
    this.#signal = signal
  }

  look(): Promise<Reports> {
    return inspectReplicas(this.#files, { timeoutMs: ANSWER_TIMEOUT_MS })
  }

  /** The highest sequence number that any replica has executed. */
  async highest(): Promise<number> {
    const reports = await this.look()
    return Math.max(0, ...[...reports.values()].map(({ lastExecuted }) => lastExecuted))
  }

  /** @throws Error that names `what` when it does not come true */
  async until(what: string, isTrue: (reports: Reports) => boolean): Promise<Reports> {
    const deadlineMs = performance.now() + PATIENCE_MS
    while (performance.now() < deadlineMs) {
      const reports = await this.look()
      if (isTrue(reports)) return reports
      await delay(LOOK_AGAIN_MS, undefined, { signal: this.#signal })
    }
    throw new Error(`waited ${PATIENCE_MS / 1_000} s in vain until ${what}`)
  }

  /** Until it has executed all that anybody had executed one look before. */
  async untilCaughtUp(replica: number): Promise<ReplicaReport> {
    let target = Number.POSITIVE_INFINITY
    const reports = await this.until(`replica ${replica} has caught up`, (reports) => {
      const own = reports.get(replica)
      const reached = own !== undefined && own.lastExecuted >= target
      target = Math.max(0, ...[...reports.values()].map(({ lastExecuted }) => lastExecuted))
      return reached
    })
    const report = reports.get(replicaId(replica))
    if (report === undefined) throw new Error('it answered just now')
    return report
  }
}
