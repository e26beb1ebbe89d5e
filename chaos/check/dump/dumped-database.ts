import { readFile } from 'node:fs/promises'
import type { TableName, TableSource, Tables } from '../../../db/columns.ts'
import { READERS } from '../../../db/postgres/tables.ts'
import type { AccountRow, TransferRow } from '../../../db/rows.ts'
import type { Position } from '../../../db/store.ts'
import { type Digest, isDigest, type Seq } from '../../../protocol/types.ts'
import { cellsOf } from './copy-text.ts'
import { TABLE_NAMES, tableFile } from './dump-database.ts'
import { TextCursor } from './text-cursor.ts'

export type DumpMeta = {
  readonly clusterId: string
  readonly genesisDigest: string
  readonly replica: number
  readonly lastExecuted: Seq
  readonly chain: Digest
}

/** A dump that cannot be read: says which file and what is wrong with it. */
export class DumpError extends Error {
  override name = 'DumpError'
}

/** A replica's database as `dumpDatabase` wrote it. */
export class DumpedDatabase implements TableSource {
  readonly directory: string
  readonly meta: DumpMeta

  private constructor(directory: string, meta: DumpMeta) {
    this.directory = directory
    this.meta = meta
  }

  /** @throws DumpError */
  static async open(directory: string): Promise<DumpedDatabase> {
    const file = tableFile(directory, 'meta')
    const text = await readFile(file, 'utf8').catch((error: Error) => {
      throw new DumpError(`${file}: it cannot be read: ${error.message}`, { cause: error })
    })
    const database = new DumpedDatabase(directory, metaFrom(file, text))
    for (const table of TABLE_NAMES) database.cursor(table).close()
    return database
  }

  get position(): Position {
    return this.meta
  }

  cursor(table: TableName): TextCursor {
    const file = tableFile(this.directory, table)
    try {
      return new TextCursor(file)
    } catch (error) {
      throw new DumpError(`${file}: it cannot be read: ${error instanceof Error ? error.message : error}`)
    }
  }

  async *rows<T extends TableName>(table: T, seq: number): AsyncGenerator<Tables[T]> {
    const sources: { readonly [Name in TableName]: () => Iterable<Tables[Name]> } = {
      accounts: () => this.#accountsAt(seq),
      transfers: () => upTo(this.allRows('transfers'), seq),
      chain: () => upTo(this.allRows('chain'), seq),
      customers: () => this.allRows('customers'),
      principals: () => this.allRows('principals'),
      client_table: () => this.allRows('client_table'),
    }
    yield* sources[table]()
  }

  /** As they are now, in the order of the file. @throws DumpError */
  *allRows<T extends TableName>(table: T): Generator<Tables[T]> {
    const cursor = this.cursor(table)
    let line = 0
    try {
      for (let text = cursor.peek(); text !== undefined; text = cursor.peek()) {
        line += 1
        yield this.#read(table, { text, line })
        cursor.skip()
      }
    } finally {
      cursor.close()
    }
  }

  #read<T extends TableName>(
    table: T,
    { text, line }: { readonly text: string; readonly line: number },
  ): Tables[T] {
    try {
      return READERS[table](cellsOf(text))
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error)
      throw new DumpError(`${tableFile(this.directory, table)}: line ${line}: no row of ${table}: ${why}`)
    }
  }

  /** Without what was moved since; the entry before the first since is the head, and says the version, too. */
  *#accountsAt(seq: number): Generator<AccountRow> {
    const since = new Map<string, Since>()
    for (const row of this.allRows('transfers')) if (row.seq > seq) addSince(since, row)
    for (const row of this.allRows('accounts')) {
      if (row.opened > seq) continue
      const moved = since.get(row.id)
      if (moved === undefined) yield row
      else {
        const { change, entry, previous } = moved
        const version = Math.max(row.opened, previous?.seq ?? 0) as Seq
        yield { ...row, balance: row.balance - change, version, entries: entry - 1, newest: previous }
      }
    }
  }
}

function* upTo<Row extends { readonly seq: number }>(rows: Iterable<Row>, seq: number): Generator<Row> {
  for (const row of rows) {
    if (row.seq > seq) return
    yield row
  }
}

type Since = {
  change: bigint
  readonly entry: number
  readonly previous: AccountRow['newest']
}

function addSince(since: Map<string, Since>, row: TransferRow): void {
  for (const { account, change, entry, previous } of [
    { account: row.debit, change: -row.amount, entry: row.debitEntry, previous: row.debitPrevious },
    { account: row.credit, change: row.amount, entry: row.creditEntry, previous: row.creditPrevious },
  ]) {
    const known = since.get(account)
    if (known === undefined) since.set(account, { change, entry, previous })
    else known.change += change
  }
}

function metaFrom(file: string, text: string): DumpMeta {
  const [line, ...more] = text.split('\n').filter((one) => one !== '')
  if (line === undefined || more.length > 0) throw new DumpError(`${file}: not the one row of meta`)
  const cells = cellsOf(line)
  const [clusterId = '', genesisDigest = '', replica, lastExecuted, chain = ''] = cells.map((cell) =>
    cell === null ? '' : cell.replace(/^\\x/, ''),
  )
  const numbers = [Number(replica), Number(lastExecuted)]
  const [id = -1, executed = -1] = numbers
  if (!isDigest(chain) || !numbers.every((n) => Number.isSafeInteger(n) && n >= 0))
    throw new DumpError(`${file}: not a row of meta: ${line}`)
  return { clusterId, genesisDigest, replica: id, lastExecuted: executed as Seq, chain }
}
