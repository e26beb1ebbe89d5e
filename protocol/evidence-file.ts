import * as v from 'valibot'
import type { Genesis } from './config.ts'
import type { Verifier } from './crypto.ts'
import { PUBLIC_KEY_BYTES, SIGNATURE_BYTES } from './crypto.ts'
import { evidenceOf } from './evidence.ts'
import type { AccountableClaim, Evidence } from './messages.ts'
import { CLUSTER_ID_BYTES, signedBytes } from './signing.ts'
import { CLIENT_ID_MIN, type Digest, isDigest, replicaId } from './types.ts'

/**
 * [EV2] Evidence as a file that says all that its signatures cover. Its public key is for readers: what counts is the key
 * that genesis names, since a file can bring any.
 */
const hex = (bytes: number) =>
  v.pipe(
    v.string(),
    v.regex(new RegExp(`^[0-9a-f]{${bytes * 2}}$`), `must be ${bytes} bytes as lower-case hex`),
  )
const integer = v.pipe(v.number(), v.safeInteger('must be a whole number'), v.minValue(0))
const digest = v.custom<Digest>(
  (value) => typeof value === 'string' && isDigest(value),
  'must be 32 bytes as lower-case hex',
)
const signature = hex(SIGNATURE_BYTES)

const statementSchema = v.variant('type', [
  v.strictObject({
    type: v.picklist(['pre-prepare', 'prepare', 'commit']),
    view: integer,
    seq: integer,
    digest,
    signature,
  }),
  v.strictObject({
    type: v.literal('checkpoint'),
    seq: integer,
    stateRoot: digest,
    chain: digest,
    signature,
  }),
])
const fileSchema = v.strictObject({
  version: v.literal(1, 'this version of pbft-ledger reads evidence of version 1'),
  clusterId: hex(CLUSTER_ID_BYTES),
  accused: v.pipe(integer, v.maxValue(CLIENT_ID_MIN - 1)),
  publicKey: hex(PUBLIC_KEY_BYTES),
  statements: v.strictTuple([statementSchema, statementSchema]),
})
type EvidenceFile = v.InferOutput<typeof fileSchema>
type FiledStatement = EvidenceFile['statements'][number]

type Cluster = Pick<Genesis, 'clusterId' | 'replicas'>

/** Why a text proves nothing. */
export type Refusal = { readonly refused: string }
export const isRefusal = (value: Evidence | Refusal): value is Refusal => 'refused' in value

/** Indented JSON with a newline at its end. */
export function formatEvidence({ accused, claims }: Evidence, { clusterId, replicas }: Cluster): string {
  const [first, second] = claims
  const file: EvidenceFile = {
    version: 1,
    clusterId,
    accused,
    publicKey: replicas[accused]?.publicKey ?? '',
    statements: [filed(first), filed(second)],
  }
  return `${JSON.stringify(file, null, 2)}\n`
}

function filed({ statement, signature: bytes }: AccountableClaim): FiledStatement {
  const { type, view, seq, digests } = statement
  const [first, second] = digests
  if (first === undefined) throw new Error('a statement without a digest')
  const signed = { signature: Buffer.from(bytes).toString('hex') }
  if (type !== 'checkpoint') return { type, view, seq, digest: first, ...signed }
  if (second === undefined) throw new Error('a CHECKPOINT without a chain')
  return { type, seq, stateRoot: first, chain: second, ...signed }
}

/** [EV2] The evidence of a file, if it is one against a replica of this cluster. */
export function parseEvidence(text: string, cluster: Cluster, verifier: Verifier): Evidence | Refusal {
  const file = parseFile(text)
  if ('refused' in file) return file
  const { clusterId, accused, publicKey, statements } = file
  if (clusterId !== cluster.clusterId) {
    return { refused: `it is about cluster ${clusterId}, and genesis is that of ${cluster.clusterId}` }
  }
  const known = cluster.replicas[accused]
  if (known === undefined) return { refused: `genesis has no replica ${accused}` }
  if (known.publicKey !== publicKey) {
    return { refused: `its public key is not the one that genesis names for replica ${accused}` }
  }
  const [one, other] = statements
  const evidence = evidenceOf(claimOf(one, accused), claimOf(other, accused))
  if (evidence === null) {
    return { refused: 'its two statements do not contradict each other: a correct replica may sign both' }
  }
  const forged = forgedIn(evidence, { cluster, verifier })
  if (forged === null) return evidence
  return { refused: `replica ${accused} did not sign its ${forged}: the signature does not hold` }
}

function parseFile(text: string): EvidenceFile | Refusal {
  try {
    const result = v.safeParse(fileSchema, JSON.parse(text))
    if (result.success) return result.output
    const [issue] = result.issues
    const path = v.getDotPath(issue)
    return { refused: `it is no evidence: ${path === null ? '' : `${path}: `}${issue.message}` }
  } catch (error) {
    return { refused: `it is not JSON: ${error instanceof Error ? error.message : error}` }
  }
}

function claimOf(statement: FiledStatement, accused: number): AccountableClaim {
  const { type, seq, signature: text } = statement
  const signer = replicaId(accused)
  const bytes = Buffer.from(text, 'hex')
  return statement.type === 'checkpoint'
    ? {
        statement: {
          type: 'checkpoint',
          view: 0,
          seq,
          signer,
          digests: [statement.stateRoot, statement.chain],
        },
        signature: bytes,
      }
    : {
        statement: { type, view: statement.view, seq, signer, digests: [statement.digest] },
        signature: bytes,
      }
}

/** The first statement that its signer did not sign; null: it signed both. */
function forgedIn(
  { accused, claims }: Evidence,
  { cluster, verifier }: { readonly cluster: Cluster; readonly verifier: Verifier },
): string | null {
  const publicKey = Buffer.from(cluster.replicas[accused]?.publicKey ?? '', 'hex')
  const clusterId = Buffer.from(cluster.clusterId, 'hex')
  for (const [index, { statement, signature: bytes }] of claims.entries()) {
    if (!verifier.verify({ publicKey, bytes: signedBytes(clusterId, statement), signature: bytes })) {
      return `${index === 0 ? 'first' : 'second'} statement (in order of type and digest)`
    }
  }
  return null
}
