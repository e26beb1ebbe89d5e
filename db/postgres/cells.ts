import { digestToBytes } from '../../protocol/types.ts'
import type { TableName, Tables } from '../columns.ts'
import type {
  AccountRow,
  ChainRow,
  ClientRow,
  CustomerRow,
  PrincipalRow,
  RequestMark,
  TransferRow,
} from '../rows.ts'
import { type Place, pathOf, placeOf } from '../state-tree/place.ts'
import { keyOf, type StateTable } from '../state-tree/state-row.ts'
import type { Column } from './row-arrays.ts'
import { linkTo } from './tables.ts'

const digestBytes = (mark: RequestMark | null): Buffer | null => mark && digestToBytes(mark.requestDigest)

const CLIENT: readonly Column<ClientRow>[] = [
  { type: 'int8', of: ({ client }) => client },
  { type: 'int4', of: ({ lane }) => lane },
  { type: 'int8', of: ({ real }) => real?.number ?? null },
  { type: 'bytea', of: ({ real }) => digestBytes(real) },
  { type: 'bytea', of: ({ real }) => real?.result ?? null },
  { type: 'int8', of: ({ lookup }) => lookup?.number ?? null },
  { type: 'bytea', of: ({ lookup }) => digestBytes(lookup) },
  { type: 'int8', of: ({ version }) => version },
]

const ACCOUNT: readonly Column<AccountRow>[] = [
  { type: 'text', of: ({ id }) => id },
  { type: 'int8', of: ({ owner }) => owner },
  { type: 'int8', of: ({ balance }) => balance },
  { type: 'int8', of: (row) => row.opened },
  { type: 'int8', of: ({ version }) => version },
  { type: 'int8', of: ({ entries }) => entries },
  { type: 'int8', of: ({ newest }) => linkTo(newest) },
]
const CUSTOMER: readonly Column<CustomerRow>[] = [
  { type: 'int8', of: ({ owner }) => owner },
  { type: 'text', of: ({ name }) => name },
  { type: 'text', of: ({ address }) => address },
  { type: 'int8', of: ({ version }) => version },
]
const TRANSFER: readonly Column<TransferRow>[] = [
  { type: 'int8', of: ({ seq }) => seq },
  { type: 'int4', of: ({ index }) => index },
  { type: 'text', of: ({ debit }) => debit },
  { type: 'text', of: ({ credit }) => credit },
  { type: 'int8', of: ({ amount }) => amount },
  { type: 'int8', of: ({ debitEntry }) => debitEntry },
  { type: 'int8', of: ({ debitPrevious }) => linkTo(debitPrevious) },
  { type: 'int8', of: ({ creditEntry }) => creditEntry },
  { type: 'int8', of: ({ creditPrevious }) => linkTo(creditPrevious) },
]
const PRINCIPAL: readonly Column<PrincipalRow>[] = [
  { type: 'int8', of: ({ id }) => id },
  { type: 'text', of: ({ role }) => role },
  { type: 'bytea', of: ({ publicKey }) => Buffer.from(publicKey, 'hex') },
  { type: 'int8', of: ({ incarnation }) => incarnation },
  { type: 'int8', of: ({ incarnationView }) => incarnationView },
  { type: 'int8', of: ({ version }) => version },
]
const CHAIN: readonly Column<ChainRow>[] = [
  { type: 'int8', of: ({ seq }) => seq },
  { type: 'bytea', of: ({ batchDigest }) => digestToBytes(batchDigest) },
  { type: 'bytea', of: ({ repliesDigest }) => digestToBytes(repliesDigest) },
  { type: 'bytea', of: ({ transfersDigest }) => digestToBytes(transfersDigest) },
  { type: 'bytea', of: (row) => digestToBytes(row.chain) },
]

/** [CP2] The last column of the tables that the partition tree is over. */
const path = <T extends StateTable>(table: T): Column<Tables[T]> => ({
  type: 'int8',
  of: (row) => pathOf(placeOf(table, keyOf({ table, row }))),
})

/** What each column of a table holds, in the order of the table's own row type. */
export const CELLS: { readonly [T in TableName]: readonly Column<Tables[T]>[] } = {
  accounts: [...ACCOUNT, path('accounts')],
  customers: [...CUSTOMER, path('customers')],
  principals: [...PRINCIPAL, path('principals')],
  client_table: [...CLIENT, path('client_table')],
  transfers: TRANSFER,
  chain: CHAIN,
}
/** Without the path, which never changes. */
export const CLIENT_CELLS = CLIENT

/** A row whose place is known already. */
export type Placed<Row> = { readonly row: Row; readonly place: Place }

const placed = <T extends StateTable>(table: T): readonly Column<Placed<Tables[T]>>[] => {
  const cells: readonly Column<Tables[T]>[] = CELLS[table]
  return [
    ...cells
      .slice(0, -1)
      .map(({ type, of }) => ({ type, of: ({ row }) => of(row) }) as Column<Placed<Tables[T]>>),
    { type: 'int8', of: ({ place }) => pathOf(place) },
  ]
}
export const PLACED_CELLS: { readonly [T in StateTable]: readonly Column<Placed<Tables[T]>>[] } = {
  accounts: placed('accounts'),
  customers: placed('customers'),
  principals: placed('principals'),
  client_table: placed('client_table'),
}
