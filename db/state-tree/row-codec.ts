import type { TransferId } from '../../protocol/operations.ts'
import type { Digest, Lane, PrincipalId, RequestNumber, Seq, View } from '../../protocol/types.ts'
import { assertNever } from '../../protocol/types.ts'
import type { AccountRow, ClientRow, CustomerRow, PrincipalRow, RequestMark } from '../rows.ts'
import { type ByteReader, ByteWriter, decodedWhole, LayoutError } from './bytes.ts'
import { type StateRow, TABLE_TAGS } from './state-row.ts'

/**
 * A row's canonical bytes, which its digest is over and which travel in state transfer: the table's tag, then every
 * column in the order of the row's type. Each row has one encoding only.
 */
export function encodeRow(row: StateRow): Buffer {
  const writer = new ByteWriter().u8(TABLE_TAGS[row.table])
  switch (row.table) {
    case 'accounts':
      return writeAccount(writer, row.row).finish()
    case 'customers':
      return writeCustomer(writer, row.row).finish()
    case 'principals':
      return writePrincipal(writer, row.row).finish()
    case 'client_table':
      return writeClient(writer, row.row).finish()
    default:
      return assertNever(row)
  }
}

/** Total: undefined for bytes that no row encodes to. */
export function decodeRow(bytes: Uint8Array): StateRow | undefined {
  return decodedWhole(bytes, (reader): StateRow => {
    const tag = reader.u8()
    switch (tag) {
      case TABLE_TAGS.accounts:
        return { table: 'accounts', row: readAccount(reader) }
      case TABLE_TAGS.customers:
        return { table: 'customers', row: readCustomer(reader) }
      case TABLE_TAGS.principals:
        return { table: 'principals', row: readPrincipal(reader) }
      case TABLE_TAGS.client_table:
        return { table: 'client_table', row: readClient(reader) }
      default:
        throw new LayoutError('no such table')
    }
  })
}

const writeAccount = (writer: ByteWriter, row: AccountRow): ByteWriter =>
  writer
    .text(row.id)
    .nullable(row.owner, (owner) => writer.u64(owner))
    .i64(row.balance)
    .u64(row.opened)
    .u64(row.version)
    .u64(row.entries)
    .nullable(row.newest, ({ seq, index }) => writer.u64(seq).u32(index))

const readAccount = (reader: ByteReader): AccountRow => ({
  id: reader.text(),
  owner: reader.nullable(() => reader.u64() as PrincipalId),
  balance: reader.i64(),
  opened: reader.u64() as Seq,
  version: reader.u64() as Seq,
  entries: reader.u64(),
  newest: reader.nullable((): TransferId => ({ seq: reader.u64() as Seq, index: reader.u32() })),
})

const writeCustomer = (writer: ByteWriter, row: CustomerRow): ByteWriter =>
  writer
    .u64(row.owner)
    .text(row.name)
    .nullable(row.address, (address) => writer.text(address))
    .u64(row.version)

const readCustomer = (reader: ByteReader): CustomerRow => ({
  owner: reader.u64() as PrincipalId,
  name: reader.text(),
  address: reader.nullable(() => reader.text()),
  version: reader.u64() as Seq,
})

const ROLES = ['customer', 'teller', 'replica'] as const satisfies PrincipalRow['role'][]

const writePrincipal = (writer: ByteWriter, row: PrincipalRow): ByteWriter =>
  writer
    .u64(row.id)
    .u8(ROLES.indexOf(row.role))
    .hex(row.publicKey)
    .u64(row.incarnation)
    .u64(row.incarnationView)
    .u64(row.version)

const readPrincipal = (reader: ByteReader): PrincipalRow => ({
  id: reader.u64() as PrincipalId,
  role: readRole(reader),
  publicKey: reader.hex(32),
  incarnation: reader.u64(),
  incarnationView: reader.u64() as View,
  version: reader.u64() as Seq,
})

function readRole(reader: ByteReader): PrincipalRow['role'] {
  const role = ROLES[reader.u8()]
  if (role === undefined) throw new LayoutError('no such role')
  return role
}

const writeClient = (writer: ByteWriter, row: ClientRow): ByteWriter =>
  writer
    .u64(row.client)
    .u32(row.lane)
    .nullable(row.real, (real) => writeMark(writer, real).u32(real.result.length).raw(real.result))
    .nullable(row.lookup, (lookup) => writeMark(writer, lookup))
    .u64(row.version)

const readClient = (reader: ByteReader): ClientRow => ({
  client: reader.u64() as PrincipalId,
  lane: reader.u32() as Lane,
  real: reader.nullable(() => ({ ...readMark(reader), result: Buffer.from(reader.raw(reader.u32())) })),
  lookup: reader.nullable(() => readMark(reader)),
  version: reader.u64() as Seq,
})

const writeMark = (writer: ByteWriter, { number, requestDigest }: RequestMark): ByteWriter =>
  writer.u64(number).hex(requestDigest)

const readMark = (reader: ByteReader): RequestMark => ({
  number: reader.u64() as RequestNumber,
  requestDigest: reader.hex(32) as Digest,
})
