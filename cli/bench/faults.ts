import { setTimeout as delay } from 'node:timers/promises'
import { Random } from '../../chaos/sim/random.ts'
import { abandon, Load, Tally } from '../../chaos/workload/load.ts'
import { drawOperation } from '../../chaos/workload/operations.ts'
import { connect } from '../../client/client.ts'
import type { ClusterFiles } from '../../client/files.ts'
import { inspectReplicas } from '../../client/inspect.ts'
import type { ReplicaReport } from '../../protocol/inspection.ts'
import { BEHAVIOUR_NAMES, formatBehaviours } from '../../replica/byzantine/behaviour.ts'
import type { LocalCluster } from '../../replica/local-cluster.ts'
import { readBehaviours } from '../byzantine.ts'
import { claimKeys } from '../client-key.ts'
import type { BenchOptions } from '../commands/bench.ts'
import { EXIT, type ExitCode } from '../exit-code.ts'
import { type Scope, withInnerScope } from '../scope.ts'
import { makeTemporaryCluster } from '../temporary-cluster.ts'
import { grouped } from '../words.ts'
import type { BenchFault } from './fault-kinds.ts'

const SECOND_MS = 1_000
const INSPECT_TIMEOUT_MS = 1_000
/** How long after a kill the new primary's first commit is looked for, and how long a backup is down. */
const LOOK_MS = 5_000
const DOWN_MS = 10_000
/** A view that a liar leads must end within this, or it goes on in it. */
const ENOUGH_MS = 15_000
const CAUGHT_UP_MS_MAX = 60_000
const LOOK_AGAIN_MS = 20
/** So close to the others a replica has caught up: what is under way at any moment. */
const CAUGHT_UP_SEQS = 32

export type FaultResult = {
  readonly fault: BenchFault
  readonly rounds: readonly Round[]
  /** Views entered by any replica that no round explains. */
  readonly viewsBeyondRounds: number
  readonly errors: number
}

export type Round =
  | {
      readonly fault: 'none'
      readonly throughputOps: number
      readonly seconds: number
    }
  | {
      readonly fault: 'primary'
      readonly throughputOps: number
      /** From the kill to the first answer after the silence that it caused. */
      readonly firstCommitMs: number
    }
  | {
      readonly fault: 'backup'
      /** Before; while it was down; from its return until it had caught up. */
      readonly throughputOps: readonly [number, number, number]
      /** From its return, its start included. */
      readonly caughtUpMs: number
      readonly missedSeqs: number
    }
  | {
      readonly fault: 'liar'
      readonly behaviours: string
      /** Before; from its first lie to the next view, or for 15 s; while it went on. */
      readonly throughputOps: readonly [number, number, number]
      /** From its first lie, which it tells as the primary, to the next view; null: none within 15 s. */
      readonly replacedMs: number | null
    }

type Bench = {
  readonly scope: Scope
  readonly cluster: LocalCluster
  readonly observer: ClusterFiles
  readonly load: Load
  readonly options: BenchOptions
  readonly total: Tally
  readonly say: (line: string) => void
}

/** Load on a new cluster, and in each round a kill -9; or on a new one in each, whose primary begins to lie. */
export async function benchFaults(
  scope: Scope,
  options: BenchOptions & { readonly fault: BenchFault },
): Promise<ExitCode> {
  const { fault } = options
  const total = new Tally()
  const rounds: Round[] = []
  let viewsBeyondRounds = 0
  try {
    for (const plays of clustersOf(fault, options)) {
      await withInnerScope(scope, async (inner) => {
        const bench = await startBench(inner, { options, total })
        const viewBefore = highestView(await reports(bench))
        for (const play of plays) {
          const done = await play(bench)
          rounds.push(done)
          bench.say(`${rounds.length}: ${JSON.stringify(done)}`)
        }
        const explained = fault === 'primary' ? plays.length : 0
        viewsBeyondRounds += highestView(await reports(bench)) - viewBefore - explained
      })
    }
  } finally {
    // What was measured is not lost to a cluster that fails, or cannot be ended.
    if (rounds.length > 0 && !scope.signal.aborted)
      print({ fault, rounds, viewsBeyondRounds, errors: total.errors }, options.json === true)
  }
  return total.errors === 0 && (fault === 'liar' || viewsBeyondRounds <= 0) ? EXIT.pass : EXIT.fail
}

