import { readFile } from 'node:fs/promises'
import { stopEmbedded } from '../db/provision/embedded.ts'
import {
  type ClusterFile,
  ConfigError,
  type Genesis,
  parseCluster,
  parseGenesis,
} from '../protocol/config.ts'
import { openUdp, UdpError } from '../protocol/udp.ts'
import { ClusterClaim } from './local-cluster/claims.ts'
import { bundleOf, clusterPaths } from './local-cluster/layout.ts'
import { servingPid } from './local-cluster/process-identity.ts'
import { type ReplicaExit, ReplicaProcess, type SpawnOptions } from './local-cluster/replica-process.ts'
import { bundlePaths, loadBundle } from './runtime/bundle.ts'
import type { ControlCommand } from './runtime/control.ts'
import { openDatabase } from './runtime/database.ts'

/** How soon a replica that somebody else started is noticed. */
const WATCH_INTERVAL_MS = 500

export type LocalClusterEvent =
  /** Left by a cluster that was killed; ended, and started again as the others are. */
  | { readonly kind: 'orphan-stopped'; readonly replica: number }
  | { readonly kind: 'ready'; readonly replica: number; readonly pid: number }
  /** What it wants the operator to know although it serves. */
  | { readonly kind: 'notice'; readonly replica: number; readonly text: string }
  /** It ended, and nobody here asked it to. It is not started again: that is the operator's to decide. */
  | { readonly kind: 'died'; readonly replica: number; readonly exit: ReplicaExit }
  /** One that died serves again, as a process of somebody else, who also stops it. */
  | { readonly kind: 'returned'; readonly replica: number; readonly pid: number }
  | { readonly kind: 'left'; readonly replica: number }
  | { readonly kind: 'stopped'; readonly replica: number }

/** @throws ConfigError */
export async function loadCluster(
  directory: string,
): Promise<{ readonly genesis: Genesis; readonly cluster: ClusterFile }> {
  const paths = clusterPaths(directory)
  const genesis = parseGenesis(await textOf(paths.genesis))
  return { genesis, cluster: parseCluster(await textOf(paths.cluster), genesis) }
}

async function textOf(path: string): Promise<{ name: string; text: string }> {
  try {
    return { name: path, text: await readFile(path, 'utf8') }
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause)
    throw new ConfigError(
      `${path}: cannot be read (${code}). Give the directory that \`pbft init\` or \`pbft up\` made.`,
      { cause },
    )
  }
}

/** `file` is the cluster file that names the port. */
export const portTaken = (
  file: string,
  { id, cause }: { readonly id: number; readonly cause: UdpError },
): ConfigError =>
  new ConfigError(
    `${file}: replicas.${id}: ${cause.message}. Stop what uses it, or give replica ${id} another port there and in ` +
      'the cluster.json of every bundle.',
    { cause },
  )

type ClusterOptions = Pick<SpawnOptions, 'archive' | 'control' | 'trace' | 'traceAll' | 'noteSynced'>

/** Replica processes and their databases on one machine: started together, stopped together. */
export class LocalCluster {
  readonly directory: string
  readonly genesis: Genesis
  readonly cluster: ClusterFile
  readonly #claim: ClusterClaim
  readonly #options: ClusterOptions
  readonly #onEvent: (event: LocalClusterEvent) => void
  /** Running, or starting. */
  readonly #processes = new Map<number, ReplicaProcess>()
  /** Ended unasked; their databases run on. */
  readonly #dead = new Set<number>()
  readonly #returned = new Set<number>()
  #watch: NodeJS.Timeout | undefined
  #stopping: Promise<void> | undefined

  private constructor(args: {
    readonly directory: string
    readonly files: { readonly genesis: Genesis; readonly cluster: ClusterFile }
    readonly claim: ClusterClaim
    readonly options: ClusterOptions
    readonly onEvent: (event: LocalClusterEvent) => void
  }) {
    this.directory = args.directory
    this.genesis = args.files.genesis
    this.cluster = args.files.cluster
    this.#claim = args.claim
    this.#options = args.options
    this.#onEvent = args.onEvent
  }

  /** Nothing runs yet. `options`: of every replica that is started. @throws ConfigError @throws AlreadyRunningError */
  static async open(
    directory: string,
    onEvent: (event: LocalClusterEvent) => void = () => undefined,
    options: ClusterOptions = {},
  ): Promise<LocalCluster> {
    const files = await loadCluster(directory)
    return new LocalCluster({ directory, files, claim: ClusterClaim.take(directory), options, onEvent })
  }

