import { once } from 'node:events'
import { createServer, type Server, Socket } from 'node:net'

const HOST = '127.0.0.1'
/** Of one connection and direction: what waits beyond this is not read from the sender. */
const WAITING_BYTES_MAX = 1024 * 1024

/** What a socket reads at a time. */
type Piece = Buffer | string

/** Stands before a Postgres server: delays, cuts and refuses on demand. */
export class DatabaseProxy {
  readonly #listener: Server
  readonly #port: number
  /** Where the server is. */
  readonly #target: { readonly host: string; readonly port: number }
  readonly #connections = new Set<Connection>()
  #isRefusing = false
  #delayMs = 0
  #swallow: { readonly statement: string; readonly done: () => void } | undefined

  private constructor(
    listener: Server,
    port: number,
    target: { readonly host: string; readonly port: number },
  ) {
    this.#listener = listener
    this.#port = port
    this.#target = target
    listener.on('connection', (client) => this.#onConnection(client))
    listener.on('error', () => undefined)
  }

  /** Listens on a free port; the server need not be there yet. */
  static async open(target: { readonly host: string; readonly port: number }): Promise<DatabaseProxy> {
    const listener = createServer()
    listener.listen({ host: HOST, port: 0 })
    await once(listener, 'listening')
    const address = listener.address()
    if (address === null || typeof address === 'string') throw new Error('a TCP server has an address')
    return new DatabaseProxy(listener, address.port, target)
  }

  get host(): string {
    return HOST
  }

  get port(): number {
    return this.#port
  }

  /** Connections that pass now. */
  get connections(): number {
    return this.#connections.size
  }

  /** Ends every connection; new ones work. */
  cut(): void {
    for (const connection of [...this.#connections]) connection.end()
  }

  /** Ends every connection, and every new one at once. */
  refuse(): void {
    this.#isRefusing = true
    this.cut()
  }

  /** Each piece of an answer comes so much later. */
  slow(delayMs: number): void {
    this.#delayMs = delayMs
  }

  open(): void {
    this.#isRefusing = false
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
    if (this.#listener.listening) await new Promise((resolve) => this.#listener.close(resolve))
  }

  #onConnection(client: Socket): void {
    if (this.#isRefusing) return void client.destroy()
    const connection = new Connection({
      client,
      target: this.#target,
      delayMs: () => this.#delayMs,
      swallows: (data) => this.#swallows(data),
      onEnd: () => this.#connections.delete(connection),
    })
    this.#connections.add(connection)
  }

  /** Whether the answer to this is to reach nobody; whom to tell then. */
  #swallows(data: Piece): (() => void) | undefined {
    const swallow = this.#swallow
    if (swallow === undefined || !data.includes(swallow.statement)) return undefined
    this.#swallow = undefined
    return swallow.done
  }
}

class Connection {
  readonly #client: Socket
  readonly #server = new Socket()
  readonly #onEnd: () => void
  #isEnded = false
  #onAnswer: (() => void) | undefined

  constructor(args: {
    readonly client: Socket
    readonly target: { readonly host: string; readonly port: number }
    readonly delayMs: () => number
    readonly swallows: (data: Piece) => (() => void) | undefined
    readonly onEnd: () => void
  }) {
    this.#client = args.client
    this.#onEnd = args.onEnd
    this.#server.connect(args.target)
    for (const socket of [this.#client, this.#server]) {
      socket.setNoDelay(true)
      socket.on('error', () => this.end())
      socket.on('close', () => this.end())
    }
    this.#client.on('data', (data) => {
      this.#onAnswer ??= args.swallows(data)
      write(this.#client, this.#server, data)
    })
    const answers = new Answers(this.#server, this.#client)
    this.#server.on('data', (data) => {
      if (this.#onAnswer === undefined) return answers.give(data, args.delayMs())
      this.#onAnswer()
      this.end()
    })
  }

  end(): void {
    if (this.#isEnded) return
    this.#isEnded = true
    this.#client.destroy()
    this.#server.destroy()
    this.#onEnd()
  }
}

/** What the server says, in order, each piece late by the delay that was in force when it came. */
class Answers {
  readonly #from: Socket
  readonly #to: Socket
  readonly #waiting: { readonly data: Piece; readonly dueMs: number }[] = []
  #waitingBytes = 0

  constructor(from: Socket, to: Socket) {
    this.#from = from
    this.#to = to
  }

  give(data: Piece, delayMs: number): void {
    if (delayMs === 0 && this.#waiting.length === 0) return write(this.#from, this.#to, data)
    this.#waiting.push({ data, dueMs: performance.now() + delayMs })
    this.#waitingBytes += data.length
    if (this.#waitingBytes > WAITING_BYTES_MAX) this.#from.pause()
    if (this.#waiting.length === 1) this.#arm()
  }

  #arm(): void {
    const [first] = this.#waiting
    if (first === undefined) return
    setTimeout(() => this.#giveFirst(), Math.max(0, first.dueMs - performance.now()))
  }

  #giveFirst(): void {
    const first = this.#waiting.shift()
    if (first === undefined || this.#to.destroyed) return
    const wasFull = this.#waitingBytes > WAITING_BYTES_MAX
    this.#waitingBytes -= first.data.length
    write(this.#from, this.#to, first.data)
    if (wasFull && this.#waitingBytes <= WAITING_BYTES_MAX) this.#from.resume()
    this.#arm()
  }
}

/** A receiver that does not read stops its sender. */
function write(from: Socket, to: Socket, data: Piece): void {
  if (to.write(data)) return
  from.pause()
  to.once('drain', () => from.resume())
}
