import { readdir, rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { type ClusterFiles, loadClusterFiles } from '../../client/files.ts'
import { ConfigError, type Genesis } from '../../protocol/config.ts'
import type { ReplicaReport } from '../../protocol/inspection.ts'
import { bundleOf, clientKeyOf } from '../../replica/local-cluster/layout.ts'
import { LocalCluster, type LocalClusterEvent } from '../../replica/local-cluster.ts'
import { bundlePaths } from '../../replica/runtime/bundle.ts'
import type { ControlCommand } from '../../replica/runtime/control.ts'
import { cutToSynced } from '../../replica/runtime/vote-log/synced-note.ts'
import { VoteLogError } from '../../replica/runtime/vote-log/vote-log-error.ts'
import { Inspector } from './inspector.ts'
import type { LiveDatabase } from './live-database.ts'
import type { LiveNetwork } from './live-network.ts'
import {
  clusterForClients,
  type LiveChoices,
  type MadeCluster,
  makeLiveCluster,
  writeWithoutProxies,
} from './make-cluster.ts'

export type { LiveChoices } from './make-cluster.ts'

/** A replica that runs answers within milliseconds; one that stands still is not waited for. */
const ANSWER_MS = 300

/**
 * A cluster of real processes, real UDP and real databases in which every fault can be played. Whatever was done to it,
 * `stop` undoes it and leaves no process behind; also when this process is killed, its replicas end in order.
 */
export class LiveCluster {
  readonly directory: string
  readonly genesis: Genesis
  readonly replicas: readonly number[]
  readonly network: LiveNetwork
  readonly #cluster: LocalCluster
  readonly #databases: readonly LiveDatabase[]
  readonly #choices: LiveChoices
  readonly #paused = new Set<number>()
  /** Replicas whose end was asked for: that is no death. */
  readonly #asked: Set<number>
  #inspector: Promise<Inspector> | undefined
  #stopped: Promise<void> | undefined

  private constructor(args: {
    readonly cluster: LocalCluster
    readonly made: MadeCluster
    readonly choices: LiveChoices
    readonly asked: Set<number>
  }) {
    this.directory = args.cluster.directory
    this.genesis = args.cluster.genesis
    this.replicas = args.cluster.genesis.replicas.map(({ id }) => id)
    this.network = args.made.network
    this.#cluster = args.cluster
    this.#databases = args.made.databases
    this.#choices = args.choices
    this.#asked = args.asked
  }

  /**
   * Writes the cluster's files into `directory`, which must not exist, with links and databases behind proxies. Nothing
   * runs yet. `onEvent`: 'died' is only who ended unasked, 'stopped' who was killed or terminated here.
   * @throws ConfigError @throws AlreadyRunningError
   */
  static async make(
    directory: string,
    choices: LiveChoices,
    onEvent: (event: LocalClusterEvent) => void = () => undefined,
  ): Promise<LiveCluster> {
    const made = await makeLiveCluster(directory, choices)
    const asked = new Set<number>()
    try {
      const cluster = await LocalCluster.open(
        directory,
        (event) => {
          const isAsked = event.kind === 'died' && asked.delete(event.replica)
          onEvent(isAsked ? { kind: 'stopped', replica: event.replica } : event)
        },
        {
          archive: choices.archive === true,
          control: true,
          trace: choices.traceMessages === true,
          noteSynced: true,
        },
      )
      return new LiveCluster({ cluster, made, choices, asked })
    } catch (error) {
      await made.network.close()
      await Promise.all(made.databases.map((database) => database.close()))
      throw error
    }
  }

  /** What the client with this index, from 0, connects with. @throws ConfigError beyond `choices.clients` */
  async clientFiles(index: number): Promise<ClusterFiles> {
    if (!(index >= 0 && index < this.#choices.clients)) {
      throw new ConfigError(`client ${index}: this cluster has clients 0 to ${this.#choices.clients - 1}`)
    }
    return this.#filesOf(index)
  }

  /** What the client that lies connects with. @throws ConfigError where none was asked for */
  async lyingClientFiles(): Promise<ClusterFiles> {
    if (this.#choices.withLyingClient !== true) throw new ConfigError('this cluster has no client that lies')
    return this.#filesOf(this.#choices.clients + 1)
  }

  async #filesOf(index: number): Promise<ClusterFiles> {
    const files = await loadClusterFiles(this.directory, clientKeyOf(this.directory, index))
    return { ...files, cluster: clusterForClients(files.cluster, this.network) }
  }

  /** All replicas, and whoever looks at them. @throws ReplicaStartError @throws ConfigError */
  async start(): Promise<void> {
    await this.#cluster.start()
  }

  /** Processes that this started and that run, paused ones included. */
  get running(): readonly number[] {
    return this.#cluster.running
  }

  get paused(): readonly number[] {
    return [...this.#paused].sort((a, b) => a - b)
  }

  database(id: number): LiveDatabase {
    const database = this.#databases[id]
    if (database === undefined) throw new RangeError(`there is no replica ${id}`)
    return database
  }

  // --- processes

  /** @param options.failpoint where it kills itself; see failpoints.ts. @throws ReplicaStartError */
  async startReplica(id: number, options: { readonly environment?: NodeJS.ProcessEnv } = {}): Promise<void> {
    // One that was stopped and then died of something else.
    if (!this.running.includes(id)) this.#paused.delete(id)
    await this.#cluster.startReplica(id, options)
  }

  /** SIGKILL: its database server survives. */
  async kill(id: number): Promise<void> {
    await this.#end(id, () => this.#cluster.killReplica(id))
  }

  /** SIGTERM: it ends in order, with its database server. */
  async terminate(id: number): Promise<void> {
    this.resume(id)
    await this.#end(id, () => this.#cluster.terminateReplica(id))
  }

  async #end(id: number, end: () => Promise<void>): Promise<void> {
    this.#requireReplica(id)
    this.#asked.add(id)
    try {
      await end()
      this.#paused.delete(id)
    } finally {
      this.#asked.delete(id)
    }
  }

  #requireReplica(id: number): void {
    if (!this.replicas.includes(id)) throw new RangeError(`there is no replica ${id}`)
  }

  /** SIGSTOP: it stands still with all its sockets open. */
  pause(id: number): void {
    this.#cluster.pauseReplica(id)
    this.#paused.add(id)
  }

  resume(id: number): void {
    if (!this.#paused.delete(id) || !this.running.includes(id)) return
    this.#cluster.resumeReplica(id)
  }

  // --- disks

  /** Replicas and their servers die at once, and each vote log keeps what it had synced. */
  async losePower(ids: readonly number[]): Promise<void> {
    const running = ids.filter((id) => this.running.includes(id))
    await Promise.all([
      ...running.map((id) => this.kill(id)),
      ...ids.filter((id) => this.database(id).isOwn).map((id) => this.database(id).killServer()),
    ])
    for (const id of running) await cutIfThere(this.#votes(id))
  }

  #votes(id: number): string {
    return bundlePaths(bundleOf(this.directory, id)).votes
  }

  /** While it is down: what it promised is gone [D5]. With `archive` the files are put aside, for the checker. */
  async wipeVotes(id: number): Promise<void> {
    this.#requireDown(id)
    const votes = this.#votes(id)
    if (this.#choices.archive === true) await putAside(votes)
    else await rm(votes, { recursive: true, force: true })
  }

  /** While it is down: rows and all. */
  async wipeDatabase(id: number): Promise<void> {
    this.#requireDown(id)
    await this.database(id).wipe()
  }

  #requireDown(id: number): void {
    this.#requireReplica(id)
    if (this.running.includes(id)) throw new Error(`replica ${id} runs: kill it before its files are wiped`)
  }

  // --- itself

  /** Acknowledged. @throws ControlError when the replica refuses, or ends */
  async control(id: number, command: ControlCommand): Promise<void> {
    await this.#cluster.control(id, command)
  }

  /** Each replica's own word, past all proxies; those that do not answer are absent. */
  async reports(): Promise<ReadonlyMap<number, ReplicaReport>> {
    this.#inspector ??= this.#openInspector()
    return (await this.#inspector).reports(ANSWER_MS)
  }

  async #openInspector(): Promise<Inspector> {
    const key = clientKeyOf(this.directory, this.#choices.clients)
    return Inspector.open(await loadClusterFiles(this.directory, key))
  }

  // --- the end

  /**
   * Undoes every fault, and ends every process, from any state. Once; then it is over, and what is left in the directory is
   * a cluster without proxies, that can be looked at and run by hand.
   */
  stop(): Promise<void> {
    this.#stopped ??= this.#stop()
    return this.#stopped
  }

  async #stop(): Promise<void> {
    const failures: unknown[] = []
    const attempt = (work: Promise<unknown>) => work.catch((error: unknown) => failures.push(error))
    this.network.heal()
    for (const id of this.paused) this.resume(id)
    for (const database of this.#databases) database.open()
    await Promise.all(this.#databases.map((database) => attempt(database.resumeServer())))
    await attempt(this.#cluster.stop())
    await attempt(Promise.resolve(this.#inspector).then((inspector) => inspector?.close()))
    await Promise.all(this.#databases.map((database) => attempt(database.close())))
    await attempt(this.network.close())
    await attempt(writeWithoutProxies(this.directory, this.#databases))
    if (failures.length > 0) throw failures[0]
  }

  /** Stops, and deletes every file and database. */
  async remove(): Promise<void> {
    await this.stop()
    const own = this.#databases.filter(({ isOwn }) => isOwn)
    await Promise.all(own.map((database) => database.wipe()))
    await rm(this.directory, { recursive: true, force: true })
  }
}

/** One without a log, or without a note since it never got so far, has nothing to lose. */
async function cutIfThere(votes: string): Promise<void> {
  try {
    await cutToSynced(votes)
  } catch (error) {
    if (!(error instanceof VoteLogError) || (error.code !== 'missing' && error.code !== 'io')) throw error
  }
}

/** As a replica names a log that it found damaged, so that the checker reads it. */
async function putAside(votes: string): Promise<void> {
  const prefix = `${basename(votes)}.lost-`
  const earlier = (await readdir(dirname(votes)))
    .filter((name) => name.startsWith(prefix))
    .map((name) => Number(name.slice(prefix.length)))
    .filter(Number.isInteger)
  const aside = join(dirname(votes), `${prefix}${Math.max(0, ...earlier) + 1}`)
  await rename(votes, aside).catch((error: unknown) => {
    // Wiped already.
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error
  })
}
