import fc from 'fast-check'
import { expect, test } from 'vitest'
import { digestOf } from '../../../protocol/crypto.ts'
import type { OperationResult } from '../../../protocol/operations.ts'
import { MONEY_MAX } from '../../../protocol/operations.ts'
import { decodeResults, encodeResults } from '../../../protocol/results-codec.ts'
import { requestNumber, seq, view } from '../../../protocol/types.ts'

const money = fc.bigInt({ min: -MONEY_MAX, max: MONEY_MAX })
const seqArb = fc.maxSafeNat().map(seq)
const account = fc.string({ maxLength: 64 })
const plain: fc.Arbitrary<OperationResult> = fc.oneof(
  fc.record({ kind: fc.constant('opened' as const), account }),
  fc.record({
    kind: fc.constant('transferred' as const),
    id: fc.record({ seq: seqArb, index: fc.nat(10_000) }),
    debitBalance: money,
    creditBalance: money,
  }),
  fc.record({ kind: fc.constant('balance' as const), account, balance: money, version: seqArb }),
  fc.record({
    kind: fc.constant('history' as const),
    entries: fc.array(
      fc.record({ seq: seqArb, index: fc.nat(10_000), debit: account, credit: account, amount: money }),
      { maxLength: 5 },
    ),
  }),
  fc.record({
    kind: fc.constant('lookup' as const),
    entry: fc.option(
      fc.record({
        number: fc.maxSafeNat().map(requestNumber),
        requestDigest: fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => digestOf(bytes)),
        result: fc.uint8Array({ maxLength: 50 }).map((bytes) => Buffer.from(bytes)),
      }),
    ),
  }),
  fc.record({
    kind: fc.constant('recovered' as const),
    incarnation: fc.maxSafeNat().map(requestNumber),
    view: fc.maxSafeNat().map(view),
  }),
  fc.record(
    {
      kind: fc.constant('refused' as const),
      code: fc.constantFrom('unknown-account' as const, 'linked-aborted' as const),
      detail: fc.string({ maxLength: 64 }),
      index: fc.nat(63),
    },
    { requiredKeys: ['kind', 'code', 'detail'] },
  ),
)
const resultsArb = fc.array(
  fc.oneof(
    { weight: 5, arbitrary: plain },
    fc.record({ kind: fc.constant('linked' as const), results: fc.array(plain, { maxLength: 4 }) }),
  ),
  { maxLength: 6 },
)

test('results survive their encoding', () => {
  fc.assert(
    fc.property(resultsArb, (results) => {
      expect(decodeResults(encodeResults(results))).toEqual(results)
    }),
  )
})

test('a decoder of lies never throws: bit flips and garbage give results or undefined', () => {
  fc.assert(
    fc.property(resultsArb, fc.array(fc.tuple(fc.nat(), fc.nat(255))), (results, flips) => {
      const bytes = Uint8Array.from(encodeResults(results))
      for (const [at, value] of flips) bytes[at % bytes.length] = value
      decodeResults(bytes)
      decodeResults(bytes.subarray(0, bytes.length >> 1))
    }),
  )
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => void decodeResults(bytes)))
})

test('an array of 2^32 in five bytes is refused before it is allocated', () => {
  expect(decodeResults(Uint8Array.of(0xdd, 0xff, 0xff, 0xff, 0xff))).toBeUndefined()
  expect(decodeResults(Uint8Array.from({ length: 5000 }, () => 0x91))).toBeUndefined()
})

test('the encoding holds no floats: the same result has one form', () => {
  const far = seq(2 ** 40)
  const bytes = encodeResults([{ kind: 'balance', account: 'a', balance: 1n, version: far }])
  expect(Buffer.from(bytes).toString('hex')).toMatchInlineSnapshot(
    `"919403a161d30000000000000001d30000010000000000"`,
  )
})
