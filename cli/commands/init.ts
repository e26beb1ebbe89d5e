import type { Command } from 'commander'
import { quorumOf } from '../../protocol/quorum.ts'
import { bundleOf } from '../../replica/local-cluster/layout.ts'
import { loadCluster } from '../../replica/local-cluster.ts'
import { examples, wholeNumber } from '../arguments.ts'
import { EXIT, type ExitCode } from '../exit-code.ts'
import { invocation } from '../invocation.ts'
import { describeFaults, makeCluster } from '../new-cluster.ts'
import { REPLICAS_OPTION_MAX } from './limits.ts'

type Options = {
  readonly dir: string
  readonly replicas?: number
  readonly hosts?: string
  readonly postgres: readonly string[]
  readonly image?: string
  readonly accounts?: number
  readonly checkpointInterval?: number
  readonly allowByzantine?: boolean
  readonly json?: boolean
}

export function define(command: Command, exit: (code: ExitCode) => void): void {
  command
    .requiredOption('--dir <directory>', 'where to write; must be empty or not exist')
    .option(
      '--replicas <n>',
      'how many replicas, at least 4 (default: 4, or one per host)',
      wholeNumber(0, REPLICAS_OPTION_MAX),
    )
    .option('--hosts <addresses>', 'comma-separated IP addresses, one per replica (default: this machine)')
    .option('--postgres <how...>', 'embedded, docker, or one database URL per replica', ['embedded'])
    .option('--image <name>', 'container image for --postgres docker')
    .option('--accounts <n>', 'numbered accounts (default: ten accounts, A to J)', wholeNumber(1, 1_000_000))
    .option('--checkpoint-interval <k>', 'sequence numbers between two checkpoints', wholeNumber(1, 65_536))
    .option('--allow-byzantine', 'for laboratories: replicas of this cluster may be told to lie')
    .option('--json', 'print one JSON document')
    .addHelpText(
      'after',
      examples(
        'pbft init --dir bank                                    four replicas on this machine',
        'pbft init --dir bank --hosts 10.0.0.1,10.0.0.2,10.0.0.3,10.0.0.4',
        'pbft init --dir bank --postgres postgresql://u:p@a/l postgresql://u:p@b/l postgresql://u:p@c/l postgresql://u:p@d/l',
      ),
    )
    .action(async (options: Options) => exit(await init(options)))
}

async function init(options: Options): Promise<ExitCode> {
  const { dir, json = false } = options
  const hosts = options.hosts?.split(',').map((host) => host.trim())
  const replicas = options.replicas ?? hosts?.length ?? 4
  await makeCluster(dir, { ...options, hosts, replicas })
  const { genesis, cluster } = await loadCluster(dir)
  const bundles = cluster.replicas.map(({ id, host, port }) => ({
    id,
    host,
    port,
    bundle: bundleOf(dir, id),
  }))
  if (json) {
    const { f, quorum } = quorumOf(replicas)
    const summary = {
      directory: dir,
      clusterId: genesis.clusterId,
      genesis: genesis.digest,
      replicas,
      f,
      quorum,
      bundles,
    }
    process.stdout.write(`${JSON.stringify(summary)}\n`)
    return EXIT.pass
  }
  process.stdout.write(`made a cluster of ${replicas} replicas in ${dir}: ${describeFaults(replicas)}\n`)
  for (const { id, host, port, bundle } of bundles) {
    process.stdout.write(`  replica ${id}  ${host}:${port}  ${bundle}\n`)
  }
  process.stdout.write(
    hosts === undefined
      ? `run it all here:     ${invocation()} up --dir ${dir}\n`
      : `copy each bundle to its host and there run:  pbft replica --dir BUNDLE\n`,
  )
  process.stdout.write(`talk to it:          ${invocation()} client --cluster ${dir}\n`)
  process.stdout.write('private.json and client*.json hold private keys: keep their mode at 0600.\n')
  return EXIT.pass
}
