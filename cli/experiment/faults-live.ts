import { check } from '../../chaos/check/check.ts'
import type { Cell, Settings } from '../../chaos/experiments/faults/choices.ts'
import { writeUntilSilent } from '../../chaos/experiments/faults/live-loop.ts'
import type { FaultRun } from '../../chaos/experiments/faults/result.ts'
import type { SimJob } from '../../chaos/experiments/faults/sim-run.ts'
import { highestOf } from '../../chaos/experiments/watch.ts'
import { LiveCluster } from '../../chaos/live/live-cluster.ts'
import { Random } from '../../chaos/sim/random.ts'
import { connect } from '../../client/client.ts'
import type { ReplicaReport } from '../../protocol/inspection.ts'
import { sourcesOfCluster } from '../check/sources.ts'
import { accountsOf } from '../new-cluster.ts'
import { Scope } from '../scope.ts'
import { makeTemporaryDirectory } from '../temporary-directory.ts'

const ACCOUNTS = 5
/** For databases that lag behind, before the checker looks. */
const SETTLE_MS_MAX = 2_000

/** One run with real processes, on a cluster of its own that is gone when this returns. */
export async function runLive(outer: Scope, job: SimJob): Promise<FaultRun> {
  const scope = new Scope()
  let closing: Promise<unknown[]> | undefined
  const close = () => {
    closing ??= scope.close()
    return closing
  }
  outer.defer(close)
  try {
    return await scope.run(() => measure(scope, { job, signal: outer.signal }))
  } finally {
    const [failure] = await close()
    if (failure !== undefined) process.stderr.write(`after a run: ${String(failure)}\n`)
  }
}

async function measure(
  scope: Scope,
  { job, signal }: { readonly job: SimJob; readonly signal: AbortSignal },
): Promise<FaultRun> {
  const { cell, settings, seed, run } = job
  const halted = new Set<number>()
  const cluster = await serve(scope, { job, halted })
  const banks = []
  for (let index = 0; index < settings.clients; index++) {
    const bank = await connect({ cluster: await cluster.clientFiles(index) })
    scope.defer(() => bank.close())
    banks.push(bank)
  }
  const before = await correctOf(cluster, cell)
  await strike(cluster, { cell, settings })
  const startedMs = performance.now()
  const random = new Random(seed)
  const accounts = cluster.genesis.accounts.map(({ id }) => id)
  const latenciesMs = await writeUntilSilent({
    banks,
    writes: settings.writes,
    draw: () => ({ kind: 'deposit', account: random.pick(accounts), amount: 1n }),
    deadlineMs: settings.deadlineMs,
    signal,
  })
  const seconds = (performance.now() - startedMs) / 1_000
  const after = await correctOf(cluster, cell)
  cluster.network.heal()
  return {
    ...{ ...cell, runtime: 'real' as const, seed, run, writes: settings.writes, latenciesMs, seconds },
    violation: await violationOf(scope, { cluster, cell, halted }),
    batches: highestOf(after) - highestOf(before),
    viewChanges: Math.max(0, ...[...after.values()].map(({ view }) => view)),
    messages: sentBetween(before, after),
    datagrams: null,
  }
}

async function serve(
  scope: Scope,
  { job, halted }: { readonly job: SimJob; readonly halted: Set<number> },
): Promise<LiveCluster> {
  const { cell, settings, seed } = job
  const { replicas } = cell
  const made = await makeTemporaryDirectory(scope, { name: 'experiment', replicas, keeps: () => false })
  const cluster = await LiveCluster.make(
    made.cluster,
    {
      ...{ replicas, seed, accounts: accountsOf(ACCOUNTS), clients: settings.clients },
      postgres: ['embedded'],
      tuning: { viewChangeTimeoutMs: settings.viewChangeTimeoutMs },
      allowByzantine: true,
      archive: true,
      databaseProxy: false,
    },
    (event) => {
      if (event.kind === 'died') halted.add(event.replica)
    },
  )
  scope.defer(() => cluster.stop())
  await cluster.start()
  await made.noteHomes()
  return cluster
}

/** From here on every link is late and lossy, and the malicious replicas are what they are. */
async function strike(
  cluster: LiveCluster,
  { cell, settings }: { readonly cell: Cell; readonly settings: Settings },
): Promise<void> {
  const ends = [...cluster.replicas, 'clients' as const]
  const links = ends.flatMap((from) => ends.map((to) => ({ from, to }))).filter(({ from, to }) => from !== to)
  const { min, max } = settings.delayMs
  cluster.network.add(links, { loss: cell.drop, delayMs: (min + max) / 2, jitterMs: (max - min) / 2 })
  for (let id = 0; id < cell.malicious; id++) {
    await cluster.control(id, { kind: 'byzantine', behaviours: cell.byzantine })
  }
}

async function correctOf(cluster: LiveCluster, { malicious }: Cell): Promise<Map<number, ReplicaReport>> {
  const reports = await cluster.reports()
  return new Map([...reports].filter(([id]) => id >= malicious))
}

function sentBetween(
  before: ReadonlyMap<number, ReplicaReport>,
  after: ReadonlyMap<number, ReplicaReport>,
): Record<string, number> {
  const sum: Record<string, number> = {}
  for (const [id, { sent }] of after) {
    for (const [type, count] of Object.entries(sent)) {
      sum[type] = (sum[type] ?? 0) + count - (before.get(id)?.sent[type] ?? 0)
    }
  }
  return sum
}

/** The checker's word over what the correct replicas hold; what cannot be told is no violation. */
async function violationOf(
  scope: Scope,
  args: { readonly cluster: LiveCluster; readonly cell: Cell; readonly halted: ReadonlySet<number> },
): Promise<string | null> {
  const { cluster, cell, halted } = args
  const isCorrect = (replica: number | null) => replica !== null && replica >= cell.malicious
  const { sources } = await sourcesOfCluster(scope, {
    directory: cluster.directory,
    waitMs: SETTLE_MS_MAX,
    history: null,
  })
  const { properties } = await check({
    ...sources,
    logs: sources.logs.filter(({ replica }) => isCorrect(replica)),
    databases: sources.databases.filter(({ meta }) => isCorrect(meta.replica)),
    expected: { logs: false, wholeLogs: false, history: false },
  })
  const [broken] = properties.flatMap(({ property, findings }) =>
    findings.map(({ what }) => `${property}: ${what}`),
  )
  if (broken !== undefined) return broken
  const stopped = [...halted].filter(isCorrect)
  return stopped.length === 0 ? null : `halted: replica ${stopped.join(', ')} ended by itself`
}
