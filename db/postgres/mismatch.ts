import type { AccountRow, ClientRow } from '../rows.ts'
import { laneKey } from '../rows.ts'
import type { Changes } from '../state-machine/run-state.ts'
import { StoreError } from '../store.ts'
import { textArray } from './arrays.ts'
import type { Session } from './session.ts'
import { accountFrom, COLUMNS, clientFrom } from './tables.ts'

/**
 * [CP6] Names the row that a run would have written over something else than this process knows: its table, key and
 * first differing column. Undefined when there is none by now.
 */
export async function mismatchError(session: Session, changes: Changes): Promise<StoreError | undefined> {
  const what = (await mismatchedAccount(session, changes)) ?? (await mismatchedLane(session, changes))
  if (what === undefined) return undefined
  return new StoreError('broken', `the database was changed behind this replica's back: ${what}`)
}

async function mismatchedAccount(session: Session, { accounts }: Changes): Promise<string | undefined> {
  const known = accounts.flatMap(({ before }) => before ?? [])
  const rows = await session.rows({
    text: `select ${COLUMNS.accounts} from accounts where id = any($1::text[])`,
    values: [textArray(known.map(({ id }) => id))],
  })
  const found = new Map(rows.map(accountFrom).map((row) => [row.id, row]))
  for (const row of known) {
    const what = difference<AccountRow>(`accounts ${row.id}`, ['balance', 'version'], row, found.get(row.id))
    if (what !== undefined) return what
  }
  return undefined
}

async function mismatchedLane(session: Session, { clients }: Changes): Promise<string | undefined> {
  const rows = await session.rows({ text: `select ${COLUMNS.client_table} from client_table` })
  const found = new Map(rows.map(clientFrom).map((row) => [laneKey(row.client, row.lane), row]))
  for (const { before } of clients) {
    if (before === undefined) continue
    const { client, lane } = before
    const row = found.get(laneKey(client, lane))
    const what = difference<ClientRow>(`client_table ${client}/${lane}`, ['version'], before, row)
    if (what !== undefined) return what
  }
  return undefined
}

/** Of the columns that a write states. */
function difference<Row extends object>(
  name: string,
  columns: readonly (keyof Row & string)[],
  known: Row,
  found: Row | undefined,
): string | undefined {
  if (found === undefined) return `row ${name} is gone`
  const column = columns.find((one) => known[one] !== found[one])
  return column && `row ${name} has ${column} ${found[column]} where this replica wrote ${known[column]}`
}
