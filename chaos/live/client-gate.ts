import { formatAddress, openUdp, type Udp, UdpError } from '../../protocol/udp.ts'
import type { FaultyLink } from './faulty-link.ts'

/** Client addresses remembered at a time; the one that was idle for longest makes room. */
const ASSOCIATIONS_MAX = 256

/** One client address as the replica sees it. */
type Association = {
  /** Undefined while it is being opened: what comes then is lost, and sent again. */
  socket: Udp | undefined
  /** Of the last datagram either way, in ms. */
  usedMs: number
}

/** Where clients reach one replica: each of their addresses leaves from a socket of its own, to which the answers come. */
export class ClientGate {
  readonly #target: string
  readonly #host: string
  readonly #toReplica: FaultyLink
  readonly #toClients: FaultyLink
  readonly #associations = new Map<string, Association>()
  #socket: Udp | undefined
  #isClosed = false

  private constructor(args: GateOptions) {
    this.#host = args.target.host
    this.#target = formatAddress(args.target.host, args.target.port)
    this.#toReplica = args.toReplica
    this.#toClients = args.toClients
  }

  /** @throws UdpError */
  static async open(args: GateOptions): Promise<ClientGate> {
    const gate = new ClientGate(args)
    gate.#socket = await openUdp({
      host: args.target.host,
      port: 0,
      onDatagram: (bytes, from) => gate.#fromClient(bytes, from),
    })
    return gate
  }

  get address(): string {
    return this.#socket?.address ?? ''
  }

  /** Client addresses that are remembered now. */
  get associations(): number {
    return this.#associations.size
  }

  #fromClient(bytes: Uint8Array, from: string): void {
    const association = this.#associations.get(from) ?? this.#associate(from)
    association.usedMs = performance.now()
    this.#toReplica.pass(bytes, (passed) => association.socket?.send(this.#target, passed))
  }

  #associate(client: string): Association {
    if (this.#associations.size >= ASSOCIATIONS_MAX) this.#forgetIdle()
    const association: Association = { socket: undefined, usedMs: performance.now() }
    this.#associations.set(client, association)
    const toClient = (bytes: Uint8Array) => this.#socket?.send(client, bytes)
    const onDatagram = (bytes: Uint8Array) => {
      association.usedMs = performance.now()
      this.#toClients.pass(bytes, toClient)
    }
    openUdp({ host: this.#host, port: 0, onDatagram }).then(
      (socket) => {
        if (this.#isClosed || this.#associations.get(client) !== association) return socket.close()
        association.socket = socket
      },
      (error: unknown) => {
        // No socket to be had now: the client sends again, and another is tried.
        this.#associations.delete(client)
        if (!(error instanceof UdpError)) throw error
      },
    )
    return association
  }

  #forgetIdle(): void {
    const [idlest] = [...this.#associations].sort(([, a], [, b]) => a.usedMs - b.usedMs)
    if (idlest === undefined) return
    const [client, { socket }] = idlest
    this.#associations.delete(client)
    void socket?.close()
  }

  async close(): Promise<void> {
    this.#isClosed = true
    const sockets = [...this.#associations.values()].map(({ socket }) => socket)
    this.#associations.clear()
    await Promise.all([this.#socket, ...sockets].map((socket) => socket?.close()))
  }
}

type GateOptions = {
  readonly target: { readonly host: string; readonly port: number }
  readonly toReplica: FaultyLink
  readonly toClients: FaultyLink
}
