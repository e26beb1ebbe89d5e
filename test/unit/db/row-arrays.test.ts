import { expect, test } from 'vitest'
import { rowArray } from '../../../db/postgres/row-arrays.ts'
import { accountFrom, linkTo } from '../../../db/postgres/tables.ts'
import { seq } from '../../../protocol/types.ts'

test.each([
  null,
  { seq: seq(1), index: 0 },
  { seq: seq(7), index: 639_999 },
  { seq: seq(2 ** 33 - 1), index: 2 ** 20 - 1 },
  { seq: seq(2 ** 33), index: 1 },
  { seq: seq(2 ** 43 - 1), index: 2 ** 20 - 1 },
])('a link of a history comes back from the database as %o', (id) => {
  const row = ['a', null, '0', '0', '0', '0', String(linkTo(id))]
  expect(accountFrom(row).newest).toEqual(id)
})

test('rows are encoded as array_recv and record_recv read them', () => {
  const columns = [
    { type: 'text', of: ({ name }: { name: string | null }) => name },
    { type: 'int8', of: () => 2 ** 33 + 5 },
    { type: 'int8', of: () => -(2n ** 63n) },
    { type: 'int4', of: () => -2 },
    { type: 'bytea', of: () => Uint8Array.of(1, 2) },
  ] as const
  const bytes = rowArray(77, columns, [{ name: 'é' }, { name: null }])
  const rest = [
    '00000014 00000008 0000000200000005',
    '00000014 00000008 8000000000000000',
    '00000017 00000004 fffffffe',
    '00000011 00000002 0102',
  ].join('')
  const expected = [
    '00000001 00000000 0000004d 00000002 00000001',
    `00000044 00000005 00000019 00000002 c3a9 ${rest}`,
    `00000042 00000005 00000019 ffffffff ${rest}`,
  ].join('')
  expect(bytes.toString('hex')).toBe(expected.replaceAll(' ', ''))
})
