import { expect, test } from 'vitest'
import { FLOOD_TICK_MS, floodOf } from '../../../chaos/workload/flood/floods.ts'
import type { ClusterFiles } from '../../../client/files.ts'
import { decodeMessage, isMalformed } from '../../../protocol/codec.ts'
import { DEFAULT_PARAMETERS } from '../../../protocol/config.ts'
import { keyPairFromSeed, sodiumVerifier } from '../../../protocol/crypto.ts'
import type { Request } from '../../../protocol/messages.ts'
import { signedBytes } from '../../../protocol/signing.ts'
import { clientId, replicaId } from '../../../protocol/types.ts'

const keyPair = keyPairFromSeed(Buffer.alloc(32, 3))
const clusterId = 'ab'.repeat(16)
const files = {
  key: { id: clientId(1001), keyPair },
  genesis: { clusterId, parameters: DEFAULT_PARAMETERS, replicas: [], clients: [], accounts: [] },
} as unknown as ClusterFiles

/** What a second of it says to one replica. */
const second = (kind: Parameters<typeof floodOf>[0]) => {
  const flood = floodOf(kind, 500, files)
  const ticks = Array.from({ length: 1_000 / FLOOD_TICK_MS }, () => flood.tick())
  return ticks.flat().flatMap((say) => say(replicaId(2)))
}

const requestsIn = (packets: readonly Uint8Array[]): Request[] =>
  packets.flatMap((bytes) => {
    const message = decodeMessage(bytes)
    return !isMalformed(message) && message.type === 'request' ? [message] : []
  })

const isSigned = ({ client, digest, signature }: Request): boolean => {
  const statement = { type: 'request', view: 0, seq: 0, signer: client, digests: [digest] } as const
  const bytes = signedBytes(Buffer.from(clusterId, 'hex'), statement)
  return sodiumVerifier.verify({ publicKey: keyPair.publicKey, bytes, signature })
}

test('a flood of requests has the rate that was asked for, all lanes, rising numbers and signatures that hold', () => {
  const packets = second('requests')
  expect(packets).toHaveLength(500)
  const requests = requestsIn(packets)
  expect(requests).toHaveLength(400)
  expect(requests.every(isSigned)).toBe(true)
  expect(requests.every(({ number }, i) => i === 0 || number > (requests[i - 1]?.number ?? 0))).toBe(true)
})

test('a flood of bad signatures has none that holds', () => {
  const requests = requestsIn(second('signatures'))
  expect(requests).toHaveLength(400)
  expect(requests.some(isSigned)).toBe(false)
})

test('garbage and oversize need no session; the latter is a tenth as many', () => {
  expect(second('garbage')).toHaveLength(500)
  expect(second('oversize')).toHaveLength(50)
  expect(second('oversize')[0]?.length).toBe(60_000)
})
