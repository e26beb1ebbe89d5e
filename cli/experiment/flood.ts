import { type FloodResult, measureFlood } from '../../chaos/experiments/flood/flood.ts'
import { thisMachine } from '../../chaos/experiments/machine.ts'
import { Random } from '../../chaos/sim/random.ts'
import { FLOOD_KINDS } from '../../chaos/workload/flood/floods.ts'
import { abandon, Load } from '../../chaos/workload/load.ts'
import { drawOperation } from '../../chaos/workload/operations.ts'
import { connect } from '../../client/client.ts'
import { inspectReplicas } from '../../client/inspect.ts'
import { claimKeys } from '../client-key.ts'
import type { FloodOptions } from '../commands/experiment-flood.ts'
import { EXIT, type ExitCode } from '../exit-code.ts'
import type { Scope } from '../scope.ts'
import { makeTemporaryCluster } from '../temporary-cluster.ts'
import { grouped, plural } from '../words.ts'

const REPLICAS = 4
const ACCOUNTS = 1_000
const INSPECT_TIMEOUT_MS = 5_000

export async function experimentFlood(scope: Scope, options: FloodOptions): Promise<ExitCode> {
  const { kinds, clients, callers, json = false } = options
  const say = (line: string) => process.stderr.write(`${line}\n`)
  const { cluster, directory } = await makeTemporaryCluster(scope, {
    name: 'flood',
    replicas: REPLICAS,
    accounts: ACCOUNTS,
  })
  await cluster.start()
  const keys = await claimKeys(directory, clients + 2)
  for (const key of keys) scope.defer(() => key.release())
  const [flooder, observer, ...others] = keys
  if (flooder === undefined || observer === undefined) throw new Error('keys were claimed')
  const banks = await Promise.all(others.map(({ files }) => connect({ cluster: files })))
  const random = new Random(1)
  const accounts = observer.files.genesis.accounts.map(({ id }) => id)
  const load = new Load(banks, {
    callersEach: callers,
    draw: () => drawOperation('transfer', { random, accounts }),
  })
  scope.defer(() => abandon([load], banks))
  const results: FloodResult[] = []
  for (const kind of kinds) {
    say(`${kind}: ${FLOOD_KINDS[kind]}`)
    const result = await measureFlood({
      ...options,
      kind,
      perSecond: options.rate,
      flooder: flooder.files,
      load,
      signal: scope.signal,
      onPair: ({ deadOps, floodedOps }) =>
        say(`  ${grouped(deadOps)} ops/s beside the flood, ${grouped(floodedOps)} under it`),
    })
    results.push(result)
  }
  const reports = await inspectReplicas(observer.files, { timeoutMs: INSPECT_TIMEOUT_MS })
  const views = Math.max(...[...reports.values()].map(({ view }) => view))
  const command = { machine: thisMachine(), options, results, views }
  process.stdout.write(
    json ? `${JSON.stringify(command)}\n` : `${textOf(results, options)}\nviews: ${views}\n`,
  )
  return results.every((result) => isKept(result, options.share)) ? EXIT.pass : EXIT.fail
}

const isKept = ({ share, pairs }: FloodResult, percent: number): boolean =>
  share.median * 100 >= percent && pairs.every(({ errors }) => errors === 0)

function textOf(results: readonly FloodResult[], { clients, callers }: FloodOptions): string {
  const rows = results.map(({ kind, sentPerSecond, pairs, share }) => {
    const percent = (value: number) => `${Math.round(value * 100)} %`
    const shares = `${percent(share.median)} [${percent(share.low)}, ${percent(share.high)}]`
    const dead = Math.round(pairs.reduce((sum, { deadOps }) => sum + deadOps, 0) / pairs.length)
    const flooded = Math.round(pairs.reduce((sum, { floodedOps }) => sum + floodedOps, 0) / pairs.length)
    return `| ${kind} | ${grouped(sentPerSecond)} | ${grouped(dead)} | ${grouped(flooded)} | ${shares} |`
  })
  return [
    `${plural(clients, 'client')} with ${plural(callers, 'caller')} each, ${plural(results[0]?.pairs.length ?? 0, 'pair')}; share: median [low, high]`,
    '',
    '| flood | sent to each replica, 1/s | ops/s, dead port | ops/s, flooded | share |',
    '| --- | ---: | ---: | ---: | ---: |',
    ...rows,
  ].join('\n')
}
