import { readFile, writeFile } from 'node:fs/promises'
import { databaseUrl } from '../../db/provision/url.ts'
import {
  type ClusterFile,
  ConfigError,
  type DatabaseConfig,
  parseReplicaPrivate,
  type Tuning,
} from '../../protocol/config.ts'
import { randomBytes } from '../../protocol/crypto.ts'
import { freePorts } from '../../replica/local-cluster/free-ports.ts'
import { bundleOf, clusterPaths } from '../../replica/local-cluster/layout.ts'
import { planCluster, writeCluster } from '../../replica/provision-cluster.ts'
import { bundlePaths } from '../../replica/runtime/bundle.ts'
import { DatabaseProxy } from './database-proxy.ts'
import { containerServer, type DatabaseServer, embeddedServer, foreignServer } from './database-server.ts'
import { LiveDatabase } from './live-database.ts'
import { LiveNetwork, type Place } from './live-network.ts'

const HOST = '127.0.0.1'
const IMAGE = 'postgres:18'
const USER = 'ledger'
const DATABASE = 'postgres'
const POSTGRES_PORT = 5432

export type LiveChoices = {
  readonly replicas: number
  readonly accounts: readonly { readonly id: string; readonly balance: bigint }[]
  /** That connect at the same time: each has a key of its own. */
  readonly clients: number
  /** One more is a mere customer, who may lie. */
  readonly withLyingClient?: boolean
  /** K; undefined: as shipped. */
  readonly checkpointInterval?: number
  readonly tuning?: Partial<Tuning>
  /** Of the network's chances. */
  readonly seed: number
  /** 'embedded', 'docker', or one URL per replica. */
  readonly postgres: readonly string[]
  /** Replicas may be told to hold back messages. */
  readonly allowByzantine?: boolean
  /** Segments that are cut off the vote logs, and logs that are wiped, are kept. */
  readonly archive?: boolean
  /** Every datagram passes a proxy; true unless it is false. */
  readonly udpProxy?: boolean
  /** Every connection to a database passes a proxy; true unless it is false. */
  readonly databaseProxy?: boolean
  /** Replicas write what they sent and received around view changes. */
  readonly traceMessages?: boolean
}

export type MadeCluster = { readonly network: LiveNetwork; readonly databases: readonly LiveDatabase[] }

type DatabasePlan = {
  readonly config: DatabaseConfig
  readonly server: DatabaseServer
  readonly proxy: DatabaseProxy | undefined
}

/**
 * Opens the proxies and writes the cluster's files, so that they name them. One client more than asked for is admitted:
 * whoever looks at the replicas. @throws ConfigError
 */
export async function makeLiveCluster(directory: string, choices: LiveChoices): Promise<MadeCluster> {
  const { replicas, udpProxy = true } = choices
  requireOneUrlEach(choices)
  const ports = await freePorts(HOST, 2 * replicas)
  const places = ports.slice(0, replicas).map((port) => ({ host: HOST, port }))
  const closing: { close(): Promise<void> }[] = []
  try {
    const network = udpProxy
      ? await LiveNetwork.open({ replicas: places, seed: choices.seed })
      : LiveNetwork.none(places)
    closing.push(network)
    const plans: DatabasePlan[] = []
    for (const [id, port] of ports.slice(replicas).entries()) {
      const plan = await planDatabase({ directory, id, port, choices })
      plans.push(plan)
      if (plan.proxy !== undefined) closing.push(plan.proxy)
    }
    await writeCluster(directory, textsOf({ choices, places, network, plans }))
    const databases = plans.map(({ server, proxy }, replica) => new LiveDatabase({ replica, server, proxy }))
    return { network, databases }
  } catch (error) {
    await Promise.all(closing.map((opened) => opened.close()))
    throw error
  }
}

