import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type ClusterFiles, loadClusterFiles } from '../../../client/files.ts'
import { databaseUrl } from '../../../db/provision/url.ts'
import type { DatabaseConfig, Genesis } from '../../../protocol/config.ts'
import { randomBytes } from '../../../protocol/crypto.ts'
import type { ReplicaReport } from '../../../protocol/inspection.ts'
import { replicaId } from '../../../protocol/types.ts'
import { freePorts } from '../../../replica/local-cluster/free-ports.ts'
import { bundleOf, clientKeyOf } from '../../../replica/local-cluster/layout.ts'
import { LocalCluster } from '../../../replica/local-cluster.ts'
import { planCluster, writeCluster } from '../../../replica/provision-cluster.ts'
import { bundlePaths } from '../../../replica/runtime/bundle.ts'
import { VoteLog } from '../../../replica/runtime/vote-log/vote-log.ts'
import { embeddedServer, foreignServer } from '../../live/database-server.ts'
import { Inspector } from '../../live/inspector.ts'
import {
  type Attack,
  CHECKPOINT_INTERVAL,
  CLIENTS,
  type ClientName,
  describeAttacks,
  nameOf,
  OPENING_BALANCE,
  REPLICAS,
} from '../scenario.ts'

const HOST = '127.0.0.1'
const USER = 'ledger'
const DATABASE = 'postgres'
/** Who looks at the replicas: a customer without an account. */
const OBSERVER = 'observer'
const ANSWER_MS = 300
/** Of a bundle: what a fresh state begins with. */
const KEPT = new Set(['genesis.json', 'cluster.json', 'private.json', 'postgres'])

/**
 * Seven replica processes, each with a Postgres of its own, and the customers A to J. Servers run on while replicas are
 * down, so that a fresh state is a matter of empty tables and new vote logs.
 */
export class ScenarioCluster {
  readonly directory: string
  readonly #cluster: LocalCluster
  readonly #urls: readonly string[]
  readonly #behaviours = new Map<number, string>()
  readonly #incidents: string[] = []
  /** Whose end was asked for. */
  readonly #asked: Set<number>
  #inspector: Promise<Inspector> | undefined
  #hasStarted = false

  private constructor(args: {
    readonly cluster: LocalCluster
    readonly urls: readonly string[]
    readonly asked: Set<number>
    readonly incidents: string[]
  }) {
    this.directory = args.cluster.directory
    this.#cluster = args.cluster
    this.#urls = args.urls
    this.#asked = args.asked
    this.#incidents = args.incidents
  }

  /** Nothing runs yet. @throws ConfigError */
  static async make(directory: string): Promise<ScenarioCluster> {
    const ports = await freePorts(HOST, 2 * REPLICAS)
    const databases = ports.slice(REPLICAS).map((port) => ({
      kind: 'embedded' as const,
      port,
      connectPort: null,
      user: USER,
      password: Buffer.from(randomBytes(18)).toString('base64url'),
      dataDirectory: null,
    }))
    const texts = planCluster({
      addresses: ports.slice(0, REPLICAS).map((port) => ({ host: HOST, port })),
      databases: databases satisfies DatabaseConfig[],
      clients: 0,
      customers: [...CLIENTS, OBSERVER],
      accounts: CLIENTS.map((id) => ({ id, balance: OPENING_BALANCE, owner: id })),
      checkpointInterval: CHECKPOINT_INTERVAL,
      allowByzantine: true,
    })
    await writeCluster(directory, texts)
    const asked = new Set<number>()
    const incidents: string[] = []
    const cluster = await LocalCluster.open(
      directory,
      (event) => {
        if (event.kind !== 'died' || asked.has(event.replica)) return
        const { lastWords, signal, code } = event.exit
        incidents.push(
          `${nameOf(event.replica)} ended by itself: ${lastWords || (signal ?? `exit code ${code}`)}`,
        )
      },
      { archive: true, control: true, traceAll: true },
    )
    const urls = databases.map(({ port, password }) =>
      databaseUrl({ host: HOST, port, user: USER, password, database: DATABASE }),
    )
    return new ScenarioCluster({ cluster, urls, asked, incidents })
  }

