import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  decodeBatch,
  decodeMessage,
  encodeBatch,
  encodeMessage,
  isMalformed,
} from '../../../protocol/codec.ts'
import { pack, unpack } from '../../../protocol/msgpack.ts'
import { batchOf } from '../../../protocol/signing.ts'
import { MESSAGE_TYPES, messageArb, messageArbOf, requestArb } from './arbitraries.ts'

// Byte strings are equal by their bytes, whether Buffer or Uint8Array.
expect.addEqualityTesters([
  (a: unknown, b: unknown) =>
    a instanceof Uint8Array && b instanceof Uint8Array ? Buffer.compare(a, b) === 0 : undefined,
])

/** A copy: encoders hand out views, and a mutation must not reach the next message. */
const encoded = (message: Parameters<typeof encodeMessage>[0]) => Uint8Array.from(encodeMessage(message))

describe('what is encoded is decoded', () => {
  test.each(MESSAGE_TYPES)('%s', (type) => {
    fc.assert(
      fc.property(messageArbOf(type), (message) => {
        expect(decodeMessage(encoded(message))).toEqual(message)
      }),
      { numRuns: 200 },
    )
  })

  test('[AU1] a batch keeps the bytes it came in, so that nothing is encoded again', () => {
    fc.assert(
      fc.property(fc.array(requestArb, { maxLength: 3 }), (requests) => {
        const bytes = encodeBatch(batchOf(requests))
        const batch = decodeBatch(bytes)
        if (isMalformed(batch)) throw new Error(batch.malformed)
        expect(encodeBatch(batch)).toBe(bytes)
        expect(batch.digest).toBe(batchOf(requests).digest)
      }),
    )
  })

  test('[AU4] a batch digest covers each request digest and signature, and no MAC', () => {
    fc.assert(
      fc.property(requestArb, fc.uint8Array({ minLength: 64, maxLength: 64 }), (request, signature) => {
        const { digest } = batchOf([request])
        expect(batchOf([{ ...request, macs: [Buffer.from('mac')] }]).digest).toBe(digest)
        expect(batchOf([request, request]).digest).not.toBe(digest)
        if (Buffer.compare(signature, request.signature) === 0) return
        expect(batchOf([{ ...request, signature }]).digest).not.toBe(digest)
      }),
    )
  })
})

describe('the decoder is total', () => {
  test('random bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        expect(decodeMessage(bytes)).toBeTypeOf('object')
        expect(decodeBatch(bytes)).toBeTypeOf('object')
      }),
      { numRuns: 2_000 },
    )
  })

  test('valid messages with bytes changed', () => {
    const edits = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 6 })
    fc.assert(
      fc.property(messageArb, edits, (message, changes) => {
        const bytes = encoded(message)
        for (const [at, byte] of changes) bytes[at % bytes.length] = byte
        expect(decodeMessage(bytes)).toBeTypeOf('object')
      }),
      { numRuns: 3_000 },
    )
  })

  test('valid messages cut short are malformed', () => {
    fc.assert(
      fc.property(messageArb, fc.nat(), (message, cut) => {
        const bytes = encoded(message)
        expect(decodeMessage(bytes.subarray(0, cut % bytes.length))).toHaveProperty('malformed')
      }),
      { numRuns: 1_000 },
    )
  })

  test('valid messages with something behind them are malformed', () => {
    fc.assert(
      fc.property(messageArb, fc.uint8Array({ minLength: 1, maxLength: 4 }), (message, tail) => {
        expect(decodeMessage(Buffer.concat([encoded(message), tail]))).toHaveProperty('malformed')
      }),
    )
  })

  test('arrays of the wrong shape', () => {
    const leaf = fc.oneof(
      fc.constant(null),
      fc.boolean(),
      fc.integer(),
      fc.double(),
      fc.bigInt({ min: -(2n ** 63n), max: 2n ** 64n - 1n }),
      fc.string({ maxLength: 8 }),
      fc.uint8Array({ maxLength: 70 }),
    )
    const { tree } = fc.letrec((tie) => ({
      tree: fc.oneof({ maxDepth: 4 }, leaf, fc.array(tie('tree'), { maxLength: 6 })),
    }))
    fc.assert(
      fc.property(fc.nat(24), fc.array(tree, { maxLength: 8 }), (type, fields) => {
        expect(decodeMessage(pack([type, ...fields]))).toBeTypeOf('object')
      }),
      { numRuns: 3_000 },
    )
  })

  test('too many fields', () => {
    expect(decodeMessage(pack([13, 1]))).toEqual({ type: 'inspect', nonce: 1 })
    expect(decodeMessage(pack([13, 1, 2]))).toHaveProperty('malformed')
  })
})

