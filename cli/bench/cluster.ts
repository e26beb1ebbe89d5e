import { setTimeout as delay } from 'node:timers/promises'
import { Random } from '../../chaos/sim/random.ts'
import { abandon, Load, Tally } from '../../chaos/workload/load.ts'
import { drawOperation } from '../../chaos/workload/operations.ts'
import { costsBetween, meanBatch, type Resources, resourcesNow } from '../../chaos/workload/resources.ts'
import { type Bank, connect } from '../../client/client.ts'
import type { ClusterFiles } from '../../client/files.ts'
import { inspectReplicas } from '../../client/inspect.ts'
import { claimKeys } from '../client-key.ts'
import type { BenchOptions } from '../commands/bench.ts'
import { EXIT, type ExitCode } from '../exit-code.ts'
import type { Scope } from '../scope.ts'
import { makeTemporaryCluster } from '../temporary-cluster.ts'
import { grouped, plural, seconds } from '../words.ts'
import { ensureAccounts } from './accounts.ts'
import { type BenchResult, printResult } from './result.ts'

const SECOND_MS = 1_000
const INSPECT_TIMEOUT_MS = 5_000

export async function benchCluster(scope: Scope, options: BenchOptions): Promise<ExitCode> {
  const say = (line: string) => process.stderr.write(`${line}\n`)
  const directory = options.cluster ?? (await freshCluster(scope, options, say))
  // One more than the load needs: asking replicas how they are must not take a session from it.
  const keys = await claimKeys(directory, options.clients + 1)
  for (const key of keys) scope.defer(() => key.release())
  const [observer, ...loaders] = keys
  if (observer === undefined) throw new Error('keys were claimed')
  const banks = await Promise.all(loaders.map(({ files }) => connect({ cluster: files })))
  const loads: Load[] = []
  scope.defer(() => abandon(loads, banks))
  const result = await measure(scope, {
    options,
    banks,
    observer: observer.files,
    say,
    onLoad: (load) => loads.push(load),
  })
  if (options.json === true) process.stdout.write(`${JSON.stringify(result)}\n`)
  else printResult(result)
  return result.errors === 0 ? EXIT.pass : EXIT.fail
}

async function freshCluster(
  scope: Scope,
  { replicas, accounts }: BenchOptions,
  say: (line: string) => void,
): Promise<string> {
  say(`starting ${replicas} replicas with ${grouped(accounts)} accounts ...`)
  const { cluster, directory, isInMemory } = await makeTemporaryCluster(scope, {
    name: 'bench',
    replicas,
    accounts,
  })
  if (isInMemory)
    say(`${directory} is in memory: fsync costs nothing there, so a disk would give other figures`)
  await cluster.start()
  return directory
}

async function measure(
  scope: Scope,
  args: {
    readonly options: BenchOptions
    readonly banks: readonly Bank[]
    readonly observer: ClusterFiles
    readonly say: (line: string) => void
    readonly onLoad: (load: Load) => void
  },
): Promise<BenchResult> {
  const { options, banks, observer, say, onLoad } = args
  const { workload, concurrency } = options
  const [first] = banks
  if (first === undefined) throw new Error('there is a client')
  const accounts = await ensureAccounts(first, {
    existing: observer.genesis.accounts.map(({ id }) => id),
    wanted: options.accounts,
    mayOpen: options.cluster !== undefined,
  })
  const random = new Random(options.seed)
  say(
    `${workload}: ${plural(banks.length, 'client')} with ${concurrency} callers each, ${plural(accounts.length, 'account')}`,
  )
  const load = new Load(banks, {
    callersEach: concurrency,
    draw: () => drawOperation(workload, { random, accounts }),
  })
  onLoad(load)
  if (options.warmup > 0) say(`warming up for ${seconds(options.warmup * SECOND_MS)}`)
  await delay(options.warmup * SECOND_MS, undefined, { signal: scope.signal })
  const before = await look(observer)
  load.cut()
  const startedMs = performance.now()
  const total = new Tally()
  for (let second = 1; second <= options.seconds && !scope.signal.aborted; second++) {
    await delay(startedMs + second * SECOND_MS - performance.now())
    const tally = load.cut()
    total.add(tally)
    say(progressLine(second, tally))
  }
  const elapsedMs = performance.now() - startedMs
  const after = await look(observer)
  await load.stop()
  if (load.lastError !== undefined) say(`the last call without an answer: ${load.lastError.message}`)
  return resultOf({ options, accounts: accounts.length, total, elapsedMs, before, after })
}

const look = async (observer: ClusterFiles): Promise<Resources> =>
  resourcesNow((await inspectReplicas(observer, { timeoutMs: INSPECT_TIMEOUT_MS })).values())

function progressLine(second: number, { latencyUs, operations, errors }: Tally): string {
  const quantile = (share: number) => `${(latencyUs.quantile(share) / 1_000).toFixed(1)} ms`
  const rate = `${grouped(operations)} ops/s`.padStart(13)
  return `${String(second).padStart(4)} s ${rate}  p50 ${quantile(0.5)}  p99 ${quantile(0.99)}${errors > 0 ? `  ${errors} without an answer` : ''}`
}

function resultOf(args: {
  readonly options: BenchOptions
  readonly accounts: number
  readonly total: Tally
  readonly elapsedMs: number
  readonly before: Resources
  readonly after: Resources
}): BenchResult {
  const { options, accounts, total, elapsedMs, before, after } = args
  const { workload, clients, concurrency } = options
  const ms = (share: number) => round(total.latencyUs.quantile(share) / 1_000)
  return {
    workload,
    clients,
    concurrency,
    accounts,
    seconds: round(elapsedMs / SECOND_MS),
    throughputOps: Math.round((total.operations * SECOND_MS) / elapsedMs),
    latencyMs: { p50: ms(0.5), p95: ms(0.95), p99: ms(0.99), max: round(total.latencyUs.max / 1_000) },
    operations: total.operations,
    refused: total.refused,
    errors: total.errors,
    batchOperationsMean: round(meanBatch(before, after)),
    cpuUsPerOperation: Object.fromEntries(
      costsBetween(before, after, total.operations).map(({ process, cpuUsPerOperation }) => [
        process,
        round(cpuUsPerOperation),
      ]),
    ),
    memoryBytes: Object.fromEntries(
      [...after.replicas].map(([id, { rssBytes }]) => [`replica ${id}`, rssBytes]),
    ),
  }
}

const round = (value: number): number => Math.round(value * 1_000) / 1_000
