import { column, type Session } from './session.ts'

/**
 * Rows as one parameter: an array of a composite type in Postgres' binary format (array_recv and record_recv). One
 * array of rows costs both sides a fifth less than an array for each column.
 *
 *   dimensions i32 | has nulls i32 | element type u32 | length i32 | lower bound i32 | elements
 *   element: size i32 | columns i32 | (column type u32 | size i32, -1 null | bytes)*
 */
const OID = { bytea: 17, int8: 20, int4: 23, text: 25 } as const
const ARRAY_HEAD_BYTES = 20
const ROW_HEAD_BYTES = 8
const COLUMN_HEAD_BYTES = 8
/** What names, digests and results of a row take about, beyond 8 bytes for each column. */
const ROW_TEXT_BYTES = 32

/** The types that migrations/ make and rows are written as: tables' own, and those of changes to rows. */
const ROW_TYPES = [
  'account_change',
  'accounts',
  'lane_change',
  'client_table',
  'customers',
  'principals',
  'transfers',
  'chain',
] as const
type RowType = (typeof ROW_TYPES)[number]
/** Which number each has in this database. */
export type RowTypeOids = Readonly<Record<RowType, number>>

export async function rowTypeOids(session: Session): Promise<RowTypeOids> {
  const [row] = await session.rows({
    text: `select ${ROW_TYPES.map((type) => `'${type}'::regtype::oid`).join(', ')}`,
  })
  const oids = ROW_TYPES.map((type, i) => [type, Number(column(row ?? [], i))])
  return Object.fromEntries(oids) as Record<RowType, number>
}

type Cell = bigint | number | string | Uint8Array | null
/** A column of the type, in its order. An int8 is a bigint, or an integer below 2^53. */
export type Column<Row> =
  | { readonly type: 'int8'; readonly of: (row: Row) => bigint | number | null }
  | { readonly type: 'int4'; readonly of: (row: Row) => number | null }
  | { readonly type: 'text'; readonly of: (row: Row) => string | null }
  | { readonly type: 'bytea'; readonly of: (row: Row) => Uint8Array | null }

export function rowArray<Row>(oid: number, columns: readonly Column<Row>[], rows: readonly Row[]): Buffer {
  const perRow = 4 + ROW_HEAD_BYTES + columns.length * (COLUMN_HEAD_BYTES + 8)
  let bytes: Buffer = Buffer.allocUnsafe(ARRAY_HEAD_BYTES + rows.length * (perRow + ROW_TEXT_BYTES))
  bytes.writeInt32BE(1, 0)
  bytes.writeInt32BE(0, 4)
  bytes.writeUInt32BE(oid, 8)
  bytes.writeInt32BE(rows.length, 12)
  let at = bytes.writeInt32BE(1, 16)
  for (const row of rows) {
    const start = at
    at += ROW_HEAD_BYTES
    for (const { type, of } of columns) {
      const cell = of(row)
      const end = at + COLUMN_HEAD_BYTES + bytesMax(cell)
      if (end + perRow > bytes.length) bytes = enlarged(bytes, end + perRow)
      at = writeCell(bytes, type, cell, at)
    }
    bytes.writeInt32BE(at - start - 4, start)
    bytes.writeInt32BE(columns.length, start + 4)
  }
  return bytes.subarray(0, at)
}

function enlarged(bytes: Buffer, length: number): Buffer {
  const larger = Buffer.allocUnsafe(2 * length)
  larger.set(bytes)
  return larger
}

function bytesMax(cell: Cell): number {
  if (cell === null) return 0
  // UTF-8 has at most 3 bytes for a UTF-16 unit.
  if (typeof cell === 'string') return 3 * cell.length
  return typeof cell === 'object' ? cell.length : 8
}

function writeCell(bytes: Buffer, type: keyof typeof OID, cell: Cell, at: number): number {
  bytes.writeInt32BE(OID[type], at)
  const start = at + COLUMN_HEAD_BYTES
  if (cell === null) return bytes.writeInt32BE(-1, at + 4)
  const end = writeValue(bytes, type, cell, start)
  bytes.writeInt32BE(end - start, at + 4)
  return end
}

function writeValue(bytes: Buffer, type: keyof typeof OID, cell: NonNullable<Cell>, at: number): number {
  if (typeof cell === 'string') return at + bytes.write(cell, at, 'utf8')
  if (typeof cell === 'bigint') return bytes.writeBigInt64BE(cell, at)
  if (typeof cell === 'object') {
    bytes.set(cell, at)
    return at + cell.length
  }
  if (type === 'int4') return bytes.writeInt32BE(cell, at)
  return bytes.writeUInt32BE(cell >>> 0, bytes.writeInt32BE(Math.floor(cell / 2 ** 32), at))
}
