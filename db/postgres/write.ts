import { digestToBytes } from '../../protocol/types.ts'
import type { TableName, Tables } from '../columns.ts'
import type { AccountRow, ClientRow } from '../rows.ts'
import type { Change, Changes } from '../state-machine/run-state.ts'
import type { Position } from '../store.ts'
import { int8Array } from './arrays.ts'
import { CELLS, CLIENT_CELLS } from './cells.ts'
import { MOVED_ON, ROW_MISMATCH } from './errors.ts'
import { type Column, type RowTypeOids, rowArray } from './row-arrays.ts'
import type { Statement } from './session.ts'
import { linkTo, STORED } from './tables.ts'

/** One data-modifying CTE: writes rows to one table, set-based. */
type Part = {
  readonly name: string
  /** Short for `name`, since Postgres cuts the names of prepared statements at 63 characters. */
  readonly mark: string
  /** `$1` and on are this part's own values; they are renumbered when parts are put together. */
  readonly text: string
  readonly values: readonly (string | Buffer)[]
  /** How many rows the write must hit, in SQL over its values; undefined when it cannot miss without an error. */
  readonly mustHit?: string
}

/**
 * [D3] Everything that a run changed, as one statement and so as one transaction in one round trip. It moves `meta`
 * from where this process left it, or raises MOVED_ON and changes nothing. Each row is written over the
 * content that this process knows: one that was changed behind our back raises ROW_MISMATCH instead of being
 * overwritten [CP6].
 */
export function writeStatement(args: {
  readonly changes: Changes
  readonly from: Position
  readonly to: Position
  readonly epoch: string
  readonly durable: boolean
  readonly oids: RowTypeOids
}): Statement {
  const parts = [
    moved(args),
    ...changedParts(args.changes, args.oids),
    ...insertedParts(args.changes, args.oids),
  ]
  const name = `write-${parts.map(({ mark }) => mark).join('')}${args.durable ? '-durable' : ''}`
  let text = texts.get(name)
  if (text === undefined) {
    text = textOf(parts, args.durable)
    texts.set(name, text)
  }
  return { name, text, values: parts.flatMap(({ values }) => values) }
}

/** By name: there are as many as there are sets of parts. */
const texts = new Map<string, string>()

function textOf(parts: readonly Part[], durable: boolean): string {
  const ctes: string[] = []
  const checks: string[] = []
  let base = 0
  for (const part of parts) {
    const from = base
    const renumbered = (sql: string) => sql.replace(/\$(\d+)/g, (_, n: string) => `$${from + Number(n)}`)
    ctes.push(`${part.name} as (${renumbered(part.text)} returning 1)`)
    base += part.values.length
    if (part.mustHit !== undefined) {
      const code = part.name === 'moved' ? MOVED_ON : ROW_MISMATCH
      const count = `(select count(*) from ${part.name}) = ${renumbered(part.mustHit)}`
      checks.push(`ledger_require(${count}, '${code}', '${part.name}')`)
    }
  }
  // In force until the end of this transaction, and so at its commit, for which the answer then waits [D4].
  const waits = durable ? `, set_config('synchronous_commit', 'on', true)` : ''
  return `with ${ctes.join(',\n')}\nselect ${checks.join(' and ')}${waits}`
}

function moved(args: { readonly from: Position; readonly to: Position; readonly epoch: string }): Part {
  const { from, to, epoch } = args
  return {
    name: 'moved',
    mark: 'm',
    text: `update meta set last_executed = $1::bigint, chain = $2::bytea
      where last_executed = $3::bigint and chain = $4::bytea and epoch = $5::bigint`,
    values: [
      String(to.lastExecuted),
      digestToBytes(to.chain),
      String(from.lastExecuted),
      digestToBytes(from.chain),
      epoch,
    ],
    mustHit: '1',
  }
}

/** A row that was there before the run. */
type Update<Row> = Required<Change<Row>> & { readonly before: Row }
const isUpdate = <Row>(change: Change<Row>): change is Update<Row> => change.before !== undefined
const opened = <Row>(changes: readonly Change<Row>[]): Row[] =>
  changes.flatMap(({ before, after }) => (before === undefined ? [after] : []))

