import { randomInt } from 'node:crypto'
import { createServer } from 'node:net'
import { openUdp } from '../../protocol/udp.ts'

/**
 * Below what systems hand out to outgoing connections (from 32,768 on Linux), so that a port stays free while the
 * cluster that has it in its files is stopped.
 */
const PORT_MIN = 20_000
const PORT_MAX = 32_000
const TRIES_MAX = 1_000

/**
 * `count` distinct ports that are free for UDP and TCP alike, from a random place on, so that two clusters made at
 * the same time rarely meet.
 */
export async function freePorts(host: string, count: number): Promise<number[]> {
  const found: number[] = []
  let port = randomInt(PORT_MIN, PORT_MAX)
  for (let tries = 0; found.length < count; tries++) {
    if (tries >= TRIES_MAX) throw new Error(`found only ${found.length} free ports on ${host}, not ${count}`)
    if (await isFree(host, port)) found.push(port)
    port = port + 1 < PORT_MAX ? port + 1 : PORT_MIN
  }
  return found
}

async function isFree(host: string, port: number): Promise<boolean> {
  try {
    const udp = await openUdp({ host, port, onDatagram: () => undefined })
    await udp.close()
  } catch {
    return false
  }
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const listener = createServer()
  listener.once('error', () => resolve(false))
  listener.listen({ host, port }, () => listener.close(() => resolve(true)))
  return promise
}
