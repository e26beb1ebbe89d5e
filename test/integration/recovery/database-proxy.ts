import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, Socket } from 'node:net'
import { join } from 'node:path'
import { type EmbeddedDatabase, removeEmbedded, startEmbedded } from '../../../db/provision/embedded.ts'

const HOST = '127.0.0.1'

type Link = { readonly client: Socket; readonly server: Socket }

/** A real server behind a proxy that loses, delays and refuses on demand. */
export class DatabaseProxy {
  readonly serverUrl: string
  readonly #listener: Server
  readonly #directory: string
  readonly #links = new Set<Link>()
  #mode: 'open' | 'refuse' = 'open'
  #delayMs = 0
  #swallow: { readonly statement: string; readonly done: () => void } | undefined

  private constructor(database: EmbeddedDatabase, listener: Server, directory: string) {
    this.serverUrl = database.url
    this.#listener = listener
    this.#directory = directory
    listener.on('connection', (client) => this.#link(client))
  }

  static async start(
    parent: string,
    server: { readonly port: number; readonly user: string; readonly password: string } | undefined,
  ): Promise<DatabaseProxy> {
    if (server === undefined) throw new Error('no such replica')
    const directory = join(parent, 'proxied')
    const database = await startEmbedded({ directory, ...server })
    const listener = createServer()
    listener.listen({ host: HOST, port: 0 })
    await once(listener, 'listening')
    return new DatabaseProxy(database, listener, directory)
  }

  /** Through the proxy. */
  get url(): string {
    const url = new URL(this.serverUrl)
    url.port = String((this.#listener.address() as AddressInfo).port)
    return url.href
  }

  /** Ends every connection, and every new one at once. */
  refuse(): void {
    this.#mode = 'refuse'
    for (const link of this.#links) this.#cut(link)
  }

  /** Each piece of an answer comes so much later. */
  slow(delayMs: number): void {
    this.#delayMs = delayMs
  }

  open(): void {
    this.#mode = 'open'
    this.#delayMs = 0
  }

  /** The next use of a prepared statement reaches the server, and its answer nobody. Resolves when that happened. */
  swallowAnswerTo(statement: string): Promise<void> {
    return new Promise((done) => {
      this.#swallow = { statement, done }
    })
  }

  async close(): Promise<void> {
    this.refuse()
    this.#listener.close()
    await removeEmbedded(this.#directory)
  }

  #link(client: Socket): void {
    if (this.#mode === 'refuse') return void client.destroy()
    const server = new Socket()
    const link = { client, server }
    let deaf: (() => void) | undefined
    this.#links.add(link)
    server.connect({ host: HOST, port: Number(new URL(this.serverUrl).port) })
    for (const socket of [client, server]) {
      socket.on('error', () => this.#cut(link))
      socket.on('close', () => this.#cut(link))
    }
    client.on('data', (data) => {
      if (this.#swallow !== undefined && data.includes(this.#swallow.statement)) {
        deaf = this.#swallow.done
        this.#swallow = undefined
      }
      server.write(data)
    })
    server.on('data', (data) => {
      if (deaf !== undefined) {
        deaf()
        this.#cut(link)
      } else if (this.#delayMs === 0) client.write(data)
      else setTimeout(() => client.write(data), this.#delayMs)
    })
  }

  #cut(link: Link): void {
    this.#links.delete(link)
    link.client.destroy()
    link.server.destroy()
  }
}
