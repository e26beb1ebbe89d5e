import { describe, expect, test } from 'vitest'
import {
  encodeMessage,
  encodeNewViewBody,
  encodeRequestBody,
  encodeViewChangeBody,
} from '../../../protocol/codec.ts'
import { digestOf } from '../../../protocol/crypto.ts'
import type { SignedType } from '../../../protocol/messages.ts'
import type { Operation } from '../../../protocol/operations.ts'
import {
  batchDigestOf,
  chainDigestOf,
  NULL_BATCH,
  resultsDigestOf,
  signedBytes,
} from '../../../protocol/signing.ts'
import {
  clientId,
  type Digest,
  lane,
  principalId,
  replicaId,
  requestNumber,
  seq,
  view,
} from '../../../protocol/types.ts'

/**
 * What is signed or digested is final: replicas of another version, vote logs and chains depend on every byte. Where
 * one of these fails, the change needs a new wire version, not a new expectation.
 */

const CLUSTER_ID = Buffer.from('000102030405060708090a0b0c0d0e0f', 'hex')
const A = 'aa'.repeat(32) as Digest
const B = 'bb'.repeat(32) as Digest
const signature = (byte: number) => Buffer.alloc(64, byte)
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')

const HEAD = '7062667401000102030405060708090a0b0c0d0e0f'

describe('[AU1] signed layouts', () => {
  const layouts: readonly [SignedType, number, string][] = [
    ['request', 0x01, A],
    ['pre-prepare', 0x02, A],
    ['prepare', 0x03, A],
    ['commit', 0x04, A],
    ['view-change', 0x06, A],
    ['new-view', 0x07, A],
  ]
  test.each(layouts)('%s', (type, code, digest) => {
    const statement = { type, view: 3, seq: 2 ** 40 + 5, signer: principalId(1001), digests: [A] }
    expect(hex(signedBytes(CLUSTER_ID, statement))).toBe(
      `${HEAD}0${code}00000000000000030000010000000005000003e9${digest}`,
    )
  })

  test('checkpoint: stateRoot, then chain', () => {
    const statement = {
      type: 'checkpoint' as const,
      view: 0,
      seq: 128,
      signer: replicaId(2),
      digests: [A, B],
    }
    expect(hex(signedBytes(CLUSTER_ID, statement))).toBe(
      `${HEAD}05000000000000000000000000000000800000000${'2'}${A}${B}`,
    )
  })

  test('the largest numbers', () => {
    const max = Number.MAX_SAFE_INTEGER
    const statement = {
      type: 'commit' as const,
      view: max,
      seq: max,
      signer: principalId(2 ** 32 - 1),
      digests: [A],
    }
    expect(hex(signedBytes(CLUSTER_ID, statement))).toBe(
      `${HEAD}04001fffffffffffff001fffffffffffffffffffff${A}`,
    )
  })

  test('types, clusters, views, numbers, signers and digests are told apart', () => {
    const statement = { type: 'prepare' as const, view: 1, seq: 2, signer: replicaId(3), digests: [A] }
    const others = [
      signedBytes(CLUSTER_ID, { ...statement, type: 'commit' }),
      signedBytes(Buffer.alloc(16), statement),
      signedBytes(CLUSTER_ID, { ...statement, view: 2 }),
      signedBytes(CLUSTER_ID, { ...statement, seq: 1 }),
      signedBytes(CLUSTER_ID, { ...statement, signer: replicaId(1) }),
      signedBytes(CLUSTER_ID, { ...statement, digests: [B] }),
    ]
    const all = [signedBytes(CLUSTER_ID, statement), ...others].map(hex)
    expect(new Set(all).size).toBe(all.length)
  })
})

