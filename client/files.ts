import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import {
  type ClusterFile,
  ConfigError,
  type Genesis,
  parseClientPrivate,
  parseCluster,
  parseGenesis,
} from '../protocol/config.ts'
import { type KeyPair, keyPairFromSeed } from '../protocol/crypto.ts'
import { type ClientId, clientId } from '../protocol/types.ts'

/** Who this client is. */
export type ClientKey = { readonly id: ClientId; readonly keyPair: KeyPair }
export type ClusterFiles = {
  readonly genesis: Genesis
  readonly cluster: ClusterFile
  readonly key: ClientKey
}

/**
 * Reads genesis.json and cluster.json of `dir`, and the key of the client that speaks.
 * @param keyFile default `client.json` of `dir`
 * @throws ConfigError naming the file, and what to do
 */
export async function loadClusterFiles(
  dir: string,
  keyFile = join(dir, 'client.json'),
): Promise<ClusterFiles> {
  const genesisFile = join(dir, 'genesis.json')
  const genesis = parseGenesis({ name: genesisFile, text: await readText(genesisFile) })
  const clusterFile = join(dir, 'cluster.json')
  const cluster = parseCluster({ name: clusterFile, text: await readText(clusterFile) }, genesis)
  return { genesis, cluster, key: await loadClientKey(keyFile, genesis) }
}

/** @throws ConfigError when others may read the file, or genesis does not admit the key. */
export async function loadClientKey(file: string, genesis: Genesis): Promise<ClientKey> {
  const text = await readText(file)
  const mode = (await stat(file)).mode & 0o777
  if ((mode & 0o077) !== 0) {
    throw new ConfigError(
      `${file}: is open to other users (mode ${mode.toString(8)}), and holds a private key. Run: chmod 600 ${file}`,
    )
  }
  const { id, secretSeed } = parseClientPrivate({ name: file, text })
  const keyPair = keyPairFromSeed(Buffer.from(secretSeed, 'hex'))
  const admitted = genesis.clients.find((client) => client.id === id)
  if (admitted === undefined) {
    throw new ConfigError(`${file}: id: genesis admits no client ${id}. Use a key of this cluster.`)
  }
  if (admitted.publicKey !== Buffer.from(keyPair.publicKey).toString('hex')) {
    throw new ConfigError(
      `${file}: secretSeed: is not the key of client ${id} in genesis. Use a key of this cluster.`,
    )
  }
  return { id: clientId(id), keyPair }
}

async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (cause) {
    throw new ConfigError(`${file}: ${reasonOf(cause)}`, { cause })
  }
}

function reasonOf(cause: unknown): string {
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined
  if (code === 'ENOENT') return 'is missing. Is this the directory that `pbft up` or `pbft init` made?'
  if (code === 'EACCES') return 'may not be read by this user.'
  return `cannot be read: ${cause instanceof Error ? cause.message : String(cause)}`
}