/** A new cluster under load that is warm. */
async function startBench(
  scope: Scope,
  { options, total }: { readonly options: BenchOptions; readonly total: Tally },
): Promise<Bench> {
  const say = (line: string) => process.stderr.write(`${line}\n`)
  const { replicas, accounts, clients, concurrency, workload, seed, fault } = options
  say(`starting ${replicas} replicas with ${grouped(accounts)} accounts ...`)
  const { cluster, directory } = await makeTemporaryCluster(scope, {
    name: 'bench',
    replicas,
    accounts,
    allowByzantine: fault === 'liar',
  })
  await cluster.start()
  const keys = await claimKeys(directory, clients + 1)
  for (const key of keys) scope.defer(() => key.release())
  const [observer, ...loaders] = keys
  if (observer === undefined) throw new Error('keys were claimed')
  const banks = await Promise.all(loaders.map(({ files }) => connect({ cluster: files })))
  const random = new Random(seed)
  const ids = observer.files.genesis.accounts.map(({ id }) => id)
  const load = new Load(banks, {
    callersEach: concurrency,
    draw: () => drawOperation(workload, { random, accounts: ids }),
    ...(options.rate === undefined ? {} : { operationsPerSecond: options.rate }),
  })
  scope.defer(() => abandon([load], banks))
  await delay(options.warmup * SECOND_MS, undefined, { signal: scope.signal })
  load.cut()
  return { scope, cluster, observer: observer.files, load, options, total, say }
}

type Play = (bench: Bench) => Promise<Round>

/**
 * The rounds on each cluster. A liar has one of its own: replicas that replaced a primary for being slow are more lenient
 * afterwards [NC10].
 */
function clustersOf(
  fault: BenchFault,
  { rounds, byzantine = BEHAVIOUR_NAMES, replicas }: BenchOptions,
): readonly (readonly Play[])[] {
  const each = (play: Play): Play[] => Array.from({ length: rounds }, () => play)
  switch (fault) {
    case 'none':
      return [[quiet]]
    case 'primary':
      return [each(killPrimary)]
    case 'backup':
      return [each(killBackup)]
    case 'liar': {
      const texts = byzantine.map((text) => formatBehaviours(readBehaviours(text, { replicas })))
      return texts.flatMap((behaviours) => each((bench) => lie(bench, behaviours)).map((play) => [play]))
    }
  }
}

async function quiet(bench: Bench): Promise<Round> {
  const { seconds } = bench.options
  let slowest = Number.POSITIVE_INFINITY
  const startedMs = performance.now()
  let operations = 0
  for (let second = 0; second < seconds; second++) {
    const rate = await measureFor(bench, SECOND_MS)
    slowest = Math.min(slowest, rate.operations)
    operations += rate.operations
    if ((second + 1) % 10 === 0) bench.say(`${second + 1} s  ${grouped(rate.operations)} ops/s`)
  }
  const elapsedMs = performance.now() - startedMs
  return { fault: 'none', throughputOps: perSecond(operations, elapsedMs), seconds: elapsedMs / SECOND_MS }
}

async function killPrimary(bench: Bench): Promise<Round> {
  const before = await measureFor(bench, bench.options.seconds * SECOND_MS)
  const primary = primaryOf(await reports(bench))
  bench.load.cutSilence()
  const killedMs = performance.now()
  await bench.cluster.killReplica(primary)
  await measureFor(bench, LOOK_MS)
  const silence = bench.load.cutSilence()
  await bench.cluster.startReplica(primary)
  await untilCaughtUp(bench, primary)
  return {
    fault: 'primary',
    throughputOps: before.operationsPerSecond,
    firstCommitMs: Math.round(silence.endedMs - killedMs),
  }
}

async function killBackup(bench: Bench): Promise<Round> {
  const before = await measureFor(bench, bench.options.seconds * SECOND_MS)
  const all = await reports(bench)
  const primary = primaryOf(all)
  const backup = (primary + 1) % bench.cluster.genesis.replicas.length
  const stoodAt = all.get(backup)?.lastExecuted ?? 0
  await bench.cluster.killReplica(backup)
  const down = await measureFor(bench, DOWN_MS)
  const missedTo = Math.max(...[...(await reports(bench)).values()].map(({ lastExecuted }) => lastExecuted))
  bench.load.cut()
  const returnedMs = performance.now()
  await bench.cluster.startReplica(backup)
  await untilCaughtUp(bench, backup)
  const caughtUpMs = performance.now() - returnedMs
  const after = take(bench, caughtUpMs)
  return {
    fault: 'backup',
    throughputOps: [before.operationsPerSecond, down.operationsPerSecond, after.operationsPerSecond],
    caughtUpMs: Math.round(caughtUpMs),
    missedSeqs: missedTo - stoodAt,
  }
}

