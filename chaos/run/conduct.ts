import { mkdir, writeFile } from 'node:fs/promises'
import { arch, cpus, platform, release, totalmem } from 'node:os'
import type { LocalClusterEvent } from '../../replica/local-cluster.ts'
import type { CheckReport } from '../check/check.ts'
import { checkRun } from '../check/check-run.ts'
import { dumpDatabase } from '../check/dump/dump-database.ts'
import { LiveCluster } from '../live/live-cluster.ts'
import type { Plan } from '../plan/plan.ts'
import { ChaosRun, type RunRecord, runAccounts } from './chaos-run.ts'
import { collectCluster, logLinesOf } from './collect.ts'
import { demandOutcomes } from './demands.ts'
import { junitOf } from './junit.ts'
import { replicaPaths, runPaths } from './layout.ts'
import type { RunProgress } from './progress.ts'
import { judgeRun, type RunEvidence, type RunVerdict } from './verdict.ts'

const BALANCE = 1_000n

export type ConductOptions = {
  readonly plan: Plan
  /** As it was given, or written for a profile. */
  readonly planText: string
  readonly seed: number
  /** Of the run; made here. */
  readonly directory: string
  /** Where the cluster is made, and removed by the caller. */
  readonly clusterDirectory: string
  readonly postgres: readonly string[]
  /** The command that does the same again. */
  readonly repeat: string
  readonly signal: AbortSignal
  readonly onProgress: (progress: RunProgress) => void
  readonly say: (line: string) => void
  /** The cluster exists: whatever happens from here on, it must be stopped. */
  readonly onCluster: (cluster: LiveCluster) => void
  /** All replicas serve, and their databases are where they stay. */
  readonly onServing: () => Promise<void>
}

/** What `results.json` holds. */
export type RunResults = {
  readonly version: 1
  readonly verdict: RunVerdict
  /** Why it is no pass. */
  readonly reasons: readonly string[]
  readonly name: string
  readonly seed: number
  readonly repeat: string
  readonly startedAt: string
  readonly elapsedMs: number
  readonly replicas: number
  readonly load: RunRecord['load'] & { readonly floor: number }
  readonly faults: { readonly struck: number; readonly byKind: Readonly<Record<string, number>> }
  readonly demands: RunEvidence['demands']
  readonly incidents: readonly string[]
  readonly check: CheckReport
}

/** A whole run: cluster, load, plan, collection, judgement. Everything is in its directory when this resolves. */
export async function conductRun(options: ConductOptions): Promise<RunResults> {
  const { plan, directory, say } = options
  const startedAt = new Date().toISOString()
  await mkdir(directory, { recursive: true })
  await describeRun(options, startedAt)
  let run: ChaosRun | undefined
  const cluster = await makeCluster(options, (event) => {
    if (event.kind !== 'died') return
    run?.onReplicaEnded(event.replica, event.exit.lastWords || String(event.exit.signal))
  })
  options.onCluster(cluster)
  say(`starting ${plan.cluster.replicas} replicas, each with a database of its own ...`)
  await cluster.start()
  await options.onServing()
  run = new ChaosRun({ ...options, cluster })
  const record = await run.run()
  const datagrams = cluster.network.counters()
  say('the load has ended: collecting rows and logs ...')
  for (const id of cluster.replicas) {
    await dumpDatabase(cluster.database(id).url, replicaPaths(directory, id).database).catch((error) => {
      // The server of a replica that ended by itself ended with it. What the others left is judged all the same.
      run?.incident(`the rows of replica ${id} cannot be read: ${error.message}`)
    })
  }
  await cluster.stop()
  await collectCluster(cluster.directory, { run: directory, replicas: cluster.replicas })
  say('checking ...')
  const check = await checkRun(directory)
  const logs = new Map(
    await Promise.all(cluster.replicas.map(async (id) => [id, await logLinesOf(directory, id)] as const)),
  )
  const demands = demandOutcomes(plan.demands, { logs, faults: record.faults, datagrams })
  return writeResults({ options, startedAt, record, check, demands })
}

const makeCluster = (
  { plan, seed, clusterDirectory, postgres }: ConductOptions,
  onEvent: (event: LocalClusterEvent) => void,
): Promise<LiveCluster> => {
  const { hot, cold } = runAccounts(plan)
  const { replicas, checkpointInterval, viewChangeTimeoutMs, scrubIntervalMs } = plan.cluster
  return LiveCluster.make(
    clusterDirectory,
    {
      replicas,
      accounts: [...hot, ...cold].map((id) => ({ id, balance: BALANCE })),
      clients: plan.load.clients,
      withLyingClient: plan.load.liars.length > 0,
      checkpointInterval,
      tuning: { viewChangeTimeoutMs, scrubIntervalMs },
      seed,
      postgres,
      allowByzantine: plan.allowByzantine,
      archive: true,
      traceMessages: true,
    },
    onEvent,
  )
}

/** What `run.json` holds: enough to know what ran, also when nothing came of it. */
function describeRun({ plan, planText, seed, repeat, directory }: ConductOptions, startedAt: string) {
  const paths = runPaths(directory)
  const [cpu] = cpus()
  const machine = {
    cpu: cpu?.model ?? 'unknown',
    cores: cpus().length,
    memoryBytes: totalmem(),
    system: `${platform()} ${release()} ${arch()}`,
    node: process.version,
  }
  const described = { version: 1, name: plan.name, seed, repeat, startedAt, machine }
  return Promise.all([
    writeFile(paths.run, `${JSON.stringify(described, null, 2)}\n`),
    writeFile(paths.plan, planText),
  ])
}

async function writeResults(args: {
  readonly options: ConductOptions
  readonly startedAt: string
  readonly record: RunRecord
  readonly check: CheckReport
  readonly demands: RunEvidence['demands']
}): Promise<RunResults> {
  const { options, startedAt, record, check, demands } = args
  const { plan, seed, repeat, directory } = options
  const { floor } = plan.load
  const evidence: RunEvidence = {
    check: {
      verdict: check.verdict,
      properties: check.properties.map((one) => ({ ...one, findings: one.findings.map(({ what }) => what) })),
    },
    incidents: record.incidents,
    demands,
    load: { operationsPerSecond: record.load.operationsPerSecond, floor },
    interrupted: record.interrupted,
  }
  const results: RunResults = {
    version: 1,
    ...judgeRun(evidence),
    name: plan.name,
    seed,
    repeat,
    startedAt,
    elapsedMs: Math.round(record.elapsedMs),
    replicas: plan.cluster.replicas,
    load: { ...record.load, floor },
    faults: countFaults(record),
    demands,
    incidents: record.incidents,
    check,
  }
  const paths = runPaths(directory)
  await writeFile(paths.results, `${JSON.stringify(results, null, 2)}\n`)
  await writeFile(paths.junit, junitOf(`chaos ${plan.name}`, evidence, record.elapsedMs / 1_000))
  return results
}

function countFaults({ faults }: RunRecord): RunResults['faults'] {
  const begun = faults.filter(({ phase }) => phase === 'begin')
  const byKind: Record<string, number> = {}
  for (const { kind, action } of begun) {
    const name = `${kind} ${action}`
    byKind[name] = (byKind[name] ?? 0) + 1
  }
  return { struck: begun.length, byKind }
}
