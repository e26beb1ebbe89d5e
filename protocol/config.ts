import * as v from 'valibot'
import { digestOf } from './crypto.ts'
import { ACCOUNT_ID_PATTERN, MONEY_MAX, NAME_CHARACTERS_MAX } from './operations.ts'
import { type Quorum, quorumOf, REPLICAS_MIN } from './quorum.ts'
import { CLUSTER_ID_BYTES } from './signing.ts'
import { CLIENT_ID_MIN, type Digest } from './types.ts'

/**
 * The files of a cluster. `genesis.json` is made once by `init` and never edited: its digest, taken over the bytes
 * of the file, starts the chain [NC9]. `cluster.json` adds addresses and is public; `private.json` is one
 * principal's own, mode 0600.
 */

const hex = (bytes: number) =>
  v.pipe(
    v.string(),
    v.regex(new RegExp(`^[0-9a-f]{${bytes * 2}}$`), `must be ${bytes} bytes as lower-case hex`),
  )
const integer = (min: number, max: number) =>
  v.pipe(v.number(), v.integer('must be a whole number'), v.minValue(min), v.maxValue(max))

const replicaIdSchema = integer(0, CLIENT_ID_MIN - 1)
const clientIdSchema = integer(CLIENT_ID_MIN, 2 ** 32 - 1)
/** Postgres' text holds no NUL, and a terminal shows no control characters. */
const textSchema = v.pipe(
  v.string(),
  v.maxLength(NAME_CHARACTERS_MAX),
  v.check((text) => text.isWellFormed() && !/\p{Cc}/u.test(text), 'must be text without control characters'),
)
const nameSchema = v.pipe(textSchema, v.minLength(1))

/** Whole minor units in quotes, since JSON numbers lose precision above 2^53. */
const moneySchema = v.pipe(
  v.string(),
  v.regex(/^(0|[1-9][0-9]{0,18})$/, 'must be a whole number in quotes'),
  v.transform((digits: string) => BigInt(digits)),
  v.maxValue(MONEY_MAX),
)

/** What every replica must agree on, because it enters what they accept and execute. */
const parametersSchema = v.strictObject({
  /** K: a CHECKPOINT every so many sequence numbers. */
  checkpointInterval: integer(1, 65_536),
  /** Largest batch, in operations and in bytes of request bodies. */
  batchOperationsMax: integer(1, 10_000),
  batchBytesMax: integer(1_000, 4_000_000),
  /** Largest request, in operations and in bytes of its body. */
  requestOperationsMax: integer(1, 10_000),
  requestBytesMax: integer(1_000, 1_000_000),
  /** Lanes are numbered 0 to lanesPerClientMax - 1 [NC5]. */
  lanesPerClientMax: integer(2, 1_024),
})
export type Parameters = v.InferOutput<typeof parametersSchema>

export const DEFAULT_PARAMETERS: Parameters = {
  checkpointInterval: 128,
  batchOperationsMax: 500,
  batchBytesMax: 200_000,
  requestOperationsMax: 256,
  requestBytesMax: 100_000,
  lanesPerClientMax: 64,
}

/** L = 2K: how far above the low water mark a sequence number may be [CP1]. */
export const logWindowOf = (parameters: Parameters): number => 2 * parameters.checkpointInterval

/** What the channel carries in one message, less a margin for its envelope. */
const VIEW_CHANGE_BYTES_MAX = 4_000_000
const CERTIFICATE_BYTES = 126
const VOTE_BYTES = 70
const CHECKPOINT_BYTES = 147
const ENVELOPE_BYTES = 128

/** [VC1] Of a VIEW-CHANGE whose whole window is prepared: one that no message carries would end every view change. */
export const viewChangeBytesMax = (parameters: Parameters, { quorum }: Quorum): number =>
  ENVELOPE_BYTES +
  quorum * CHECKPOINT_BYTES +
  logWindowOf(parameters) * (CERTIFICATE_BYTES + (quorum - 1) * VOTE_BYTES)