async function lie(bench: Bench, behaviours: string): Promise<Round> {
  const ms = bench.options.seconds * SECOND_MS
  const before = await measureFor(bench, ms)
  const all = await reports(bench)
  const liar = primaryOf(all)
  const view = highestView(all)
  bench.load.cut()
  const startedMs = performance.now()
  await bench.cluster.control(liar, { kind: 'byzantine', behaviours })
  let isReplaced = false
  while (!isReplaced && performance.now() - startedMs < ENOUGH_MS) {
    await delay(LOOK_AGAIN_MS, undefined, { signal: bench.scope.signal })
    isReplaced = highestView(await reports(bench)) > view
  }
  const replacedMs = performance.now() - startedMs
  const first = take(bench, replacedMs)
  const lying = await measureFor(bench, ms)
  return {
    fault: 'liar',
    behaviours,
    throughputOps: [before.operationsPerSecond, first.operationsPerSecond, lying.operationsPerSecond],
    replacedMs: isReplaced ? Math.round(replacedMs) : null,
  }
}

async function untilCaughtUp(bench: Bench, id: number): Promise<void> {
  const startedMs = performance.now()
  while (performance.now() - startedMs < CAUGHT_UP_MS_MAX) {
    const all = await reports(bench)
    const others = [...all].filter(([other]) => other !== id).map(([, { lastExecuted }]) => lastExecuted)
    const own = all.get(id)
    if (own !== undefined && own.lastExecuted + CAUGHT_UP_SEQS >= Math.max(...others)) return
    await delay(LOOK_AGAIN_MS, undefined, { signal: bench.scope.signal })
  }
  throw new Error(`replica ${id} did not catch up within ${CAUGHT_UP_MS_MAX / SECOND_MS} s`)
}

type Rate = { readonly operations: number; readonly operationsPerSecond: number }

async function measureFor(bench: Bench, ms: number): Promise<Rate> {
  bench.load.cut()
  const startedMs = performance.now()
  await delay(ms, undefined, { signal: bench.scope.signal })
  return take(bench, performance.now() - startedMs)
}

function take({ load, total }: Bench, elapsedMs: number): Rate {
  const tally = load.cut()
  total.add(tally)
  return { operations: tally.operations, operationsPerSecond: perSecond(tally.operations, elapsedMs) }
}

const perSecond = (operations: number, elapsedMs: number): number =>
  Math.round((operations * SECOND_MS) / elapsedMs)

async function reports({ observer }: Bench): Promise<Map<number, ReplicaReport>> {
  const found = await inspectReplicas(observer, { timeoutMs: INSPECT_TIMEOUT_MS })
  return new Map([...found].map(([id, report]) => [Number(id), report]))
}

const highestView = (all: ReadonlyMap<number, ReplicaReport>): number =>
  Math.max(0, ...[...all.values()].map(({ view }) => view))

/** Of the highest view that a replica entered. */
function primaryOf(all: ReadonlyMap<number, ReplicaReport>): number {
  const newest = [...all.values()].sort((a, b) => b.view - a.view)[0]
  if (newest === undefined) throw new Error('no replica says how it is')
  return newest.primary
}

/** Percent of what it was before. */
const shareOf = (before: number) => (rate: number) => `${((100 * rate) / before).toFixed(0)} %`

function print(result: FaultResult, json: boolean): void {
  if (json) {
    process.stdout.write(`${JSON.stringify(result)}\n`)
    return
  }
  const out = (line: string) => process.stdout.write(`${line}\n`)
  for (const round of result.rounds) {
    switch (round.fault) {
      case 'none':
        out(`${grouped(round.throughputOps)} operations/s for ${round.seconds.toFixed(0)} s`)
        break
      case 'primary':
        out(
          `primary killed at ${grouped(round.throughputOps)} operations/s: first commit after ${round.firstCommitMs} ms`,
        )
        break
      case 'backup': {
        const [before, down, after] = round.throughputOps
        const share = shareOf(before)
        out(
          `backup down for ${DOWN_MS / SECOND_MS} s at ${grouped(before)} operations/s: ${share(down)} meanwhile, ` +
            `${share(after)} while it caught up ${grouped(round.missedSeqs)} batches in ${(round.caughtUpMs / SECOND_MS).toFixed(1)} s`,
        )
        break
      }
      case 'liar': {
        const [before, first, lying] = round.throughputOps
        const share = shareOf(before)
        const until =
          round.replacedMs === null
            ? `${share(first)} in ${ENOUGH_MS / SECOND_MS} s as the primary, which it remained`
            : `${share(first)} until the next view, after ${(round.replacedMs / SECOND_MS).toFixed(1)} s`
        out(
          `${round.behaviours}: at ${grouped(before)} operations/s: ${until}; ${share(lying)} while it went on`,
        )
        break
      }
    }
  }
  const views =
    result.fault === 'liar' ? '' : `views entered that no kill explains: ${result.viewsBeyondRounds}; `
  out(`${views}calls without an answer: ${result.errors}`)
}
