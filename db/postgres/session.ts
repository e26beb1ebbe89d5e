import { Socket } from 'node:net'
import pg from 'pg'
import { StoreError } from '../store.ts'
import { storeError } from './errors.ts'

const CONNECT_TIMEOUT_MS = 5_000
/** How long a goodbye may take: a server that was paused says none. */
const CLOSE_TIMEOUT_MS = 1_000

/** A row's columns as Postgres prints them: callers know their types, and parse only what they need. */
export type TextRow = readonly (string | null)[]
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
  async rows({ name, text, values }: Statement): Promise<readonly TextRow[]> {
    const result = await this.client.query<(string | null)[]>({
      ...(name === undefined ? {} : { name }),
      text,
      values: values === undefined ? [] : [...values],
      rowMode: 'array',
    })
    return result.rows
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
