import { describe, expect, test } from 'vitest'
import { clientAdversaryOf } from '../../../client/byzantine/adversary.ts'
import {
  CLIENT_BEHAVIOUR_NAMES,
  formatClientBehaviours,
  parseClientBehaviours,
} from '../../../client/byzantine/behaviour.ts'
import { DEFAULT_CLIENT_LIMITS } from '../../../client/context.ts'
import { decodeMessage, isMalformed } from '../../../protocol/codec.ts'
import { keyPairFromSeed, signerOf, sodiumVerifier } from '../../../protocol/crypto.ts'
import type { Message, Request } from '../../../protocol/messages.ts'
import { requestOf } from '../../../protocol/signed.ts'
import { signedBytes } from '../../../protocol/signing.ts'
import { clientId, lane, replicaId, requestNumber } from '../../../protocol/types.ts'

const SELF = clientId(1_001)
const OTHER = clientId(1_000)
const NUMBER = 5_000
const CLUSTER = new Uint8Array(16)
const { publicKey, secretKey } = keyPairFromSeed(new Uint8Array(32).fill(7))
const signer = signerOf(secretKey)
const REPLICAS = [0, 1, 2, 3].map(replicaId)
const BOUNDS = { lanesPerClientMax: 4, requestOperationsMax: 16, requestBytesMax: 4_000 }

const honest = requestFrom(SELF, NUMBER)

function requestFrom(client: typeof SELF, number: number): Request {
  const fields = { client, lane: lane(1), number: requestNumber(number) }
  return requestOf({ ...fields, operations: [{ kind: 'balance', account: 'bob' }] }, (statement) =>
    signer.sign(signedBytes(CLUSTER, statement)),
  )
}

/** `random` runs through these again and again. */
function liar(text: string, draws: readonly number[] = [0, 0.3, 0.6, 0.9]) {
  let drawn = 0
  return clientAdversaryOf(parseClientBehaviours(text, { replicas: 4 }), {
    config: { ...DEFAULT_CLIENT_LIMITS, ...BOUNDS, client: SELF, clusterId: CLUSTER, replicas: 4 },
    sign: (bytes) => signer.sign(bytes),
    random: () => draws[drawn++ % draws.length] ?? 0,
    accounts: ['alice', 'bob'],
    others: [OTHER],
    overheard: () => requestFrom(OTHER, 77),
  })
}

const decoded = (packets: readonly Uint8Array[]): Message[] =>
  packets.flatMap((bytes) => {
    const message = decodeMessage(bytes)
    return isMalformed(message) ? [] : [message]
  })

const requests = (packets: readonly Uint8Array[]): Request[] =>
  decoded(packets).filter((message) => message.type === 'request')

/** What each replica is told in place of the honest request. */
const told = (text: string, draws?: readonly number[]): Request[][] => {
  const adversary = liar(text, draws)
  return REPLICAS.map((to) => requests(adversary.tell(to, honest)))
}

/** By the key of the liar, whoever the request names. */
const isSigned = ({ client, digest, signature }: Request): boolean => {
  const statement = { type: 'request', view: 0, seq: 0, signer: client, digests: [digest] } as const
  return sodiumVerifier.verify({ publicKey, bytes: signedBytes(CLUSTER, statement), signature })
}

test('what is printed is read back', () => {
  const all = CLIENT_BEHAVIOUR_NAMES.map((name) => ({ name, targets: [] }))
  expect(parseClientBehaviours(formatClientBehaviours(all), { replicas: 4 })).toEqual(all)
  expect(parseClientBehaviours('flood(20); bad-signature(n2)', { replicas: 4 })).toEqual([
    { name: 'flood', targets: [20] },
    { name: 'bad-signature', targets: [1] },
  ])
  expect(() => parseClientBehaviours('equivocation', { replicas: 4 })).toThrow('is no behaviour')
})

