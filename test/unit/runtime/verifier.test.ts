import { expect, test } from 'vitest'
import { keyPairFromSeed, signerOf, sodiumVerifier } from '../../../protocol/crypto.ts'
import type { Statement } from '../../../protocol/messages.ts'
import { signedBytes } from '../../../protocol/signing.ts'
import { clientId, type Digest, principalId, replicaId } from '../../../protocol/types.ts'
import { Principals, verifyClaims } from '../../../replica/runtime/verifier.ts'

const CLUSTER_ID = Buffer.alloc(16, 1)
const KEYS = keyPairFromSeed(Buffer.alloc(32, 1))
const OTHER_KEYS = keyPairFromSeed(Buffer.alloc(32, 2))
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')

const principals = new Principals({
  replicas: [{ id: 0, publicKey: hex(KEYS.publicKey) }],
  clients: [{ id: 1000, name: 'c', address: null, publicKey: hex(OTHER_KEYS.publicKey), role: 'customer' }],
})
const trust = { principals, verifier: sodiumVerifier, clusterId: CLUSTER_ID }

const STATEMENT: Statement = {
  type: 'prepare',
  view: 0,
  seq: 1,
  signer: replicaId(0),
  digests: ['aa'.repeat(32) as Digest],
}
const signed = (statement: Statement, keys = KEYS, clusterId = CLUSTER_ID) => ({
  statement,
  signature: signerOf(keys.secretKey).sign(signedBytes(clusterId, statement)),
})

test('[AU1] a signature stands for its signer, its statement and its cluster', () => {
  const good = signed(STATEMENT)
  const claims = [
    good,
    { ...good, statement: { ...STATEMENT, seq: 2 } },
    { ...good, statement: { ...STATEMENT, type: 'commit' as const } },
    { ...good, statement: { ...STATEMENT, signer: clientId(1000) } },
    { ...good, statement: { ...STATEMENT, signer: principalId(5) } },
    signed(STATEMENT, OTHER_KEYS),
    signed(STATEMENT, KEYS, Buffer.alloc(16, 2)),
    good,
  ]
  expect(verifyClaims(claims, trust)).toEqual([true, false, false, false, false, false, false, true])
})

test('[AU1] remote bytes of any length are no signature and no throw', () => {
  const claims = [0, 63, 65, 1_000].map((length) => ({
    statement: STATEMENT,
    signature: new Uint8Array(length),
  }))
  expect(verifyClaims(claims, trust)).toEqual([false, false, false, false])
})

test('genesis says who is known', () => {
  expect(principals.has(replicaId(0))).toBe(true)
  expect(principals.has(clientId(1000))).toBe(true)
  expect(principals.has(principalId(1))).toBe(false)
  expect(principals.publicKey(principalId(1))).toBeUndefined()
})
