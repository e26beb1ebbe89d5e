import { DEFAULT_PARAMETERS, type Genesis, parseGenesis } from '../../../protocol/config.ts'
import { digestOf, keyPairFromSeed, signerOf } from '../../../protocol/crypto.ts'
import { evidenceOf } from '../../../protocol/evidence.ts'
import type { AccountableClaim, AccountableStatement, Evidence } from '../../../protocol/messages.ts'
import { signedBytes } from '../../../protocol/signing.ts'
import { type Digest, replicaId } from '../../../protocol/types.ts'

/** Four replicas with real keys, and what they sign. */

const keysOf = (id: number) => keyPairFromSeed(Buffer.alloc(32, id + 1))
export const publicKeyOf = (id: number): string => Buffer.from(keysOf(id).publicKey).toString('hex')

export const GENESIS_TEXT = JSON.stringify({
  version: 1,
  clusterId: '0a'.repeat(16),
  allowByzantine: false,
  parameters: DEFAULT_PARAMETERS,
  replicas: [0, 1, 2, 3].map((id) => ({ id, publicKey: publicKeyOf(id) })),
  clients: [],
  accounts: [],
})
export const GENESIS: Genesis = parseGenesis({ name: 'genesis.json', text: GENESIS_TEXT })

export const digest = (name: string): Digest => digestOf(Buffer.from(name))

/** Signed by `by`, where that is not who it names. */
export function claim(
  statement: AccountableStatement,
  { by = statement.signer as number, clusterId = GENESIS.clusterId } = {},
): AccountableClaim {
  const bytes = signedBytes(Buffer.from(clusterId, 'hex'), statement)
  return { statement, signature: signerOf(keysOf(by).secretKey).sign(bytes) }
}

type OrderType = 'pre-prepare' | 'prepare' | 'commit'
export const ordered = (
  type: OrderType,
  batch: string,
  { view = 3, seq = 17, signer = 2 } = {},
): AccountableStatement => ({ type, view, seq, signer: replicaId(signer), digests: [digest(batch)] })

export const checkpointed = (stateRoot: string, chain: string, seq = 16): AccountableStatement => ({
  type: 'checkpoint',
  view: 0,
  seq,
  signer: replicaId(2),
  digests: [digest(stateRoot), digest(chain)],
})

export function evidence(one: AccountableClaim, other: AccountableClaim): Evidence {
  const made = evidenceOf(one, other)
  if (made === null) throw new Error('no contradiction')
  return made
}