const genesisSchema = v.pipe(
  v.strictObject({
    version: v.literal(1, 'this version of pbft-ledger reads genesis version 1'),
    clusterId: hex(CLUSTER_ID_BYTES),
    /** Adversaries are refused unless this is true. */
    allowByzantine: v.boolean(),
    parameters: parametersSchema,
    replicas: v.pipe(
      v.array(v.strictObject({ id: replicaIdSchema, publicKey: hex(32) })),
      v.minLength(REPLICAS_MIN, `a cluster needs at least ${REPLICAS_MIN} replicas to tolerate one fault`),
      v.maxLength(CLIENT_ID_MIN),
    ),
    clients: v.array(
      v.strictObject({
        id: clientIdSchema,
        name: nameSchema,
        address: v.nullable(textSchema),
        publicKey: hex(32),
        role: v.picklist(['customer', 'teller']),
      }),
    ),
    /** `balance` comes from the external account, so that the sum over all accounts is 0. */
    accounts: v.array(
      v.strictObject({
        id: v.pipe(v.string(), v.regex(ACCOUNT_ID_PATTERN, 'must be 1 to 64 of letters, digits, _ . : -')),
        owner: clientIdSchema,
        balance: moneySchema,
      }),
    ),
  }),
  v.forward(
    v.check((g) => g.replicas.every((r, i) => r.id === i), 'replicas must be numbered 0, 1, 2, ... in order'),
    ['replicas'],
  ),
  v.forward(
    v.check(
      (g) => new Set(g.clients.map((c) => c.id)).size === g.clients.length,
      'two clients have the same id',
    ),
    ['clients'],
  ),
  v.forward(
    v.check(
      (g) => new Set(g.accounts.map((a) => a.id)).size === g.accounts.length,
      'two accounts have the same id',
    ),
    ['accounts'],
  ),
  v.forward(
    v.check((g) => {
      const ids = new Set(g.clients.map((c) => c.id))
      return g.accounts.every((a) => ids.has(a.owner))
    }, 'an account is owned by nobody in clients'),
    ['accounts'],
  ),
  v.forward(
    v.check(
      (g) => g.accounts.reduce((sum, a) => sum + a.balance, 0n) <= MONEY_MAX,
      'the balances add up to more than the external account can owe',
    ),
    ['accounts'],
  ),
  v.forward(
    v.check(
      // Fewer than REPLICAS_MIN are refused above.
      ({ parameters, replicas }) =>
        viewChangeBytesMax(parameters, quorumOf(Math.max(replicas.length, REPLICAS_MIN))) <=
        VIEW_CHANGE_BYTES_MAX,
      'checkpointInterval is too large for so many replicas: a VIEW-CHANGE would not fit a message',
    ),
    ['parameters'],
  ),
)
export type GenesisFile = v.InferOutput<typeof genesisSchema>
export type Genesis = GenesisFile & { readonly digest: Digest }

const portSchema = integer(1, 65_535)

/** One host's own knobs: they need not agree between replicas. */
const tuningSchema = v.strictObject({
  /** Slots the primary keeps open before it gathers larger batches [NC2]. */
  inFlightMax: integer(1, 64),
  /** Largest datagram payload; up to 60,000 on loopback and jumbo networks. */
  payloadBytes: integer(1_200, 60_000),
  /** How often STATUS is sent: while something is open, and when idle. */
  statusBusyMs: integer(5, 60_000),
  statusIdleMs: integer(5, 600_000),
  /** How long the oldest request may wait for its primary [NC8], and a new view for its NEW-VIEW [VC4], at first. */
  viewChangeTimeoutMs: integer(20, 600_000),
  /** How often some rows are read again when no checkpoint gives the occasion [CP6]. */
  scrubIntervalMs: integer(50, 86_400_000),
})
export type Tuning = v.InferOutput<typeof tuningSchema>

export const DEFAULT_TUNING: Tuning = {
  inFlightMax: 4,
  payloadBytes: 1_200,
  statusBusyMs: 100,
  statusIdleMs: 1_000,
  viewChangeTimeoutMs: 500,
  scrubIntervalMs: 10_000,
}

const clusterSchema = v.strictObject({
  version: v.literal(1, 'this version of pbft-ledger reads cluster file version 1'),
  genesisDigest: hex(32),
  replicas: v.array(
    v.strictObject({ id: replicaIdSchema, host: v.pipe(v.string(), v.minLength(1)), port: portSchema }),
  ),
  tuning: tuningSchema,
})
export type ClusterFile = v.InferOutput<typeof clusterSchema>

