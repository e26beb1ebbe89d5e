import { chainDigestOfEntry } from '../../db/state-machine/ledger-entry.ts'
import { partitionDigest } from '../../db/state-tree/partition-node.ts'
import { logWindowOf } from '../../protocol/config.ts'
import { keyPairFromSeed, signerOf } from '../../protocol/crypto.ts'
import { quorumOf } from '../../protocol/quorum.ts'
import { newViewOf, requestOf, type Sign, viewChangeOf } from '../../protocol/signed.ts'
import { batchDigestOf, signedBytes } from '../../protocol/signing.ts'
import { replicaId } from '../../protocol/types.ts'
import type { CoreConfig, CoreCrypto } from '../core/config.ts'
import type { Bundle } from './bundle.ts'
import type { Principals } from './verifier.ts'

export function coreConfigOf({ genesis, cluster, own }: Bundle, principals: Principals): CoreConfig {
  const { parameters } = genesis
  return {
    self: replicaId(own.id),
    quorum: quorumOf(genesis.replicas.length),
    ...parameters,
    logWindow: logWindowOf(parameters),
    ...cluster.tuning,
    isAdmitted: (id) => principals.has(id),
  }
}

/** Everything that is signed here is signed with this replica's own key. */
export function coreCryptoOf({ genesis, own }: Bundle): CoreCrypto {
  const signer = signerOf(keyPairFromSeed(Buffer.from(own.secretSeed, 'hex')).secretKey)
  const clusterId = Buffer.from(genesis.clusterId, 'hex')
  const self = replicaId(own.id)
  const sign: Sign = (statement) => signer.sign(signedBytes(clusterId, statement))
  return {
    sign,
    batchDigest: batchDigestOf,
    request: (fields) => requestOf(fields, sign),
    viewChange: (fields) => viewChangeOf(fields, self, sign),
    newView: (fields) => newViewOf(fields, self, sign),
    partitionDigest,
    chainDigest: chainDigestOfEntry,
  }
}