describe('in place of one request', () => {
  test('different-requests: each replica hears another number and body, all signed', () => {
    const heard = told('different-requests').flat()
    expect(new Set(heard.map(({ digest }) => digest)).size).toBe(4)
    expect(heard.map(({ number }) => number - NUMBER)).toEqual([0, 1, 2, 3])
    expect(heard.every(isSigned)).toBe(true)
  })

  test('two-bodies: one number, two bodies, both signed', () => {
    const heard = told('two-bodies').flat()
    expect(new Set(heard.map(({ digest }) => digest)).size).toBe(2)
    expect(heard.every(({ number }) => number === NUMBER)).toBe(true)
    expect(heard.every(isSigned)).toBe(true)
  })

  test('bad-signature: to those named, or to all', () => {
    expect(told('bad-signature').flat().some(isSigned)).toBe(false)
    expect(told('bad-signature(n2, n4)').flat().map(isSigned)).toEqual([true, false, true, false])
  })

  test('bad-macs: room for authenticators is filled, and the signature is bad', () => {
    const heard = told('bad-macs', [0.8]).flat()
    expect(heard.map(({ macs }) => macs.length)).toEqual([5, 5, 5, 5])
    expect(heard.some(isSigned)).toBe(false)
  })

  test("other-accounts: all replicas hear the same, of others' accounts", () => {
    const heard = told('other-accounts').flat()
    expect(new Set(heard.map(({ digest }) => digest)).size).toBe(1)
    expect(heard[0]?.operations.map(({ kind }) => kind)).toEqual([
      'transfer',
      'deposit',
      'withdraw',
      'open',
      'linked',
    ])
    expect(heard[0]?.client).toBe(SELF)
  })

  test("impersonate: beside its own, one in another's name", () => {
    for (const heard of told('impersonate')) expect(heard.map(({ client }) => client)).toEqual([SELF, OTHER])
  })

  test('old-numbers: back, or to the highest there is', () => {
    expect(told('old-numbers', [0.5, 0.25])[0]?.map(({ number }) => NUMBER - number)).toEqual([250, 0])
    expect(told('old-numbers', [0])[0]?.[0]?.number).toBe(Number.MAX_SAFE_INTEGER)
  })

  test('write-as-read: the request again, under the type of reads, which nobody can read', () => {
    const packets = liar('write-as-read').tell(replicaId(0), honest)
    expect(packets).toHaveLength(2)
    expect(decoded(packets)).toHaveLength(1)
  })

  test('garbage: beside the truth', () => {
    const packets = liar('garbage', [0]).tell(replicaId(0), honest)
    expect(packets).toHaveLength(2)
    expect(requests(packets.slice(0, 1)).map(({ digest }) => digest)).toEqual([honest.digest])
  })
})

describe('of its own', () => {
  test('flood: at its rate, in rising numbers over all lanes', () => {
    const adversary = liar('flood(500)')
    const said = Array.from({ length: 50 }, () => adversary.adds()).flat()
    expect(said).toHaveLength(500)
    const lanes = new Set(said.flatMap((one) => (one.type === 'request' ? [one.lane] : [])))
    expect([...lanes].sort()).toEqual([0, 1, 2, 3])
    expect(said.filter(({ type }) => type === 'read')).toHaveLength(100)
  })

  test('oversize: each beyond a bound, properly signed', () => {
    const ways = [0, 0.2, 0.4, 0.6].map((way) => liar('oversize', [0, way]).adds()[0])
    const [operations, bytes, lanes, macs] = ways.map((one) => (one?.type === 'request' ? one : undefined))
    expect(operations?.operations.length).toBe(BOUNDS.requestOperationsMax + 1)
    expect(bytes?.body.length).toBeGreaterThan(BOUNDS.requestBytesMax)
    expect(lanes?.lane).toBe(BOUNDS.lanesPerClientMax)
    expect(macs?.macs.length).toBe(5)
  })

  test("replay: others' requests as they were, and its own", () => {
    const adversary = liar('replay', [0])
    adversary.tell(replicaId(0), honest)
    expect(adversary.adds()).toEqual([requestFrom(OTHER, 77), honest])
  })
})