const ACCOUNT_CHANGE: readonly Column<Update<AccountRow>>[] = [
  { type: 'text', of: ({ after }) => after.id },
  { type: 'int8', of: ({ after }) => after.balance },
  { type: 'int8', of: ({ after }) => after.version },
  { type: 'int8', of: ({ after }) => after.entries },
  { type: 'int8', of: ({ after }) => linkTo(after.newest) },
  { type: 'int8', of: ({ before }) => before.balance },
  { type: 'int8', of: ({ before }) => before.version },
]

const LANE_CHANGE: readonly Column<Update<ClientRow>>[] = [
  ...CLIENT_CELLS.map(
    ({ type, of }) => ({ type, of: ({ after }) => of(after) }) as Column<Update<ClientRow>>,
  ),
  { type: 'int8', of: ({ before }) => before.version },
]

function* changedParts({ accounts, clients, principals }: Changes, oids: RowTypeOids): Generator<Part> {
  const accountsChanged = accounts.filter(isUpdate)
  if (accountsChanged.length > 0) {
    yield {
      name: 'accounts_changed',
      mark: 'A',
      text: `update accounts a
        set balance = u.balance, version = u.version, entries = u.entries, newest = u.newest
        from unnest($1::account_change[]) as u
        where a.id = u.id and a.balance = u.expected_balance and a.version = u.expected_version`,
      values: [rowArray(oids.account_change, ACCOUNT_CHANGE, accountsChanged)],
      mustHit: 'cardinality($1)',
    }
  }
  const lanesChanged = clients.filter(isUpdate)
  if (lanesChanged.length > 0) {
    yield {
      name: 'lanes_changed',
      mark: 'L',
      text: `update client_table c set number = u.number, request_digest = u.request_digest, result = u.result,
          lookup_number = u.lookup_number, lookup_digest = u.lookup_digest, version = u.version
        from unnest($1::lane_change[]) as u
        where c.client = u.client and c.lane = u.lane and c.version = u.expected_version`,
      values: [rowArray(oids.lane_change, LANE_CHANGE, lanesChanged)],
      mustHit: 'cardinality($1)',
    }
  }
  if (principals.length > 0) {
    yield {
      name: 'principals_changed',
      mark: 'P',
      text: `update principals p
        set incarnation = u.incarnation, incarnation_view = u.incarnation_view, version = u.version
        from unnest($1::principals[], $2::bigint[])
          as u (id, role, public_key, incarnation, incarnation_view, version, path, expected_version)
        where p.id = u.id and p.role = u.role and p.public_key = u.public_key and p.version = u.expected_version`,
      values: [
        rowArray(
          oids.principals,
          CELLS.principals,
          principals.map(({ after }) => after),
        ),
        int8Array(principals.map(({ before }) => before?.version ?? null)),
      ],
      mustHit: 'cardinality($1)',
    }
  }
}

/** Whole rows of `table`, as its row type has them. */
function inserted<T extends TableName>(
  table: T,
  part: Pick<Part, 'name' | 'mark'>,
  { rows, oids }: { readonly rows: readonly Tables[T][]; readonly oids: RowTypeOids },
): Part[] {
  if (rows.length === 0) return []
  const names = STORED[table]
  const text = `insert into ${table} (${names}) select ${names} from unnest($1::${table}[])`
  return [{ ...part, text, values: [rowArray(oids[table], CELLS[table], rows)] }]
}

function insertedParts(changes: Changes, oids: RowTypeOids): Part[] {
  const { accounts, clients, customers, transfers, chain } = changes
  const recorded = inserted('customers', { name: 'customers_recorded', mark: 'c' }, { rows: customers, oids })
  return [
    ...inserted('accounts', { name: 'accounts_opened', mark: 'a' }, { rows: opened(accounts), oids }),
    ...inserted('client_table', { name: 'lanes_opened', mark: 'l' }, { rows: opened(clients), oids }),
    ...recorded.map((part) => ({
      ...part,
      text: `${part.text} on conflict (owner) do update
        set name = excluded.name, address = excluded.address, version = excluded.version`,
    })),
    ...inserted('transfers', { name: 'transferred', mark: 't' }, { rows: transfers, oids }),
    ...inserted('chain', { name: 'chained', mark: 'h' }, { rows: chain, oids }),
  ]
}
