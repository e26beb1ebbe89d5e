import { digestToBytes } from '../../protocol/types.ts'
import type { ClientRow, RequestMark } from '../rows.ts'
import type { Change, Changes } from '../state-machine/run-state.ts'
import type { Position } from '../store.ts'
import { byteaArray, int4Array, int8Array, textArray } from './arrays.ts'
import { MOVED_ON, ROW_MISMATCH } from './errors.ts'
import type { Statement } from './session.ts'

/** One data-modifying CTE: writes `values` to one table, set-based. */
type Part = {
  readonly name: string
  /** Short for `name`, since Postgres cuts the names of prepared statements at 63 characters. */
  readonly mark: string
  /** `$1` and on are this part's own values; they are renumbered when parts are put together. */
  readonly text: string
  readonly values: readonly (string | Buffer)[]
  /** How many rows the write must hit; undefined when it cannot miss without an error. */
  readonly rows?: number
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
}): Statement {
  const parts = [
    moved(args),
    ...accountParts(args.changes),
    ...clientParts(args.changes),
    ...customerParts(args.changes),
    ...transferParts(args.changes),
    chained(args.changes),
  ]
  const name = `write-${parts.map(({ mark }) => mark).join('')}${args.durable ? '-durable' : ''}`
  let text = texts.get(name)
  if (text === undefined) {
    text = textOf(parts, args.durable)
    texts.set(name, text)
  }
  return { name, text, values: parts.flatMap(valuesOf) }
}

/** By name: there are as many as there are sets of parts. */
const texts = new Map<string, string>()

const valuesOf = ({ values, rows }: Part): (string | Buffer)[] =>
  rows === undefined ? [...values] : [...values, String(rows)]

function textOf(parts: readonly Part[], durable: boolean): string {
  const ctes: string[] = []
  const checks: string[] = []
  let base = 0
  for (const part of parts) {
    const from = base
    const text = part.text.replace(/\$(\d+)/g, (_, n: string) => `$${from + Number(n)}`)
    ctes.push(`${part.name} as (${text} returning 1)`)
    base += valuesOf(part).length
    if (part.rows !== undefined) {
      const code = part.name === 'moved' ? MOVED_ON : ROW_MISMATCH
      const count = `(select count(*) from ${part.name}) = $${base}::bigint`
      checks.push(`ledger_require(${count}, '${code}', '${part.name}')`)
    }
  }
  // In force until the end of this transaction, and so at its commit, for which the answer then waits [D4].
  if (durable) checks.push(`set_config('synchronous_commit', 'on', true)`)
  return `with ${ctes.join(',\n')}\nselect ${checks.join(', ')}`
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
    rows: 1,
  }
}

function* accountParts({ accounts }: Changes): Generator<Part> {
  const opened = accounts.filter(({ before }) => before === undefined).map(({ after }) => after)
  const changed = accounts.flatMap(({ before, after }) => (before === undefined ? [] : [{ before, after }]))
  if (changed.length > 0) {
    yield {
      name: 'accounts_changed',
      mark: 'A',
      text: `update accounts a set balance = u.balance, version = u.version
        from unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[])
          as u (id, balance, version, expected_balance, expected_version)
        where a.id = u.id and a.balance = u.expected_balance and a.version = u.expected_version`,
      values: [
        textArray(changed.map(({ after }) => after.id)),
        int8Array(changed.map(({ after }) => after.balance)),
        int8Array(changed.map(({ after }) => after.version)),
        int8Array(changed.map(({ before }) => before.balance)),
        int8Array(changed.map(({ before }) => before.version)),
      ],
      rows: changed.length,
    }
  }
  if (opened.length > 0) {
    yield {
      name: 'accounts_opened',
      mark: 'a',
      text: `insert into accounts (id, owner, balance, opened, version)
        select * from unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[])`,
      values: [
        textArray(opened.map(({ id }) => id)),
        int8Array(opened.map(({ owner }) => owner)),
        int8Array(opened.map(({ balance }) => balance)),
        int8Array(opened.map((row) => row.opened)),
        int8Array(opened.map(({ version }) => version)),
      ],
    }
  }
}

const digestBytes = (mark: RequestMark | null): Buffer | null => mark && digestToBytes(mark.requestDigest)

