import { chainDigestOfEntry } from '../../db/state-machine/ledger-entry.ts'
import { partitionDigest } from '../../db/state-tree/partition-node.ts'
import { newViewOf, requestOf, viewChangeOf } from '../../protocol/signed.ts'
import { batchDigestOf, signedBytes } from '../../protocol/signing.ts'
import type { ReplicaId } from '../../protocol/types.ts'
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

export function verifyAll({ genesis, suite, identities }: Cast, claims: readonly Claim[]): boolean[] {
  const clusterId = Buffer.from(genesis.clusterId, 'hex')
  return claims.map(({ statement, signature }) => {
    const publicKey = identities.get(statement.signer)?.publicKey
    if (publicKey === undefined) return false
    return suite.verifier.verify({ publicKey, bytes: signedBytes(clusterId, statement), signature })
  })
}
