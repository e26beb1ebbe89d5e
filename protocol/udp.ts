import { createSocket, type Socket } from 'node:dgram'
import { isIP } from 'node:net'

/** The one place that imports node:dgram. Addresses are `ip:port` text, IPv6 in brackets. */
export type Udp = {
  readonly address: string
  /** Fire and forget: what the kernel does not take is lost, as on any network. */
  send(to: string, bytes: Uint8Array): void
  close(): Promise<void>
}

/** A port that is taken, an address that is not this machine's. */
export class UdpError extends Error {
  override name = 'UdpError'
}

/** Asked for; the kernel may cap it (net.core.rmem_max). */
const SOCKET_BUFFER_BYTES = 4 * 1024 * 1024

type Target = { readonly host: string; readonly port: number }

/** `port` 0 takes any free one. @throws UdpError when the socket cannot be bound. */
export async function openUdp(args: {
  readonly host: string
  readonly port: number
  readonly onDatagram: (bytes: Uint8Array, from: string) => void
}): Promise<Udp> {
  const socket = createSocket({
    type: isIP(args.host) === 6 ? 'udp6' : 'udp4',
    // Addresses are numeric here: without this each send would take a turn through the resolver.
    lookup: (host, _options, done) => done(null, host, isIP(host)),
  })
  await bind(socket, args)
  socket.on('error', () => {
    // After bind, errors are of single sends (an unreachable peer): the channel sends again.
  })
  socket.setRecvBufferSize(SOCKET_BUFFER_BYTES)
  socket.setSendBufferSize(SOCKET_BUFFER_BYTES)
  socket.on('message', (bytes, { address, port }) => args.onDatagram(bytes, formatAddress(address, port)))
  const bound = socket.address()
  return {
    address: formatAddress(bound.address, bound.port),
    send: sender(socket),
    close: () => close(socket),
  }
}

export const formatAddress = (host: string, port: number): string =>
  host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`

function sender(socket: Socket): Udp['send'] {
  const targets = new Map<string, Target>()
  const targetsMax = 10_000
  let open = true
  socket.once('close', () => {
    open = false
  })
  return (to, bytes) => {
    if (!open) return
    let target = targets.get(to)
    if (target === undefined) {
      target = parseAddress(to)
      if (targets.size >= targetsMax) targets.clear()
      targets.set(to, target)
    }
    socket.send(bytes, target.port, target.host)
  }
}

function parseAddress(address: string): Target {
  const colon = address.lastIndexOf(':')
  const host = address.slice(0, colon).replace(/^\[|\]$/g, '')
  return { host, port: Number(address.slice(colon + 1)) }
}

function bind(socket: Socket, { host, port }: { host: string; port: number }): Promise<void> {
  return new Promise((resolve, reject) => {
    const refuse = (cause: NodeJS.ErrnoException) => {
      socket.close()
      const why =
        cause.code === 'EADDRINUSE' ? 'is in use by another process' : `cannot be opened (${cause.message})`
      reject(new UdpError(`UDP port ${port} on ${host} ${why}`, { cause }))
    }
    socket.once('error', refuse)
    socket.bind({ port, address: host }, () => {
      socket.off('error', refuse)
      resolve()
    })
  })
}

const close = (socket: Socket): Promise<void> => new Promise((resolve) => socket.close(() => resolve()))
