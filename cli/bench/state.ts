import { table } from '../../client/format.ts'
import { EXIT, type ExitCode } from '../exit-code.ts'
import { UsageError } from '../failure.ts'
import { grouped } from '../words.ts'
import { fetchedBytes } from './state-bytes.ts'
import { changeAccounts, checkpointCost } from './state-checkpoint.ts'
import { benchServer, genesisWith } from './state-ledger.ts'
import { transferState } from './state-transfer.ts'

export type StateBenchOptions = {
  /** In the ledger of which checkpoints are taken. */
  readonly accounts?: number
  /** Between two checkpoints. */
  readonly changed?: number
  /** That a state transfer brings. */
  readonly transferred?: number
  readonly rounds?: number
  readonly json?: boolean
}

type Spread = { readonly min: number; readonly median: number; readonly max: number }

const spreadOf = (values: readonly number[]): Spread => {
  const sorted = values.toSorted((a, b) => a - b)
  const at = (part: number) => sorted[Math.round(part * (sorted.length - 1))] ?? 0
  return { min: at(0), median: at(0.5), max: at(1) }
}

export type StateBenchResult = {
  readonly accounts: number
  readonly changed: number
  readonly transferred: number
  readonly rounds: number
  /** From an existing database to a store with its tree. */
  readonly connectMs: number
  readonly checkpointMs: Spread
  readonly checkpointAloneMs: Spread
  readonly checkpointAloneCpuMs: Spread
  readonly stoppedMs: Spread
  readonly pauseMs: Spread
  readonly transferRowsPerSecond: Spread
  /** Of this process, both stores' sides. */
  readonly transferCpuMs: Spread
  readonly fetchedNeighboursPart: number
  readonly fetchedRandomPart: number
}

/**
 * [CP2] [CP3] [CP4] What holding and transferring state costs on this machine, without a network.
 * @throws UsageError
 */
export async function benchState(options: StateBenchOptions): Promise<ExitCode> {
  const { json = false } = options
  const { accounts = 1_000_000, changed = 10_000 } = options
  if (2 * changed > accounts) throw new UsageError('--changed: at most half of --accounts')
  const result = await measureState({
    accounts,
    changed,
    transferred: options.transferred ?? 100_000,
    rounds: options.rounds ?? 5,
  })
  if (json) process.stdout.write(`${JSON.stringify(result)}\n`)
  else print(result)
  return EXIT.pass
}

async function measureState(
  size: Pick<StateBenchResult, 'accounts' | 'changed' | 'transferred' | 'rounds'>,
): Promise<StateBenchResult> {
  const server = await benchServer()
  try {
    const checkpoints = await measureCheckpoints(server, size)
    const transfers: { readonly ms: number; readonly cpuMs: number }[] = []
    for (let round = 0; round < size.rounds; round++)
      transfers.push(await measureTransfer(server, size.transferred))
    const fetched = fetchedBytes(size.accounts)
    return {
      ...size,
      ...checkpoints,
      transferRowsPerSecond: spreadOf(transfers.map(({ ms }) => (1_000 * size.transferred) / ms)),
      transferCpuMs: spreadOf(transfers.map(({ cpuMs }) => cpuMs)),
      fetchedNeighboursPart: fetched.neighboursPart,
      fetchedRandomPart: fetched.randomPart,
    }
  } finally {
    await server.stop()
  }
}

type Server = Awaited<ReturnType<typeof benchServer>>

async function measureCheckpoints(
  server: Server,
  { accounts, changed, rounds }: Pick<StateBenchResult, 'accounts' | 'changed' | 'rounds'>,
) {
  const store = await server.store(genesisWith(accounts))
  await store.connect()
  const startedMs = performance.now()
  let { lastExecuted }: { lastExecuted: number } = await store.connect()
  const connectMs = performance.now() - startedMs
  const costs: Awaited<ReturnType<typeof checkpointCost>>[] = []
  for (let round = 0; round < rounds; round++) {
    const cost = await checkpointCost(store, { accounts, changed, lastExecuted })
    lastExecuted = cost.lastExecuted
    costs.push(cost)
  }
  await store.close()
  return {
    connectMs,
    checkpointMs: spreadOf(costs.map(({ totalMs }) => totalMs)),
    checkpointAloneMs: spreadOf(costs.map(({ aloneMs }) => aloneMs)),
    checkpointAloneCpuMs: spreadOf(costs.map(({ aloneCpuMs }) => aloneCpuMs)),
    stoppedMs: spreadOf(costs.map(({ stoppedMs }) => stoppedMs)),
    pauseMs: spreadOf(costs.map(({ pauseMs }) => pauseMs)),
  }
}

/** Between two stores, one of which executed what changed all accounts. */
async function measureTransfer(
  server: Server,
  transferred: number,
): Promise<{ readonly ms: number; readonly cpuMs: number }> {
  const genesis = genesisWith(transferred)
  const [from, to] = [await server.store(genesis), await server.store(genesis)]
  try {
    await from.connect()
    await to.connect()
    await changeAccounts(from, { first: 0, changed: transferred, lastExecuted: 0 })
    const { lastExecuted, chain, stateRoot } = await from.takeCheckpoint()
    const target = { seq: lastExecuted, chain, stateRoot: await stateRoot }
    const cpuBefore = process.cpuUsage()
    const { ms } = await transferState(from, to, target)
    const { user, system } = process.cpuUsage(cpuBefore)
    return { ms, cpuMs: (user + system) / 1_000 }
  } finally {
    await Promise.all([from.close(), to.close()])
  }
}

function print(result: StateBenchResult): void {
  const ms = ({ min, median, max }: Spread) =>
    `${median.toFixed(1)} [${min.toFixed(1)} - ${max.toFixed(1)}] ms`
  const part = (value: number) => `${(100 * value).toFixed(1)} % of a full transfer's bytes`
  const rate = result.transferRowsPerSecond
  const [low, middle, high] = [rate.min, rate.median, rate.max].map((value) => grouped(Math.round(value)))
  process.stdout.write(
    `${table(
      [
        `${grouped(result.accounts)} accounts, ${grouped(result.changed)} changed`,
        `median of ${result.rounds} [min - max]`,
      ],
      [
        ['connect, with all rows read', `${(result.connectMs / 1_000).toFixed(1)} s`],
        ['checkpoint, executing beside it', ms(result.checkpointMs)],
        ['checkpoint, alone', ms(result.checkpointAloneMs)],
        ['its CPU of this process', ms(result.checkpointAloneCpuMs)],
        ['execution stopped for it', ms(result.stoppedMs)],
        ['longest turn of the root', ms(result.pauseMs)],
        [`transfer of ${grouped(result.transferred)} rows`, `${middle} [${low} - ${high}] rows/s`],
        ['its CPU of this process', ms(result.transferCpuMs)],
        ['fetched for 1 % missing, neighbours', part(result.fetchedNeighboursPart)],
        ['fetched for 1 % missing, random', part(result.fetchedRandomPart)],
      ],
    )}\n`,
  )
}
