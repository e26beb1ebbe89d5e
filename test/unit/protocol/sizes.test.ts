import { describe, expect, test } from 'vitest'
import { DEFAULT_CHANNEL_LIMITS } from '../../../protocol/channel/limits.ts'
import { decodeMessage, encodeMessage } from '../../../protocol/codec.ts'
import { DEFAULT_PARAMETERS, logWindowOf, viewChangeBytesMax } from '../../../protocol/config.ts'
import type { Header, Message, Partition, Vote } from '../../../protocol/messages.ts'
import { quorumOf } from '../../../protocol/quorum.ts'
import { newViewOf, viewChangeOf } from '../../../protocol/signed.ts'
import { type Digest, replicaId, seq, view } from '../../../protocol/types.ts'

/** The largest messages there are, through the codec and the channel's limits. */

const DIGEST = 'ab'.repeat(32) as Digest
const signature = new Uint8Array(64).fill(7)
const sign = () => signature
/** Numbers at their longest: nine bytes each. */
const FAR = Number.MAX_SAFE_INTEGER

const votes = (count: number): Vote[] =>
  Array.from({ length: count }, (_, i) => ({ replica: replicaId(999 - i), signature }))
const headers = (count: number): Header[] =>
  Array.from({ length: count }, () => ({ view: view(FAR), seq: seq(FAR), digest: DIGEST, signature }))

function viewChange({ n, window }: { n: number; window: number }) {
  const { quorum } = quorumOf(n)
  const checkpoints = votes(quorum).map((vote) => ({
    type: 'checkpoint' as const,
    seq: seq(FAR),
    stateRoot: DIGEST,
    chain: DIGEST,
    ...vote,
  }))
  const prepared = headers(window).map((header) => ({ header, prepares: votes(quorum - 1) }))
  const body = { newView: view(FAR), lowWaterMark: seq(FAR), incarnation: FAR, checkpoints, prepared }
  return viewChangeOf(body, replicaId(n - 1), sign)
}

function newView({ n, window }: { n: number; window: number }) {
  const viewChanges = Array.from({ length: n }, (_, id) => ({ replica: replicaId(id), digest: DIGEST }))
  return newViewOf({ view: view(FAR), viewChanges, headers: headers(window) }, replicaId(0), sign)
}

const partitions = (bytes: number): Message => ({
  type: 'partitions',
  seq: seq(FAR),
  isHeld: true,
  nodes: Array.from({ length: bytes / 1_000 }, (_, i) => ({
    partition: i.toString(16) as Partition,
    node: { kind: 'rows' as const, rows: new Uint8Array(1_000) },
  })),
})

const L = logWindowOf(DEFAULT_PARAMETERS)
const largest: readonly [string, Message][] = [
  ['VIEW-CHANGE of a full window, n = 13', viewChange({ n: 13, window: L })],
  ['NEW-VIEW of a full window, n = 13', newView({ n: 13, window: L })],
  ['PARTITIONS of a megabyte', partitions(1_000_000)],
]

test.each(largest)('%s travels', (_, message) => {
  const bytes = Uint8Array.from(encodeMessage(message))
  const { messageBytesMax, replica } = DEFAULT_CHANNEL_LIMITS
  expect(bytes.length).toBeLessThanOrEqual(messageBytesMax)
  // Two at once, such as a resent one beside the next, find room.
  expect(2 * bytes.length).toBeLessThanOrEqual(replica.reassemblyBytesPerPeerMax)
  expect(decodeMessage(bytes)).toMatchObject({ type: message.type })
})

describe('[VC1] genesis refuses a window whose VIEW-CHANGE no message carries', () => {
  test.each([4, 7, 13, 31])('the bound holds, and is close, n = %i', (n) => {
    for (const checkpointInterval of [1, 2, 64, 500]) {
      const parameters = { ...DEFAULT_PARAMETERS, checkpointInterval }
      const { length } = encodeMessage(viewChange({ n, window: logWindowOf(parameters) }))
      const bound = viewChangeBytesMax(parameters, quorumOf(n))
      expect(length).toBeLessThanOrEqual(bound)
      expect(length).toBeGreaterThan(0.98 * bound - 200)
    }
  })

  test('what the bound admits, the channel takes', () => {
    const message = viewChange({ n: 4, window: 15_000 })
    expect(message.body.length).toBeGreaterThan(3_900_000)
    expect(encodeMessage(message).length).toBeLessThan(DEFAULT_CHANNEL_LIMITS.messageBytesMax)
  })
})