  get genesis(): Genesis {
    return this.#cluster.genesis
  }

  /** What nobody asked for, since this was last asked. */
  takeIncidents(): readonly string[] {
    return this.#incidents.splice(0)
  }

  bundle(id: number): string {
    return bundleOf(this.directory, id)
  }

  databaseUrl(id: number): string {
    return this.#urls[id] ?? ''
  }

  clientFiles(name: ClientName): Promise<ClusterFiles> {
    return loadClusterFiles(this.directory, clientKeyOf(this.directory, CLIENTS.indexOf(name)))
  }

  /** All seven at the opening balances, whatever was before. @throws ReplicaStartError */
  async startFresh(): Promise<void> {
    this.#behaviours.clear()
    if (this.#hasStarted) {
      await this.kill(this.#cluster.running)
      await Promise.all(this.genesis.replicas.map(({ id }) => this.#forget(id)))
      await this.start(this.genesis.replicas.map(({ id }) => id))
    } else {
      this.#hasStarted = true
      await this.#cluster.start()
    }
  }

  async #forget(id: number): Promise<void> {
    await foreignServer(this.databaseUrl(id)).wipe()
    const bundle = this.bundle(id)
    for (const name of await readdir(bundle)) {
      if (!KEPT.has(name)) await rm(join(bundle, name), { recursive: true, force: true })
    }
    const identity = { genesisDigest: this.genesis.digest, replica: replicaId(id) }
    await VoteLog.create(bundlePaths(bundle).votes, identity)
  }

  get running(): readonly number[] {
    return this.#cluster.running
  }

  /** Those of them that do not run. @throws ReplicaStartError */
  async start(ids: readonly number[]): Promise<void> {
    const missing = ids.filter((id) => !this.running.includes(id))
    await Promise.all(missing.map((id) => this.#cluster.startReplica(id)))
  }

  /** Those of them that run: SIGKILL; their databases run on. */
  async kill(ids: readonly number[]): Promise<void> {
    const victims = ids.filter((id) => this.running.includes(id))
    await Promise.all(
      victims.map(async (id) => {
        this.#asked.add(id)
        await this.#cluster.killReplica(id)
        this.#asked.delete(id)
        this.#behaviours.delete(id)
      }),
    )
  }

  /** From now on these do all of `attacks`, and all others that run are honest. @throws ControlError */
  async lie(liars: readonly number[], attacks: readonly Attack[]): Promise<void> {
    const told = describeAttacks(attacks)
    await Promise.all(
      this.running.map(async (id) => {
        const behaviours = liars.includes(id) ? told : ''
        if (behaviours === (this.#behaviours.get(id) ?? '')) return
        await this.#cluster.control(id, { kind: 'byzantine', behaviours })
        this.#behaviours.set(id, behaviours)
      }),
    )
  }

  /** What each replica that answers says of itself, unchecked. */
  async reports(): Promise<ReadonlyMap<number, ReplicaReport>> {
    this.#inspector ??= this.#openInspector()
    return (await this.#inspector).reports(ANSWER_MS)
  }

  async #openInspector(): Promise<Inspector> {
    return Inspector.open(await loadClusterFiles(this.directory, clientKeyOf(this.directory, CLIENTS.length)))
  }

  /** Ends every process, as fast as it goes: nobody needs the databases any more. */
  async stop(): Promise<void> {
    const inspector = await this.#inspector?.catch(() => undefined)
    await inspector?.close()
    await this.kill(this.running)
    await Promise.all(
      this.#urls.map((url, id) => embeddedServer(url, bundlePaths(this.bundle(id)).postgres).kill()),
    )
    await this.#cluster.stop()
  }
}