const OPERATIONS: readonly Operation[] = [
  { kind: 'open', account: 'new', owner: clientId(1001), customer: { name: 'Zoë', address: null } },
  { kind: 'open', account: 'bare', owner: clientId(1001), customer: null },
  { kind: 'deposit', account: 'a', amount: 1n },
  { kind: 'withdraw', account: 'a', amount: -1n },
  { kind: 'transfer', from: 'a', to: 'b', amount: 2n ** 63n - 1n },
  { kind: 'balance', account: 'a' },
  { kind: 'history', account: 'a', before: seq(9), limit: 10 },
  { kind: 'history', account: 'a', before: null, limit: 1 },
  { kind: 'linked', operations: [{ kind: 'balance', account: 'b' }] },
]
const BODY = encodeRequestBody({
  client: clientId(1001),
  lane: lane(3),
  number: requestNumber(1_700_000_000_000_000),
  operations: OPERATIONS,
})
const RECOVER = encodeRequestBody({
  client: principalId(2),
  lane: lane(0),
  number: requestNumber(7),
  operations: [{ kind: 'recover', view: view(5) }],
})
const LOOKUP = encodeRequestBody({
  client: clientId(1001),
  lane: lane(0),
  number: requestNumber(7),
  operations: [{ kind: 'lookup' }],
})

describe('[AU4] digests of requests and batches', () => {
  test('a request body', () => {
    expect(hex(BODY)).toBe(
      '94cd03e903cb4318289060790000999401a36e6577cd03e992a45a6fc3abc09401a462617265cd03e9c09302a161d300000000000000019303a161d3ffffffffffffffff9404a161a162d37fffffffffffffff9205a1619406a161090a9406a161c0019207919205a162',
    )
    expect(hex(LOOKUP)).toBe('94cd03e90007919108')
    expect(hex(RECOVER)).toBe('9402000791920905')
  })
  test('a request digest', () =>
    expect(digestOf(BODY)).toBe('43eb1229492490a9543307960e8ee4d6ea5a905a0c3428a224c35448a29a29cc'))
  test('a batch digest', () => {
    const batch = [
      { digest: A, signature: signature(1) },
      { digest: B, signature: signature(2) },
    ]
    expect(batchDigestOf(batch)).toBe('f63283101f8440077c2320c1b89c0c38c172bbafbf4560ecea8c20460336546e')
    expect(batchDigestOf(batch.toReversed())).not.toBe(batchDigestOf(batch))
  })
  test('the null batch', () => {
    expect(NULL_BATCH.digest).toBe('f827c99366e5ed4fdc8382f66161721e6a33b0627db6c8743388603ff51fd563')
    expect(batchDigestOf([])).toBe(NULL_BATCH.digest)
  })
})

describe('[NC9] the chain', () => {
  test('a results digest', () =>
    expect(resultsDigestOf(A, B)).toBe('e4351a237b5150f780837f4ef69b4feb9496b48780cb07a8193803840e71a17c'))
  test('a link', () => {
    const link = { previous: A, seq: 2 ** 33 + 1, batchDigest: B, resultsDigest: A }
    expect(chainDigestOf(link)).toBe('332da3b2277dde7bc4fd57158036fb0afcc9ad893a565c1e396a7e5f9847da2b')
    expect(chainDigestOf({ ...link, seq: 1 })).not.toBe(chainDigestOf(link))
  })
})

describe('[VC1] [VC2] bodies that are signed', () => {
  const header = { view: view(1), seq: seq(129), digest: A, signature: signature(3) }
  test('VIEW-CHANGE', () => {
    const body = encodeViewChangeBody({
      newView: view(2),
      lowWaterMark: seq(128),
      incarnation: 1,
      checkpoints: [
        {
          type: 'checkpoint',
          seq: seq(128),
          stateRoot: A,
          chain: B,
          replica: replicaId(1),
          signature: signature(4),
        },
      ],
      prepared: [{ header, prepares: [{ replica: replicaId(2), signature: signature(5) }] }],
    })
    expect(digestOf(body)).toBe('5198b5199aa41dca744ec53870a56c6b44cf891624b6f3c8fa56ff120bd01aae')
  })
  test('NEW-VIEW', () => {
    const body = encodeNewViewBody({
      view: view(2),
      viewChanges: [{ replica: replicaId(1), digest: B }],
      headers: [header],
    })
    expect(digestOf(body)).toBe('106672e479d64c1dbd008fa69399af14e6eced997250cb66d2f6383d9d2f9adb')
  })
})

test('a vote on the wire', () => {
  const vote = { view: view(0), seq: seq(1), digest: A, replica: replicaId(2), signature: signature(6) }
  expect(hex(encodeMessage({ type: 'commit', ...vote }))).toBe(`96040001c420${A}02c440${hex(signature(6))}`)
})
