import type { Digest, Seq } from '../../protocol/types.ts'
import type { TableName, TableSource, Tables } from '../columns.ts'
import type { Position } from '../store.ts'
import { StoreError } from '../store.ts'
import { storeError } from './errors.ts'
import { column, Session, type TextRow } from './session.ts'
import { COLUMNS, digestAt, READERS } from './tables.ts'

const ROWS_PER_FETCH = 1_000

const READ_ONLY = {
  default_transaction_read_only: 'on',
  default_transaction_isolation: 'repeatable read',
  idle_in_transaction_session_timeout: '0',
  statement_timeout: '0',
}

/**
 * An account's row at $1: without what was moved since, and its head the entry before the first since, which also says
 * the version. Accounts opened later did not exist.
 */
const ACCOUNTS_AT = `
  with since as (
    select distinct on (account) account, entry, previous, sum(change) over (partition by account) as change
    from (
      select debit as account, -amount as change, debit_entry as entry, debit_previous as previous
      from transfers where seq > $1
      union all
      select credit, amount, credit_entry, credit_previous from transfers where seq > $1
    ) as entries
    order by account, entry
  )
  select a.id, a.owner, a.balance - coalesce(s.change, 0), a.opened,
    case when s.account is null then a.version else greatest(a.opened, s.previous >> 20) end,
    coalesce(s.entry - 1, a.entries), coalesce(s.previous, a.newest)
  from accounts a left join since s on s.account = a.id
  where a.opened <= $1 order by a.id`

const SELECTS: { readonly [T in TableName]: string } = {
  accounts: ACCOUNTS_AT,
  transfers: `select ${COLUMNS.transfers} from transfers where seq <= $1 order by seq, index`,
  chain: `select ${COLUMNS.chain} from chain where seq <= $1 order by seq`,
  customers: `select ${COLUMNS.customers} from customers order by owner`,
  principals: `select ${COLUMNS.principals} from principals order by id`,
  client_table: `select ${COLUMNS.client_table} from client_table order by client, lane`,
}

/**
 * A replica's database as one transaction sees it, for reading only: it neither takes the replica's lock nor waits
 * for it, and rows come in pages, so that memory stays bounded. Close it soon: it holds back vacuum.
 */
export class DatabaseSnapshot implements TableSource {
  readonly position: Position
  readonly genesisDigest: Digest
  readonly replica: number
  readonly #session: Session
  #cursors = 0

  private constructor(session: Session, meta: TextRow) {
    this.#session = session
    this.position = { lastExecuted: Number(column(meta, 0)) as Seq, chain: digestAt(meta, 1) }
    this.genesisDigest = digestAt(meta, 2)
    this.replica = Number(column(meta, 3))
  }

  /** @throws StoreError 'unavailable'; 'foreign' when no replica ever used this database */
  static async open(url: string): Promise<DatabaseSnapshot> {
    const session = await Session.open({ url, applicationName: 'pbft inspection', settings: READ_ONLY })
    try {
      await session.rows({ text: 'begin' })
      const [found] = await session.rows({ text: `select to_regclass('meta')` })
      const [meta] =
        found?.[0] === null
          ? []
          : await session.rows({ text: 'select last_executed, chain, genesis_digest, replica from meta' })
      if (meta === undefined) throw new StoreError('foreign', 'the database holds no ledger')
      return new DatabaseSnapshot(session, meta)
    } catch (error) {
      await session.close()
      throw storeError(error, 'inspecting the database')
    }
  }

  async *rows<T extends TableName>(table: T, seq: number): AsyncGenerator<Tables[T]> {
    if (seq > this.position.lastExecuted) {
      throw new RangeError(`rows at seq ${seq} of a snapshot at ${this.position.lastExecuted}`)
    }
    const cursor = `page_${++this.#cursors}`
    const read = READERS[table]
    try {
      await this.#session.rows({
        text: `declare ${cursor} no scroll cursor for ${SELECTS[table].replaceAll('$1', String(Number(seq)))}`,
      })
      for (;;) {
        const page = await this.#session.rows({ text: `fetch ${ROWS_PER_FETCH} from ${cursor}` })
        for (const row of page) yield read(row)
        if (page.length < ROWS_PER_FETCH) break
      }
      await this.#session.rows({ text: `close ${cursor}` })
    } catch (error) {
      throw storeError(error, `reading ${table}`)
    }
  }

  async close(): Promise<void> {
    await this.#session.close()
  }
}
