import { access, chmod, mkdir, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import {
  type ClientPrivateFile,
  type ClusterFile,
  ConfigError,
  type DatabaseConfig,
  DEFAULT_PARAMETERS,
  DEFAULT_TUNING,
  type Genesis,
  parseGenesis,
  type ReplicaPrivateFile,
  type Tuning,
} from '../protocol/config.ts'
import { keyPairFromSeed, randomBytes, SEED_BYTES } from '../protocol/crypto.ts'
import type { AccountId, Role } from '../protocol/operations.ts'
import { CLUSTER_ID_BYTES } from '../protocol/signing.ts'
import { CLIENT_ID_MIN, replicaId } from '../protocol/types.ts'
import { bundleOf, clientKeyOf, clusterPaths } from './local-cluster/layout.ts'
import { bundlePaths } from './runtime/bundle.ts'
import { VoteLog } from './runtime/vote-log/vote-log.ts'

/** What a new cluster is to be; one address and one database per replica, in order of their ids. */
export type ClusterPlan = {
  readonly addresses: Addresses
  readonly databases: readonly DatabaseConfig[]
  /** Tellers that genesis admits: each connected program needs an identity of its own. */
  readonly clients: number
  /** By name, admitted behind the tellers: they move what is theirs. Of tellers and customers there is at least one. */
  readonly customers?: readonly string[] | undefined
  /** They belong to the customer that `owner` names, or to the first client. Balances are minor units. */
  readonly accounts: readonly {
    readonly id: AccountId
    readonly balance: bigint
    readonly owner?: string | undefined
  }[]
  /** K; undefined: the default. */
  readonly checkpointInterval?: number | undefined
  readonly tuning?: Partial<Tuning> | undefined
  /** Whether replicas may be told to lie. */
  readonly allowByzantine?: boolean | undefined
  /** Per replica: where it reaches each of them, itself included, when something stands between; else `addresses`. */
  readonly routes?: readonly Addresses[] | undefined
}

type Addresses = readonly { readonly host: string; readonly port: number }[]

/** The texts of a cluster's files. The private ones hold secrets. */
export type ClusterTexts = {
  readonly genesis: string
  readonly cluster: string
  /** Each replica's own cluster file. */
  readonly clusters: readonly string[]
  readonly clients: readonly string[]
  readonly replicas: readonly string[]
}

const CLIENT_NAME = 'teller'

/** A datagram there costs much the same up to 8 KiB. */
const LOOPBACK_TUNING: Partial<Tuning> = { payloadBytes: 8_192 }
const onLoopback = ({ addresses }: ClusterPlan): boolean =>
  addresses.every(({ host }) => host.startsWith('127.') || host === '::1')

/** @param random gives that many bytes; secrets come from it */
export function planCluster(
  plan: ClusterPlan,
  random: (bytes: number) => Uint8Array = randomBytes,
): ClusterTexts {
  const seeds = plan.addresses.map(() => random(SEED_BYTES))
  const admitted = clientsOf(plan)
  const clientSeeds = admitted.map(() => random(SEED_BYTES))
  const genesis = textOf({
    version: 1,
    clusterId: hexOf(random(CLUSTER_ID_BYTES)),
    allowByzantine: plan.allowByzantine ?? false,
    parameters: {
      ...DEFAULT_PARAMETERS,
      checkpointInterval: plan.checkpointInterval ?? DEFAULT_PARAMETERS.checkpointInterval,
    },
    replicas: seeds.map((seed, id) => ({ id, publicKey: publicKeyOf(seed) })),
    clients: clientSeeds.map((seed, i) => ({
      id: CLIENT_ID_MIN + i,
      name: admitted[i]?.name,
      address: null,
      publicKey: publicKeyOf(seed),
      role: admitted[i]?.role,
    })),
    accounts: plan.accounts.map(({ id, balance, owner }) => ({
      id,
      owner: CLIENT_ID_MIN + (owner === undefined ? 0 : admitted.findIndex(({ name }) => name === owner)),
      balance: `${balance}`,
    })),
  })
  const parsed = parsePlanned(genesis)
  const clusterOf = (addresses: Addresses): ClusterFile => ({
    version: 1,
    genesisDigest: parsed.digest,
    replicas: addresses.map(({ host, port }, id) => ({ id, host, port })),
    tuning: { ...DEFAULT_TUNING, ...(onLoopback(plan) ? LOOPBACK_TUNING : {}), ...plan.tuning },
  })
  return {
    genesis,
    cluster: textOf(clusterOf(plan.addresses)),
    clusters: seeds.map((_, id) => textOf(clusterOf(plan.routes?.[id] ?? plan.addresses))),
    clients: clientSeeds.map((seed, i) => textOf(clientFileOf(CLIENT_ID_MIN + i, seed))),
    replicas: seeds.map((seed, id) => textOf(privateFileOf(plan, id, seed))),
  }
}

/** Everybody that genesis admits beside the replicas, in order of their ids. */
const clientsOf = ({ clients, customers = [] }: ClusterPlan): { name: string; role: Role }[] => [
  ...Array.from({ length: clients }, (_, i) => ({
    name: i === 0 ? CLIENT_NAME : `${CLIENT_NAME}-${i + 1}`,
    role: 'teller' as const,
  })),
  ...customers.map((name) => ({ name, role: 'customer' as const })),
]

/** What `planCluster` makes must be what replicas accept: fewer than four of them are refused here too. */
const parsePlanned = (text: string): Genesis => parseGenesis({ name: 'genesis.json', text })

function privateFileOf(plan: ClusterPlan, id: number, seed: Uint8Array): ReplicaPrivateFile {
  const database = plan.databases[id]
  if (database === undefined) throw new RangeError(`replica ${id} has no database`)
  return { version: 1, id, secretSeed: hexOf(seed), database }
}

const clientFileOf = (id: number, seed: Uint8Array): ClientPrivateFile => ({
  version: 1,
  id,
  secretSeed: hexOf(seed),
})

const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
const publicKeyOf = (seed: Uint8Array): string => hexOf(keyPairFromSeed(seed).publicKey)
const textOf = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`

/**
 * Writes the files and one self-contained bundle per replica, each with the first record of its vote log [D5].
 * `directory` appears complete or not at all.
 * @throws ConfigError when there is anything in `directory`: keys and vote logs are never overwritten
 */
export async function writeCluster(directory: string, texts: ClusterTexts): Promise<void> {
  const target = resolve(directory)
  await requireNothingThere(target)
  await mkdir(dirname(target), { recursive: true })
  const staging = await mkdtemp(join(dirname(target), `.${basename(target)}-`))
  try {
    // A server of another user has its files in a bundle: mkdtemp's 0700 would keep it out.
    await chmod(staging, 0o755)
    await writePublic(clusterPaths(staging), texts)
    await Promise.all(
      texts.clients.map((text, i) => writeFile(clientKeyOf(staging, i), text, { mode: 0o600, flush: true })),
    )
    await Promise.all(
      texts.replicas.map((text, id) => writeBundle(bundleOf(staging, id), { id, text, texts })),
    )
    await rename(staging, target)
  } catch (error) {
    await rm(staging, { recursive: true, force: true })
    throw error
  }
}

async function requireNothingThere(directory: string): Promise<void> {
  const entries = await readdir(directory).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return []
    throw error
  })
  if (entries.length === 0) return
  const isCluster = await exists(clusterPaths(directory).genesis)
  throw new ConfigError(
    `${directory}: ${isCluster ? 'there is a cluster already' : 'is not empty'}, and nothing is overwritten. ` +
      'Choose another directory, or remove this one.',
  )
}

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  )

async function writePublic(
  paths: { readonly genesis: string; readonly cluster: string },
  { genesis, cluster }: Pick<ClusterTexts, 'genesis' | 'cluster'>,
): Promise<void> {
  await writeFile(paths.genesis, genesis, { mode: 0o644, flush: true })
  await writeFile(paths.cluster, cluster, { mode: 0o644, flush: true })
}

async function writeBundle(
  bundle: string,
  { id, text, texts }: { readonly id: number; readonly text: string; readonly texts: ClusterTexts },
): Promise<void> {
  await mkdir(bundle, { mode: 0o755 })
  const paths = bundlePaths(bundle)
  await writePublic(paths, { ...texts, cluster: texts.clusters[id] ?? texts.cluster })
  await writeFile(paths.private, text, { mode: 0o600, flush: true })
  const identity = { genesisDigest: parsePlanned(texts.genesis).digest, replica: replicaId(id) }
  await VoteLog.create(paths.votes, identity)
}