/** What the replica connects to instead of its server's own port, where something stands between; null: nothing does. */
const connectPortSchema = v.nullable(portSchema)

const databaseSchema = v.variant('kind', [
  /** A server of this replica's own, started and stopped with it; data below the bundle unless the path says else. */
  v.strictObject({
    kind: v.literal('embedded'),
    port: portSchema,
    connectPort: connectPortSchema,
    user: v.string(),
    password: v.string(),
    /** Where the server's files are; null: `postgres` below the bundle. */
    dataDirectory: v.nullable(v.string()),
  }),
  v.strictObject({
    kind: v.literal('docker'),
    image: v.string(),
    port: portSchema,
    connectPort: connectPortSchema,
    user: v.string(),
    password: v.string(),
  }),
  v.strictObject({
    kind: v.literal('url'),
    url: v.pipe(v.string(), v.regex(/^postgres(ql)?:\/\//, 'must start with postgresql://')),
  }),
])
export type DatabaseConfig = v.InferOutput<typeof databaseSchema>

const replicaPrivateSchema = v.strictObject({
  version: v.literal(1),
  id: replicaIdSchema,
  /** Ed25519 seed. */
  secretSeed: hex(32),
  database: databaseSchema,
})
export type ReplicaPrivateFile = v.InferOutput<typeof replicaPrivateSchema>

const clientPrivateSchema = v.strictObject({ version: v.literal(1), id: clientIdSchema, secretSeed: hex(32) })
export type ClientPrivateFile = v.InferOutput<typeof clientPrivateSchema>

/** A file that a person can mend: says which file, which field, and what is wrong with it. */
export class ConfigError extends Error {
  override name = 'ConfigError'
}

/** `name` is how messages call the file. @throws ConfigError with the path of the first wrong field. */
function parseFile<T>(
  schema: v.GenericSchema<unknown, T>,
  { name, text, hint }: { name: string; text: string; hint: string },
): T {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch (cause) {
    throw new ConfigError(`${name}: not JSON: ${cause instanceof Error ? cause.message : ''}. ${hint}`, {
      cause,
    })
  }
  const result = v.safeParse(schema, json)
  if (result.success) return result.output
  const [issue] = result.issues
  const path = v.getDotPath(issue) ?? '(top level)'
  throw new ConfigError(`${name}: ${path}: ${issue.message}. ${hint}`)
}

type FileText = { readonly name: string; readonly text: string }

export function parseGenesis(file: FileText): Genesis {
  const hint = 'Genesis is never edited; copy it anew from where `pbft init` made it.'
  return { ...parseFile(genesisSchema, { ...file, hint }), digest: digestOf(Buffer.from(file.text, 'utf8')) }
}

/** Checks that the cluster file is the one of `genesis` and has an address for each of its replicas. */
export function parseCluster(file: FileText, genesis: Genesis): ClusterFile {
  const cluster = parseFile(clusterSchema, { ...file, hint: 'Mend the field, or copy the file anew.' })
  if (cluster.genesisDigest !== genesis.digest) {
    throw new ConfigError(
      `${file.name}: genesisDigest: is of another cluster than genesis.json. Copy both files from the same place.`,
    )
  }
  genesis.replicas.forEach((replica, index) => {
    if (cluster.replicas[index]?.id !== replica.id) {
      throw new ConfigError(`${file.name}: replicas.${index}: must be the address of replica ${replica.id}.`)
    }
  })
  if (cluster.replicas.length > genesis.replicas.length) {
    const path = `replicas.${genesis.replicas.length}`
    throw new ConfigError(`${file.name}: ${path}: is an address of a replica that genesis does not have.`)
  }
  return cluster
}

export const parseReplicaPrivate = (file: FileText): ReplicaPrivateFile =>
  parseFile(replicaPrivateSchema, { ...file, hint: 'Copy the bundle anew from where `pbft init` made it.' })

export const parseClientPrivate = (file: FileText): ClientPrivateFile =>
  parseFile(clientPrivateSchema, { ...file, hint: 'Copy the key anew from where `pbft init` made it.' })
