import pg from 'pg'
import type { DatabaseProxy } from './database-proxy.ts'
import type { DatabaseServer } from './database-server.ts'

export type TextRows = {
  readonly columns: readonly string[]
  /** As Postgres writes values. */
  readonly rows: readonly (readonly (string | null)[])[]
}

/** One replica's database: the proxy before it, and the server itself. */
export class LiveDatabase {
  readonly #replica: number
  readonly #server: DatabaseServer
  readonly #proxy: DatabaseProxy | undefined
  #isPaused = false

  constructor(args: {
    readonly replica: number
    readonly server: DatabaseServer
    /** Undefined: the replica connects straight. */
    readonly proxy: DatabaseProxy | undefined
  }) {
    this.#replica = args.replica
    this.#server = args.server
    this.#proxy = args.proxy
  }

  /** Straight to the server, password included. */
  get url(): string {
    return this.#server.url
  }

  get isPaused(): boolean {
    return this.#isPaused
  }

  /** Whether the server runs on this machine as ours, to be killed and paused. */
  get isOwn(): boolean {
    return this.#server.isOwn
  }

  get proxy(): DatabaseProxy {
    if (this.#proxy !== undefined) return this.#proxy
    throw new Error(`the database of replica ${this.#replica} has no proxy before it: databaseProxy is off`)
  }

  /** Each piece of an answer comes so much later. */
  slow(ms: number): void {
    this.proxy.slow(ms)
  }

  /** Ends every connection; new ones work. */
  cut(): void {
    this.proxy.cut()
  }

  /** Ends every connection, and every new one at once. */
  refuse(): void {
    this.proxy.refuse()
  }

  /** Neither slow nor refusing. */
  open(): void {
    this.#proxy?.open()
  }

  /** SIGKILL to the server and all its processes; its replica starts it again. */
  async killServer(): Promise<void> {
    this.#isPaused = false
    await this.#server.kill()
  }

  async pauseServer(): Promise<void> {
    this.#isPaused = true
    await this.#server.pause()
  }

  async resumeServer(): Promise<void> {
    if (!this.#isPaused) return
    await this.#server.resume()
    this.#isPaused = false
  }

  /** While the replica is down. */
  async wipe(): Promise<void> {
    await this.resumeServer()
    await this.#server.wipe()
  }

  /** Straight to the server: rows edited by hand. Of several statements, what the last one returned. */
  async query(sql: string): Promise<TextRows> {
    const connection = new pg.Client({
      connectionString: this.url,
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    })
    // A server that is killed meanwhile makes the query fail, which is enough.
    connection.on('error', () => undefined)
    await connection.connect()
    try {
      const result = await connection.query<(string | null)[]>({
        text: sql,
        rowMode: 'array',
        types: { getTypeParser: () => (value: string) => value },
      })
      const last = Array.isArray(result) ? result.at(-1) : result
      return { columns: last.fields.map(({ name }: { name: string }) => name), rows: last.rows }
    } finally {
      await connection.end()
    }
  }

  async close(): Promise<void> {
    await this.#proxy?.close()
  }
}

const CONNECT_TIMEOUT_MS = 5_000
