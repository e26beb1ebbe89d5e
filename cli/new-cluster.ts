import { isIP } from 'node:net'
import type { DatabaseConfig } from '../protocol/config.ts'
import { randomBytes } from '../protocol/crypto.ts'
import type { AccountId } from '../protocol/operations.ts'
import { quorumOf, REPLICAS_MIN } from '../protocol/quorum.ts'
import { freePorts } from '../replica/local-cluster/free-ports.ts'
import { planCluster, writeCluster } from '../replica/provision-cluster.ts'
import { UsageError } from './failure.ts'
import { plural } from './words.ts'

const LOCALHOST = '127.0.0.1'
/** On hosts of their own, replicas listen here; those that share a host count up. */
const REMOTE_REPLICA_PORT = 7_400
const REMOTE_POSTGRES_PORT = 7_500
const CLIENTS = 8
const BALANCE = 1_000n
const NAMED_ACCOUNTS = 'ABCDEFGHIJ'
const DEFAULT_IMAGE = 'postgres:18'

export type ClusterChoices = {
  readonly replicas: number
  /** One address per replica; undefined: this machine. */
  readonly hosts?: readonly string[] | undefined
  /** 'embedded', 'docker', or one URL per replica. */
  readonly postgres: readonly string[]
  /** The image for 'docker'. */
  readonly image?: string | undefined
  /** How many numbered accounts; undefined: A to J. */
  readonly accounts?: number | undefined
  readonly checkpointInterval?: number | undefined
  readonly allowByzantine?: boolean | undefined
}

/** Makes a cluster's files. @throws UsageError @throws ConfigError when `directory` is not empty */
export async function makeCluster(directory: string, choices: ClusterChoices): Promise<void> {
  const { replicas, hosts } = choices
  if (replicas < REPLICAS_MIN) {
    throw new UsageError(
      `--replicas ${replicas}: a cluster needs at least ${REPLICAS_MIN} replicas to tolerate one fault`,
    )
  }
  const places = hosts === undefined ? await localPlaces(replicas) : remotePlaces(checkHosts(hosts, replicas))
  const texts = planCluster({
    addresses: places.map(({ host, port }) => ({ host, port })),
    databases: databasesOf(choices, places),
    clients: CLIENTS,
    accounts: accountsOf(choices.accounts),
    checkpointInterval: choices.checkpointInterval,
    allowByzantine: choices.allowByzantine,
  })
  await writeCluster(directory, texts)
}

/** 'tolerates 1 fault; ...' with what a number of replicas that is not 3f+1 gives. */
export function describeFaults(replicas: number): string {
  const { f } = quorumOf(replicas)
  const tolerates = `tolerates ${plural(f, 'fault')}`
  if (replicas === 3 * f + 1) return tolerates
  return `${tolerates}, as ${3 * f + 1} would: ${replicas} is not of the form 3f+1`
}

type Place = { readonly host: string; readonly port: number; readonly postgresPort: number }

async function localPlaces(replicas: number): Promise<Place[]> {
  const ports = await freePorts(LOCALHOST, 2 * replicas)
  return Array.from({ length: replicas }, (_, id) => ({
    host: LOCALHOST,
    port: ports[id] ?? 0,
    postgresPort: ports[replicas + id] ?? 0,
  }))
}

function checkHosts(hosts: readonly string[], replicas: number): readonly string[] {
  if (hosts.length !== replicas) {
    throw new UsageError(
      `--hosts names ${plural(hosts.length, 'host')} for ${replicas} replicas: one each is needed`,
    )
  }
  for (const host of hosts) {
    if (isIP(host) === 0)
      throw new UsageError(`--hosts ${host}: must be an IP address; names are not resolved`)
  }
  return hosts
}

const remotePlaces = (hosts: readonly string[]): Place[] =>
  hosts.map((host, id) => ({
    host,
    port: REMOTE_REPLICA_PORT + id,
    postgresPort: REMOTE_POSTGRES_PORT + id,
  }))

function databasesOf(
  { postgres, replicas, image = DEFAULT_IMAGE }: ClusterChoices,
  places: readonly Place[],
): DatabaseConfig[] {
  const [how] = postgres
  const secrets = () => ({ user: 'ledger', password: Buffer.from(randomBytes(18)).toString('base64url') })
  if (postgres.length === 1 && how === 'embedded') {
    return places.map(({ postgresPort }) => ({
      kind: 'embedded',
      port: postgresPort,
      connectPort: null,
      ...secrets(),
      dataDirectory: null,
    }))
  }
  if (postgres.length === 1 && how === 'docker') {
    return places.map(({ postgresPort }) => ({
      kind: 'docker',
      image,
      port: postgresPort,
      connectPort: null,
      ...secrets(),
    }))
  }
  return databasesByUrl(postgres, replicas)
}

function databasesByUrl(urls: readonly string[], replicas: number): DatabaseConfig[] {
  for (const [i, url] of urls.entries()) {
    if (!/^postgres(ql)?:\/\//.test(url) || !URL.canParse(url)) {
      throw new UsageError(
        `--postgres: number ${i + 1} must be embedded, docker or postgresql://user:password@host/database`,
      )
    }
  }
  const places = new Set(urls.map(placeOf))
  if (places.size < urls.length) {
    throw new UsageError(
      '--postgres: two of the URLs name the same database; each replica needs one of its own',
    )
  }
  if (urls.length !== replicas) {
    throw new UsageError(
      `--postgres: ${plural(urls.length, 'database URL')} for ${replicas} replicas: one each is needed`,
    )
  }
  return urls.map((url) => ({ kind: 'url', url }))
}

function placeOf(url: string): string {
  const { host, pathname } = new URL(url)
  return `${host}${pathname}`
}

/** Numbered ones, or A to J. */
export function accountsOf(count: number | undefined): { id: AccountId; balance: bigint }[] {
  const names =
    count === undefined
      ? [...NAMED_ACCOUNTS]
      : Array.from({ length: count }, (_, i) => `acct-${String(i + 1).padStart(String(count).length, '0')}`)
  return names.map((id) => ({ id, balance: BALANCE }))
}
