import { Socket } from 'node:net'
import pg from 'pg'
import { StoreError } from '../store.ts'
import { storeError } from './errors.ts'
import { PreparedQuery, type TextRow } from './prepared-query.ts'

export type { TextRow } from './prepared-query.ts'

const CONNECT_TIMEOUT_MS = 5_000
/** How long a goodbye may take: a server that was paused says none. */
const CLOSE_TIMEOUT_MS = 1_000

const AS_TEXT = { getTypeParser: () => (text: string) => text }

export type Statement = {
  /** Prepared under this name on first use; undefined: not prepared. */
  readonly name?: string
  readonly text: string
  readonly values?: readonly (string | number | Buffer | null)[]
}

/** One connection. Knows when it is lost, and never lets that become an uncaught error. */
export class Session {
  readonly client: pg.Client
  readonly #socket: Socket
  /** Statements that the server was sent, and what they are called there. */
  readonly #known = new Map<string, string>()
  #failures = 0
  #lost: unknown
  #whenLost: () => void = () => undefined

  private constructor(client: pg.Client, socket: Socket) {
    this.client = client
    this.#socket = socket
    const lost = (error: unknown) => {
      if (this.#lost !== undefined) return
      this.#lost = error
      this.#whenLost()
    }
    client.on('error', lost)
    client.on('end', () => lost(new Error('connection closed')))
  }

  /** `settings` are applied with SET. @throws StoreError 'unavailable' */
  static async open(args: {
    readonly url: string
    readonly applicationName: string
    readonly settings: Readonly<Record<string, string>>
  }): Promise<Session> {
    const socket = new Socket()
    const client = new pg.Client({
      stream: () => socket,
      connectionString: args.url,
      application_name: args.applicationName,
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      keepAlive: true,
      pipeline: true,
      types: AS_TEXT,
    })
    const session = new Session(client, socket)
    try {
      await client.connect()
      const sets = Object.entries(args.settings).map(([name, value]) => `set ${name} = '${value}'`)
      await client.query(sets.join('; '))
      return session
    } catch (error) {
      await session.close()
      throw storeError(error, 'cannot connect to the database')
    }
  }

  /** Why the connection is gone; undefined while it stands. */
  get lost(): unknown {
    return this.#lost
  }

  /** Calls `listener`, in place of an earlier one, when the connection is gone, closed by this process or not. */
  onLost(listener: () => void): void {
    this.#whenLost = listener
  }

  /** Statements of one turn travel together. @throws pg.DatabaseError, or the socket's error */
  rows({ name, text, values = [] }: Statement): Promise<readonly TextRow[]> {
    return name === undefined ? this.#unprepared(text, values) : this.#prepared(name, { text, values })
  }

  async #unprepared(text: string, values: NonNullable<Statement['values']>): Promise<readonly TextRow[]> {
    const result = await this.client.query<(string | null)[]>({ text, values: [...values], rowMode: 'array' })
    return result.rows
  }

  async #prepared(
    name: string,
    { text, values }: { readonly text: string; readonly values: NonNullable<Statement['values']> },
  ): Promise<readonly TextRow[]> {
    const known = this.#known.get(name)
    const sent = known ?? (this.#failures === 0 ? name : `${name}-${this.#failures}`)
    this.#known.set(name, sent)
    const query = new PreparedQuery({ name: sent, text, values, isNew: known === undefined })
    this.client.query(query)
    try {
      return await query.result
    } catch (error) {
      // Whether the server knows a statement whose first execution failed, nobody can tell: it gets another name.
      if (known === undefined && this.#known.delete(name)) this.#failures += 1
      throw error
    }
  }

  /** Lets what is in flight finish, for as long as that takes less than CLOSE_TIMEOUT_MS. */
  async close(): Promise<void> {
    const timer = setTimeout(() => this.#socket.destroy(), CLOSE_TIMEOUT_MS)
    await this.client.end().catch(() => undefined)
    clearTimeout(timer)
  }
}

/** The `n`-th column of a row, which is not null. */
export function column(row: TextRow, n: number): string {
  const value = row[n]
  if (typeof value !== 'string') throw new StoreError('broken', `column ${n} of a row is null`)
  return value
}
