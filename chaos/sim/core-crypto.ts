import { chainDigestOfEntry } from '../../db/state-machine/ledger-entry.ts'
import { partitionDigest } from '../../db/state-tree/partition-node.ts'
import type { PreparedCertificate } from '../../protocol/messages.ts'
import { newViewOf, requestOf, viewChangeOf } from '../../protocol/signed.ts'
import { batchDigestOf, signedBytes } from '../../protocol/signing.ts'
import { type PrincipalId, principalId, type ReplicaId } from '../../protocol/types.ts'
import type { CoreCrypto } from '../../replica/core/config.ts'
import type { Claim } from '../../replica/core/effect.ts'
import type { Cast } from './genesis.ts'

/** What a replica's core is given to sign and hash with: production's layouts on the run's primitives. */
export function coreCryptoOf(cast: Cast, replica: ReplicaId): CoreCrypto {
  const identity = cast.identities.get(replica)
  if (identity === undefined) throw new Error(`replica ${replica} has no key`)
  const clusterId = Buffer.from(cast.genesis.clusterId, 'hex')
  const sign: CoreCrypto['sign'] = (statement) => identity.signer.sign(signedBytes(clusterId, statement))
  return {
    sign,
    batchDigest: batchDigestOf,
    request: (fields) => requestOf(fields, sign),
    viewChange: (fields) => viewChangeOf(fields, replica, sign),
    newView: (fields) => newViewOf(fields, replica, sign),
    partitionDigest,
    chainDigest: chainDigestOfEntry,
  }
}

/** [VC1] The signatures of a prepared certificate; who may sign it is not looked at. */
export function isSigned({ header, prepares }: PreparedCertificate, cast: Cast): boolean {
  const { view, seq, digest } = header
  const primary = principalId(view % cast.genesis.replicas.length)
  const claimOf = (type: 'pre-prepare' | 'prepare', signer: PrincipalId, signature: Uint8Array): Claim => ({
    statement: { type, view, seq, signer, digests: [digest] },
    signature,
  })
  return verifyAll(cast, [
    claimOf('pre-prepare', primary, header.signature),
    ...prepares.map(({ replica, signature }) => claimOf('prepare', replica, signature)),
  ]).every((valid) => valid)
}

export function verifyAll({ genesis, suite, identities }: Cast, claims: readonly Claim[]): boolean[] {
  const clusterId = Buffer.from(genesis.clusterId, 'hex')
  return claims.map(({ statement, signature }) => {
    const publicKey = identities.get(statement.signer)?.publicKey
    if (publicKey === undefined) return false
    return suite.verifier.verify({ publicKey, bytes: signedBytes(clusterId, statement), signature })
  })
}
