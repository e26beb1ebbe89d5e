import fc from 'fast-check'
import { expect, test } from 'vitest'
import { pack, unpack } from '../../../protocol/msgpack.ts'
import { widened } from '../../../replica/byzantine/widened.ts'

const { value } = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.nat(),
    fc.integer(),
    fc.boolean(),
    fc.constant(null),
    fc.string(),
    fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
    fc.array(tie('value'), { maxLength: 20 }),
  ),
}))

test('a longer form is read as the same value', () => {
  fc.assert(
    fc.property(value, (given) => {
      const bytes = pack(given)
      const longer = widened(bytes)
      expect(longer.length).toBeGreaterThanOrEqual(bytes.length)
      expect(unpack(longer)).toEqual(unpack(bytes))
    }),
  )
})

test('small numbers, lengths and lists take more room', () => {
  const bytes = pack([1, 'a', Buffer.from([7])])
  expect(widened(bytes).length).toBe(5 + 5 + 6 + 6)
})
