import { connect, createServer, type Socket } from 'node:net'
import pg from 'pg'

/** Holds the row of `meta` locked while `body` runs, which learns the process id of the backend that waits for it. */
export async function whileMetaIsLocked(
  url: string,
  body: (blockedPid: () => Promise<number>) => Promise<void>,
): Promise<void> {
  const client = new pg.Client(url)
  await client.connect()
  try {
    await client.query('begin')
    await client.query('select from meta for update')
    await body(async () => {
      for (;;) {
        const { rows } = await client.query<{ pid: number }>(
          'select pid from pg_stat_activity where pg_backend_pid() = any(pg_blocking_pids(pid))',
        )
        if (rows[0] !== undefined) return rows[0].pid
      }
    })
  } finally {
    await client.end()
  }
}

export type AnswerDroppingProxy = {
  /** The same database through the proxy. */
  readonly url: string
  /** From now on the server's first answer to anything closes the connection instead of arriving. */
  dropAnswers(): void
  passAnswers(): void
  close(): Promise<void>
}

/** A TCP proxy that can lose what the server says, after the server did what it was asked. */
export async function answerDroppingProxy(url: string): Promise<AnswerDroppingProxy> {
  const target = new URL(url)
  const sockets = new Set<Socket>()
  let dropping = false
  const track = (socket: Socket): Socket => {
    sockets.add(socket)
    socket.on('error', () => undefined)
    socket.on('close', () => sockets.delete(socket))
    return socket
  }
  const listener = createServer((incoming) => {
    const client = track(incoming)
    const server = track(connect(Number(target.port), target.hostname))
    client.on('data', (bytes) => server.write(bytes))
    server.on('data', (bytes) => {
      if (dropping) client.destroy()
      else client.write(bytes)
    })
    client.on('close', () => server.end())
    server.on('close', () => client.destroy())
  })
  const { promise, resolve } = Promise.withResolvers<void>()
  listener.listen(0, '127.0.0.1', resolve)
  await promise
  const address = listener.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  const through = new URL(url)
  through.port = String(address.port)
  return {
    url: through.href,
    dropAnswers() {
      dropping = true
    },
    passAnswers() {
      dropping = false
    },
    async close() {
      for (const socket of sockets) socket.destroy()
      const closed = Promise.withResolvers<void>()
      listener.close(() => closed.resolve())
      await closed.promise
    },
  }
}