  get #ids(): number[] {
    return this.genesis.replicas.map(({ id }) => id)
  }

  /** Ids of replicas whose process this cluster started and that still run. */
  get running(): number[] {
    return [...this.#processes.keys()].sort((a, b) => a - b)
  }

  /**
   * All at once. When one does not start, the rest is stopped again.
   * @throws ReplicaStartError @throws AlreadyRunningError @throws ConfigError when a port is taken
   */
  async start(): Promise<void> {
    try {
      for (const replica of await this.#claim.endOrphans(this.#ids)) {
        this.#onEvent({ kind: 'orphan-stopped', replica })
      }
      await Promise.all(this.cluster.replicas.map((replica) => this.#requireFreePort(replica)))
      const starts = await Promise.allSettled(this.#ids.map((id) => this.startReplica(id)))
      for (const start of starts) if (start.status === 'rejected') throw start.reason
      this.#requireNotStopping()
    } catch (error) {
      await this.stop()
      throw error
    }
    this.#watch = setInterval(() => void this.#lookForReturned(), WATCH_INTERVAL_MS)
  }

  /** Said before anything starts: replicas take their ports last, after their databases. */
  async #requireFreePort({ id, host, port }: ClusterFile['replicas'][number]): Promise<void> {
    try {
      const udp = await openUdp({ host, port, onDatagram: () => undefined })
      await udp.close()
    } catch (error) {
      if (!(error instanceof UdpError)) throw error
      throw portTaken(clusterPaths(this.directory).cluster, { id, cause: error })
    }
  }

  /** One replica, which must not be running. Resolves when it serves. @throws ReplicaStartError */
  async startReplica(id: number, options: Pick<SpawnOptions, 'environment'> = {}): Promise<void> {
    if (this.#processes.has(id)) throw new Error(`replica ${id} is running already`)
    this.#requireNotStopping()
    const replica = await ReplicaProcess.spawn(id, bundleOf(this.directory, id), {
      ...this.#options,
      ...options,
      onNotice: (text) => this.#onEvent({ kind: 'notice', replica: id, text }),
    })
    this.#processes.set(id, replica)
    void replica.exited.then((exit) => this.#onExit(replica, exit))
    this.#claim.started(id, replica.pid)
    await replica.ready
    this.#dead.delete(id)
    this.#onEvent({ kind: 'ready', replica: id, pid: replica.pid })
  }

  #requireNotStopping(): void {
    if (this.#stopping !== undefined) throw new Error('the cluster is being stopped')
  }

  /** SIGKILL: nothing of the process survives, its database server does. Resolves when it is gone. */
  async killReplica(id: number): Promise<void> {
    const replica = this.#running(id)
    replica.kill('SIGKILL')
    await replica.exited
  }

  /** SIGTERM, and SIGKILL when that does not do: the replica ends in order, with its database server. */
  async terminateReplica(id: number): Promise<void> {
    await this.#running(id).stop()
  }

  /** SIGSTOP, and SIGCONT: it stands still, and goes on as if nothing had been. */
  pauseReplica(id: number): void {
    this.#running(id).kill('SIGSTOP')
  }

  resumeReplica(id: number): void {
    this.#running(id).kill('SIGCONT')
  }

  /** @throws ControlError */
  async control(id: number, command: ControlCommand): Promise<void> {
    await this.#running(id).control(command)
  }

  #running(id: number): ReplicaProcess {
    const replica = this.#processes.get(id)
    if (replica === undefined) throw new Error(`replica ${id} is not running`)
    return replica
  }

  #onExit(replica: ReplicaProcess, exit: ReplicaExit): void {
    this.#processes.delete(replica.id)
    if (this.#stopping !== undefined) return
    this.#dead.add(replica.id)
    this.#onEvent({ kind: 'died', replica: replica.id, exit })
  }

  async #lookForReturned(): Promise<void> {
    for (const id of this.#dead) {
      const pid = await servingPid(bundleOf(this.directory, id))
      if (pid === undefined) {
        if (this.#returned.delete(id)) this.#onEvent({ kind: 'left', replica: id })
      } else if (!this.#returned.has(id) && !this.#processes.has(id)) {
        this.#returned.add(id)
        this.#onEvent({ kind: 'returned', replica: id, pid })
      }
    }
  }

  /** Ends every process that this cluster started, and the databases of those that died. Once; then it is over. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop()
    return this.#stopping
  }

  async #stop(): Promise<void> {
    clearInterval(this.#watch)
    const failures: unknown[] = []
    const attempt = (work: Promise<void>) => work.catch((error: unknown) => failures.push(error))
    await Promise.all([
      ...[...this.#processes.values()].map((replica) => attempt(this.#stopReplica(replica))),
      ...[...this.#dead].map((id) => attempt(this.#stopDatabase(id))),
    ])
    this.#claim.release()
    if (failures.length > 0) throw failures[0]
  }

  async #stopReplica(replica: ReplicaProcess): Promise<void> {
    const { code, signal } = await replica.stop()
    // Where it was killed, or stopped on its way up, its database may still run.
    if (!replica.isReady || code !== 0 || signal !== null) await this.#stopDatabase(replica.id)
    this.#onEvent({ kind: 'stopped', replica: replica.id })
  }

  /** The database that a dead replica left, unless somebody brought the replica back and so took it over. */
  async #stopDatabase(id: number): Promise<void> {
    const directory = bundleOf(this.directory, id)
    if ((await servingPid(directory)) !== undefined) return
    const bundle = await loadBundle(directory).catch((error: unknown) => {
      // A bundle that no replica could start from has no database that runs.
      if (error instanceof ConfigError) return undefined
      throw error
    })
    const database = bundle?.own.database
    if (database?.kind === 'embedded') {
      await stopEmbedded(database.dataDirectory ?? bundlePaths(directory).postgres)
    } else if (bundle !== undefined && database?.kind === 'docker') {
      await (await openDatabase(bundle)).stop()
    }
  }
}