function requireOneUrlEach({ postgres, replicas }: LiveChoices): void {
  const [how] = postgres
  if (postgres.length === 1 && (how === 'embedded' || how === 'docker')) return
  const wrong = postgres.findIndex((url) => !/^postgres(ql)?:\/\//.test(url) || !URL.canParse(url))
  if (wrong >= 0) {
    throw new ConfigError(
      `postgres: number ${wrong + 1} must be embedded, docker or postgresql://user:password@host/database`,
    )
  }
  if (postgres.length !== replicas) {
    throw new ConfigError(
      `postgres: ${postgres.length} database URLs for ${replicas} replicas: one each is needed`,
    )
  }
}

async function planDatabase(args: {
  readonly directory: string
  readonly id: number
  readonly port: number
  readonly choices: LiveChoices
}): Promise<DatabasePlan> {
  const { directory, id, port, choices } = args
  const [how = ''] = choices.postgres
  const isBehind = choices.databaseProxy ?? true
  if (how !== 'embedded' && how !== 'docker') {
    const url = choices.postgres[id] ?? ''
    const { hostname, port: urlPort } = new URL(url)
    const target = { host: hostname.replace(/^\[|\]$/g, ''), port: Number(urlPort) || POSTGRES_PORT }
    const proxy = isBehind ? await DatabaseProxy.open(target) : undefined
    const config = { kind: 'url', url: proxy === undefined ? url : through(proxy, url) } as const
    return { config, server: foreignServer(url), proxy }
  }
  const proxy = isBehind ? await DatabaseProxy.open({ host: HOST, port }) : undefined
  const password = Buffer.from(randomBytes(18)).toString('base64url')
  const common = { port, connectPort: proxy?.port ?? null, user: USER, password }
  const url = databaseUrl({ host: HOST, port, user: USER, password, database: DATABASE })
  if (how === 'docker') {
    return { config: { kind: 'docker', image: IMAGE, ...common }, server: containerServer(url, port), proxy }
  }
  const server = embeddedServer(url, bundlePaths(bundleOf(directory, id)).postgres)
  return { config: { kind: 'embedded', ...common, dataDirectory: null }, server, proxy }
}

function through(proxy: DatabaseProxy, url: string): string {
  const parsed = new URL(url)
  parsed.hostname = proxy.host
  parsed.port = String(proxy.port)
  return parsed.href
}

function textsOf(args: {
  readonly choices: LiveChoices
  readonly places: readonly Place[]
  readonly network: LiveNetwork
  readonly plans: readonly DatabasePlan[]
}) {
  const { choices, places, network, plans } = args
  return planCluster({
    addresses: places,
    routes: places.map((_, id) => network.routesOf(id)),
    databases: plans.map(({ config }) => config),
    clients: choices.clients + 1,
    customers: choices.withLyingClient === true ? ['liar'] : [],
    accounts: choices.accounts,
    checkpointInterval: choices.checkpointInterval,
    tuning: choices.tuning,
    allowByzantine: choices.allowByzantine,
  })
}

/**
 * Once the proxies are gone: every replica's files name the others, and its database, where they are. So the cluster can
 * be run again by hand, and its databases be opened by `pbft check`.
 */
export async function writeWithoutProxies(
  directory: string,
  databases: readonly LiveDatabase[],
): Promise<void> {
  const cluster = await readFile(clusterPaths(directory).cluster, 'utf8')
  for (const [id, { url }] of databases.entries()) {
    const paths = bundlePaths(bundleOf(directory, id))
    const own = parseReplicaPrivate({ name: paths.private, text: await readFile(paths.private, 'utf8') })
    const database: DatabaseConfig =
      own.database.kind === 'url' ? { kind: 'url', url } : { ...own.database, connectPort: null }
    await writeFile(paths.cluster, cluster)
    await writeFile(paths.private, `${JSON.stringify({ ...own, database }, null, 2)}\n`, { mode: 0o600 })
  }
}

/** As clients see the cluster: through their proxies, where there are any. */
export function clusterForClients(cluster: ClusterFile, network: LiveNetwork): ClusterFile {
  const routes = network.routesOfClients()
  if (routes.length === 0) return cluster
  return { ...cluster, replicas: cluster.replicas.map((replica) => ({ ...replica, ...routes[replica.id] })) }
}
