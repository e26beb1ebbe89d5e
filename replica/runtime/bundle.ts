import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import {
  type ClusterFile,
  ConfigError,
  type Genesis,
  parseCluster,
  parseGenesis,
  parseReplicaPrivate,
  type ReplicaPrivateFile,
} from '../../protocol/config.ts'
import { keyPairFromSeed } from '../../protocol/crypto.ts'

/** A replica's own directory: all it needs on its host. */
export type Bundle = {
  readonly directory: string
  readonly genesis: Genesis
  readonly cluster: ClusterFile
  readonly own: ReplicaPrivateFile
}

export const bundlePaths = (directory: string) => ({
  genesis: join(directory, 'genesis.json'),
  cluster: join(directory, 'cluster.json'),
  private: join(directory, 'private.json'),
  votes: join(directory, 'votes'),
  /** [EV3] Proof against others, a file for each. */
  evidence: join(directory, 'evidence'),
  pid: join(directory, 'replica.pid'),
  log: join(directory, 'replica.log'),
  /** With `--trace`: messages around view changes. */
  messages: join(directory, 'messages.jsonl'),
  postgres: join(directory, 'postgres'),
})

/** @throws ConfigError naming the file, the field and what to do. */
export async function loadBundle(directory: string): Promise<Bundle> {
  const paths = bundlePaths(directory)
  const genesis = parseGenesis(await textOf(paths.genesis))
  const cluster = parseCluster(await textOf(paths.cluster), genesis)
  await refuseReadableByOthers(paths.private)
  const own = parseReplicaPrivate(await textOf(paths.private))
  const entry = genesis.replicas[own.id]
  if (entry === undefined) {
    throw new ConfigError(
      `${paths.private}: id: genesis has no replica ${own.id}. The bundle is of another cluster.`,
    )
  }
  const { publicKey } = keyPairFromSeed(Buffer.from(own.secretSeed, 'hex'))
  if (Buffer.from(publicKey).toString('hex') !== entry.publicKey) {
    throw new ConfigError(
      `${paths.private}: secretSeed: is not the key that genesis names for replica ${own.id}.`,
    )
  }
  return { directory, genesis, cluster, own }
}

async function textOf(path: string): Promise<{ name: string; text: string }> {
  try {
    return { name: path, text: await readFile(path, 'utf8') }
  } catch (cause) {
    throw new ConfigError(`${path}: cannot be read (${codeOf(cause)}). A bundle comes from \`pbft init\`.`, {
      cause,
    })
  }
}

/** A key that others can read is no key: mode 0600 or stricter. */
async function refuseReadableByOthers(path: string): Promise<void> {
  const mode = await stat(path).then(
    ({ mode }) => mode & 0o777,
    (cause: unknown) => {
      throw new ConfigError(
        `${path}: the replica's key is missing (${codeOf(cause)}). Copy its bundle anew.`,
        { cause },
      )
    },
  )
  if ((mode & 0o077) !== 0) {
    throw new ConfigError(
      `${path}: others may read this key (mode ${mode.toString(8)}). Run: chmod 600 ${path}`,
    )
  }
}

const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error ? String(error.code) : String(error)