/** client, lane, number, request_digest, result, lookup_number, lookup_digest, version */
const clientValues = (rows: readonly ClientRow[]): Buffer[] => [
  int8Array(rows.map(({ client }) => client)),
  int4Array(rows.map(({ lane }) => lane)),
  int8Array(rows.map(({ real }) => real?.number ?? null)),
  byteaArray(rows.map(({ real }) => digestBytes(real))),
  byteaArray(rows.map(({ real }) => real?.result ?? null)),
  int8Array(rows.map(({ lookup }) => lookup?.number ?? null)),
  byteaArray(rows.map(({ lookup }) => digestBytes(lookup))),
  int8Array(rows.map(({ version }) => version)),
]
const CLIENT_ARRAYS = `$1::bigint[], $2::integer[], $3::bigint[], $4::bytea[], $5::bytea[], $6::bigint[], $7::bytea[],
  $8::bigint[]`

function* clientParts({ clients }: Changes): Generator<Part> {
  const fresh = clients.filter(({ before }) => before === undefined)
  const changed = clients.filter(
    (change): change is Required<Change<ClientRow>> => change.before !== undefined,
  )
  if (changed.length > 0) {
    yield {
      name: 'lanes_changed',
      mark: 'L',
      text: `update client_table c set number = u.number, request_digest = u.request_digest, result = u.result,
          lookup_number = u.lookup_number, lookup_digest = u.lookup_digest, version = u.version
        from unnest(${CLIENT_ARRAYS}, $9::bigint[]) as u (client, lane, number, request_digest, result,
          lookup_number, lookup_digest, version, expected)
        where c.client = u.client and c.lane = u.lane and c.version = u.expected`,
      values: [
        ...clientValues(changed.map(({ after }) => after)),
        int8Array(changed.map(({ before }) => before?.version ?? null)),
      ],
      rows: changed.length,
    }
  }
  if (fresh.length > 0) {
    yield {
      name: 'lanes_opened',
      mark: 'l',
      text: `insert into client_table (client, lane, number, request_digest, result, lookup_number, lookup_digest,
          version) select * from unnest(${CLIENT_ARRAYS})`,
      values: clientValues(fresh.map(({ after }) => after)),
    }
  }
}

function* customerParts({ customers }: Changes): Generator<Part> {
  if (customers.length === 0) return
  yield {
    name: 'customers_recorded',
    mark: 'c',
    text: `insert into customers (owner, name, address, version)
      select * from unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[])
      on conflict (owner) do update
      set name = excluded.name, address = excluded.address, version = excluded.version`,
    values: [
      int8Array(customers.map(({ owner }) => owner)),
      textArray(customers.map(({ name }) => name)),
      textArray(customers.map(({ address }) => address)),
      int8Array(customers.map(({ version }) => version)),
    ],
  }
}

function* transferParts({ transfers }: Changes): Generator<Part> {
  if (transfers.length === 0) return
  yield {
    name: 'transferred',
    mark: 't',
    text: `insert into transfers (seq, index, debit, credit, amount)
      select * from unnest($1::bigint[], $2::integer[], $3::text[], $4::text[], $5::bigint[])`,
    values: [
      int8Array(transfers.map(({ seq }) => seq)),
      int4Array(transfers.map(({ index }) => index)),
      textArray(transfers.map(({ debit }) => debit)),
      textArray(transfers.map(({ credit }) => credit)),
      int8Array(transfers.map(({ amount }) => amount)),
    ],
  }
}

const chained = ({ chain }: Changes): Part => ({
  name: 'chained',
  mark: 'h',
  text: `insert into chain (seq, batch_digest, replies_digest, transfers_digest, chain)
    select * from unnest($1::bigint[], $2::bytea[], $3::bytea[], $4::bytea[], $5::bytea[])`,
  values: [
    int8Array(chain.map(({ seq }) => seq)),
    byteaArray(chain.map(({ batchDigest }) => digestToBytes(batchDigest))),
    byteaArray(chain.map(({ repliesDigest }) => digestToBytes(repliesDigest))),
    byteaArray(chain.map(({ transfersDigest }) => digestToBytes(transfersDigest))),
    byteaArray(chain.map((row) => digestToBytes(row.chain))),
  ],
})