describe('hostile sizes', () => {
  const bomb = (...bytes: number[]) => Uint8Array.from(bytes)

  test.each([
    ['an array of 2^32 - 1', bomb(0xdd, 0xff, 0xff, 0xff, 0xff)],
    ['an array of 65535', bomb(0xdc, 0xff, 0xff, 0x01)],
    ['bytes of 2^32 - 1', bomb(0xc6, 0xff, 0xff, 0xff, 0xff)],
    ['a string of 2^32 - 1', bomb(0xdb, 0xff, 0xff, 0xff, 0xff)],
    ['a map', bomb(0x81, 0x01, 0x02)],
    ['a map of 2^32 - 1', bomb(0xdf, 0xff, 0xff, 0xff, 0xff)],
    ['an extension', bomb(0xd4, 0x01, 0x00)],
    ['an extension of 2^32 - 1', bomb(0xc9, 0xff, 0xff, 0xff, 0xff, 0x01)],
    ['the byte that msgpack never uses', bomb(0xc1)],
    ['nothing', bomb()],
    ['two values', bomb(0x01, 0x01)],
  ])('%s is refused', (_, bytes) => {
    expect(unpack(bytes)).toBeUndefined()
    expect(decodeMessage(bytes)).toHaveProperty('malformed')
  })

  test('nesting is bounded', () => {
    const nested = (depth: number) => Uint8Array.from([...Array<number>(depth).fill(0x91), 0xc0])
    expect(unpack(nested(10))).toBeDefined()
    expect(unpack(nested(20))).toBeUndefined()
    expect(unpack(nested(1_000_000))).toBeUndefined()
  })

  test('what is decoded takes memory in proportion to what came', () => {
    // A million empty arrays in one, the worst that a byte can claim.
    const bytes = new Uint8Array(1_000_005).fill(0x90)
    bytes.set([0xdd, 0x00, 0x0f, 0x42, 0x40])
    const before = process.memoryUsage()
    expect(decodeMessage(bytes)).toHaveProperty('malformed')
    const after = process.memoryUsage()
    const grown = after.heapUsed + after.external - before.heapUsed - before.external
    expect(grown).toBeLessThan(200 * bytes.length)
  })

  test('lists are bounded beside their bytes', () => {
    const accounts = Array<string>(1_001).fill('a')
    expect(decodeMessage(pack([9, 1, accounts.slice(1)]))).toMatchObject({ type: 'read' })
    expect(decodeMessage(pack([9, 1, accounts]))).toHaveProperty('malformed')
    expect(decodeMessage(pack([9, 2 ** 48, ['a']]))).toHaveProperty('malformed')
  })
})

describe('[AU5] what is read is what everybody reads', () => {
  const hex = (bytes: string) => Uint8Array.from(Buffer.from(bytes, 'hex'))
  const read = (account: Uint8Array) => decodeMessage(Buffer.concat([hex('930901'), hex('91'), account]))
  const inspect = (nonce: string) => decodeMessage(hex(`920d${nonce}`))
  const long = (head: string) => `da0049${head}${'61'.repeat(70)}`

  test.each([
    ['no UTF-8', 'a1ff'],
    ['an overlong form', 'a2c080'],
    ['half a surrogate pair', 'a3eda080'],
    ['a character cut short', 'a2e282'],
    ['a byte order mark', 'a3efbbbf'],
    ['a byte order mark before a long text', long('efbbbf')],
    ['no UTF-8 in a long text', long('616180')],
  ])('a string with %s is refused', (_, string) => {
    expect(read(hex(string))).toHaveProperty('malformed')
  })

  test('other text is taken', () => {
    expect(read(hex(`a3e282ac`))).toMatchObject({ accounts: ['€'] })
    expect(read(hex(long('e282ac')))).toMatchObject({ accounts: [`€${'a'.repeat(70)}`] })
  })

  test('a string that claims more than there is costs nothing', () => {
    expect(read(hex('dbffffffff6161'))).toHaveProperty('malformed')
  })

  test.each([
    ['-0', 'cb8000000000000000'],
    ['2^53 as a float', 'cb4340000000000000'],
    ['2^53 as an integer', 'cf0020000000000000'],
  ])('%s is no integer', (_, nonce) => {
    expect(inspect(nonce)).toHaveProperty('malformed')
  })

  test('one number written in two ways is one number, in bodies of two digests', () => {
    const request = (number: string) =>
      decodeMessage(pack([1, [hex(`94cd03e800${number}919205a161`), Buffer.alloc(64), []]]))
    const [short, long] = [request('01'), request('cb3ff0000000000000')]
    expect([short, long]).toMatchObject([{ number: 1 }, { number: 1 }])
    expect(short).not.toMatchObject({ digest: 'digest' in long ? long.digest : '' })
  })

  test('an amount is an integer that can be written again', () => {
    const deposit = (amount: string) => {
      const body = hex(`94cd03e80001919302a161${amount}`)
      return decodeMessage(pack([1, [body, Buffer.alloc(64), []]]))
    }
    expect(deposit('cb433fffffffffffff')).toMatchObject({ operations: [{ amount: 2n ** 53n - 1n }] })
    for (const amount of ['cb43f0000000000000', 'cb7e37e43c8800759c', 'cb8000000000000000']) {
      expect(deposit(amount)).toHaveProperty('malformed')
    }
  })
})

