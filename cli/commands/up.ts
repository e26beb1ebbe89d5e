import { existsSync } from 'node:fs'
import type { Command } from 'commander'
import { quorumOf } from '../../protocol/quorum.ts'
import { assertNever } from '../../protocol/types.ts'
import { bundleOf, clusterPaths } from '../../replica/local-cluster/layout.ts'
import { describeExit } from '../../replica/local-cluster/replica-process.ts'
import { LocalCluster, type LocalClusterEvent } from '../../replica/local-cluster.ts'
import { examples, wholeNumber } from '../arguments.ts'
import { EXIT, type ExitCode } from '../exit-code.ts'
import { InterruptedError, UsageError } from '../failure.ts'
import { DEFAULT_CLUSTER, invocation } from '../invocation.ts'
import { describeFaults, makeCluster } from '../new-cluster.ts'
import { type Scope, withScope } from '../scope.ts'
import { seconds } from '../words.ts'
import { REPLICAS_OPTION_MAX } from './limits.ts'

type Options = {
  readonly dir: string
  readonly replicas?: number
  readonly postgres: readonly string[]
  readonly image?: string
  readonly accounts?: number
  readonly allowByzantine?: boolean
  readonly archive?: boolean
  readonly json?: boolean
}

export function define(command: Command, exit: (code: ExitCode) => void): void {
  command
    .option(
      '--dir <directory>',
      'where keys, logs and databases are; made when it does not exist',
      DEFAULT_CLUSTER,
    )
    .option(
      '--replicas <n>',
      'at least 4 (default: 4); of a new cluster only',
      wholeNumber(0, REPLICAS_OPTION_MAX),
    )
    .option(
      '--postgres <how...>',
      'embedded, docker, or one database URL per replica; of a new cluster only',
      ['embedded'],
    )
    .option('--image <name>', 'container image for --postgres docker; of a new cluster only')
    .option(
      '--accounts <n>',
      'numbered accounts instead of A to J; of a new cluster only',
      wholeNumber(1, 1_000_000),
    )
    .option('--allow-byzantine', 'for laboratories: replicas may be told to lie; of a new cluster only')
    .option('--archive', 'keep what is cut off the vote logs, in votes/archive of each bundle')
    .option('--json', 'print a JSON line per event')
    .addHelpText(
      'after',
      `${examples('pbft up', 'pbft up --dir bank --replicas 7', 'pbft up --dir bank --postgres docker')}\n${EXPLANATION}`,
    )
    .action(async (options: Options) => exit(await withScope((scope) => up(scope, options)).catch(normalEnd)))
}

const EXPLANATION = `
Started again on the same directory it goes on where it was. Ctrl-C stops every process that it started. A replica that
ends otherwise is reported and left to you: pbft replica --dir DIRECTORY/replica-N brings it back. Containers of
--postgres docker keep their data when they are stopped; docker rm deletes it.`

async function up(scope: Scope, options: Options): Promise<ExitCode> {
  const { dir, replicas, archive = false, json = false } = options
  const isNew = !existsSync(clusterPaths(dir).genesis)
  if (isNew) await makeCluster(dir, { ...options, replicas: replicas ?? 4 })
  const startedMs = performance.now()
  const announcer = new Announcer(dir, json)
  const cluster = await LocalCluster.open(dir, (event) => announcer.event(event), { archive })
  scope.defer(() => cluster.stop())
  const n = cluster.genesis.replicas.length
  if (replicas !== undefined && replicas !== n) {
    throw new UsageError(
      `${dir} is a cluster of ${n} replicas, not ${replicas}: leave --replicas out, or choose another --dir`,
    )
  }
  announcer.starting(n, isNew)
  await cluster.start()
  announcer.serving(performance.now() - startedMs)
  // A signal ends it.
  return await new Promise<never>(() => undefined)
}

/** Ctrl-C is how this command is meant to end. */
function normalEnd(error: unknown): ExitCode {
  if (error instanceof InterruptedError) return EXIT.pass
  throw error
}

/** Says what happens, a line each. */
class Announcer {
  readonly #dir: string
  readonly #json: boolean
  readonly #serving = new Set<number>()
  #replicas = 0

  constructor(dir: string, json: boolean) {
    this.#dir = dir
    this.#json = json
  }

  starting(replicas: number, isNew: boolean): void {
    this.#replicas = replicas
    const what = isNew ? 'made a cluster' : 'going on with the cluster'
    this.#say(
      { event: 'starting', directory: this.#dir, replicas, isNew },
      `${what} in ${this.#dir}: ${replicas} replicas, ${describeFaults(replicas)}`,
    )
  }

  serving(elapsedMs: number): void {
    const call = invocation()
    const bundle = bundleOf(this.#dir, this.#replicas - 1)
    const where = this.#dir === DEFAULT_CLUSTER ? '' : ` --cluster ${this.#dir}`
    this.#say(
      { event: 'up', readyMs: Math.round(elapsedMs) },
      `ready in ${seconds(elapsedMs)}. From another terminal:
  ${call} client${where} deposit A 100, get A
  ${call} status${where}
  ${call} check${where}
kill a replica by its pid (kill -9), and bring it back:
  ${call} replica --dir ${bundle}
Ctrl-C stops everything.`,
    )
  }

  event(event: LocalClusterEvent): void {
    const { kind, replica } = event
    switch (kind) {
      case 'orphan-stopped':
        return this.#say(
          { event: kind, replica },
          `replica ${replica} was left running by an \`up\` that was killed: stopped it`,
        )
      case 'ready':
        this.#serving.add(replica)
        return this.#say(
          { event: kind, replica, pid: event.pid },
          `replica ${replica} serves (pid ${event.pid})`,
        )
      case 'notice':
        return this.#say({ event: kind, replica, text: event.text }, `replica ${replica}: ${event.text}`)
      case 'died': {
        this.#serving.delete(replica)
        const why = describeExit(event.exit)
        return this.#say({ event: kind, replica, why }, `replica ${replica} ended: ${why}. ${this.#left()}`)
      }
      case 'returned':
        this.#serving.add(replica)
        return this.#say(
          { event: kind, replica, pid: event.pid },
          `replica ${replica} is back (pid ${event.pid}), started elsewhere. ${this.#left()}`,
        )
      case 'left':
        this.#serving.delete(replica)
        return this.#say(
          { event: kind, replica },
          `replica ${replica}, which was started elsewhere, ended. ${this.#left()}`,
        )
      case 'stopped':
        this.#serving.delete(replica)
        return this.#say({ event: kind, replica }, `replica ${replica} stopped`)
      default:
        return assertNever(event)
    }
  }

  #left(): string {
    const { quorum } = quorumOf(this.#replicas)
    const left = `${this.#serving.size} of ${this.#replicas} run`
    return this.#serving.size < quorum ? `${left}: no quorum (${quorum} are needed)` : left
  }

  #say(fields: Record<string, unknown>, text: string): void {
    process.stdout.write(`${this.#json ? JSON.stringify(fields) : text}\n`)
  }
}