describe('[CP4] what state transfer may hold', () => {
  const digest = Buffer.alloc(32, 7)
  const entry = [1, digest, digest, digest, Buffer.alloc(3)]
  const nodes = (...list: unknown[]) => decodeMessage(pack([20, 5, true, list]))

  test('partitions are digits of the tree, and not too many of them', () => {
    const wanted = (...partitions: unknown[]) => decodeMessage(pack([19, 5, partitions]))
    expect(wanted('', '0', 'f'.repeat(64))).toMatchObject({ partitions: ['', '0', 'f'.repeat(64)] })
    for (const wrong of ['g', 'A', '0\n', 'f'.repeat(65), 1, null]) {
      expect(wanted(wrong)).toHaveProperty('malformed')
    }
    expect(wanted(...Array<string>(10_000).fill('ab'))).toMatchObject({ type: 'fetch-partitions' })
    expect(wanted(...Array<string>(10_001).fill('ab'))).toHaveProperty('malformed')
  })

  test('a node is children or rows', () => {
    expect(nodes(['0', [2, Buffer.alloc(9)]])).toMatchObject({ nodes: [{ node: { kind: 'rows' } }] })
    expect(nodes(['0', [1, Array<unknown>(16).fill(digest)]])).toMatchObject({ nodes: [{ partition: '0' }] })
    expect(nodes(['0', [1, Array<unknown>(17).fill(digest)]])).toHaveProperty('malformed')
    expect(nodes(['0', [1, [Buffer.alloc(31)]]])).toHaveProperty('malformed')
    expect(nodes(['0', [1, [undefined]]])).toHaveProperty('malformed')
    expect(nodes(['0', [3, Buffer.alloc(9)]])).toHaveProperty('malformed')
    expect(nodes(['0', [2, 'text']])).toHaveProperty('malformed')
    expect(nodes(['0', [2, Buffer.alloc(9), 1]])).toHaveProperty('malformed')
  })

  test('history entries have all their fields', () => {
    const history = (...entries: unknown[]) => decodeMessage(pack([22, 5, entries]))
    expect(history(entry, entry)).toMatchObject({ type: 'history', upTo: 5 })
    expect(history(entry.slice(0, 4))).toHaveProperty('malformed')
    expect(history([...entry, 1])).toHaveProperty('malformed')
    expect(history(...Array<unknown>(10_001).fill(entry))).toHaveProperty('malformed')
  })
})

describe('[NC1] what a request may hold', () => {
  const request = (operations: unknown[]) =>
    decodeMessage(pack([1, [pack([1000, 0, 1, operations]), Buffer.alloc(64), []]]))

  test('at least one operation', () => expect(request([])).toHaveProperty('malformed'))
  test('a lookup alone', () => {
    expect(request([[8]])).toMatchObject({ operations: [{ kind: 'lookup' }] })
    expect(request([[8], [5, 'a']])).toHaveProperty('malformed')
  })
  test('[D5] a recovery alone', () => {
    expect(request([[9, 3]])).toMatchObject({ operations: [{ kind: 'recover', view: 3 }] })
    expect(
      request([
        [9, 3],
        [5, 'a'],
      ]),
    ).toHaveProperty('malformed')
    expect(
      request([
        [9, 3],
        [9, 4],
      ]),
    ).toHaveProperty('malformed')
    expect(request([[9]])).toHaveProperty('malformed')
    expect(request([[9, -1]])).toHaveProperty('malformed')
    expect(request([[9, 3, 4]])).toHaveProperty('malformed')
  })
  test('no linked group in a linked group', () => {
    expect(request([[7, [[5, 'a']]]])).toMatchObject({ operations: [{ kind: 'linked' }] })
    expect(request([[7, [[7, [[5, 'a']]]]]])).toHaveProperty('malformed')
    expect(request([[7, [[8]]]])).toHaveProperty('malformed')
    expect(request([[7, [[9, 3]]]])).toHaveProperty('malformed')
  })
  test('amounts out of bounds are decoded: refusing them is the state machine’s answer', () => {
    for (const amount of [-1, 0, 2n ** 64n - 1n, -(2n ** 63n)]) {
      expect(request([[2, 'a', amount]])).toMatchObject({ operations: [{ amount: BigInt(amount) }] })
    }
    expect(request([[2, 'a', 1.5]])).toHaveProperty('malformed')
    expect(request([[2, 'a', Number.NaN]])).toHaveProperty('malformed')
  })
})
