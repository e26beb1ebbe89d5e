import { once } from 'node:events'
import { createServer, type Server, Socket } from 'node:net'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { DatabaseProxy } from '../../../chaos/live/database-proxy.ts'

const HOST = '127.0.0.1'

let server: Server
let proxy: DatabaseProxy
const clients: Socket[] = []

/** It answers with what it was told. */
beforeEach(async () => {
  server = createServer((socket) => {
    socket.on('error', () => undefined)
    socket.pipe(socket)
  })
  server.listen({ host: HOST, port: 0 })
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('a TCP server has an address')
  proxy = await DatabaseProxy.open({ host: HOST, port: address.port })
})
afterEach(async () => {
  for (const client of clients.splice(0)) client.destroy()
  await proxy.close()
  await new Promise((resolve) => server.close(resolve))
})

type Client = { readonly socket: Socket; readonly closed: Promise<unknown>; heard: string }

async function connect(): Promise<Client> {
  const socket = new Socket()
  clients.push(socket)
  socket.on('error', () => undefined)
  const client = { socket, closed: once(socket, 'close'), heard: '' }
  socket.on('data', (data) => {
    client.heard += data.toString()
  })
  const connected = once(socket, 'connect')
  socket.connect({ host: HOST, port: proxy.port })
  await connected
  return client
}

async function ask(client: Client, text: string): Promise<void> {
  const goal = client.heard.length + text.length
  client.socket.write(text)
  while (client.heard.length < goal) await once(client.socket, 'data')
}

test('what is said passes both ways', async () => {
  const client = await connect()
  await ask(client, 'select 1')
  expect(client.heard).toBe('select 1')
})

test('cut: connections end, new ones work', async () => {
  const client = await connect()
  await ask(client, 'a')
  proxy.cut()
  await client.closed
  expect(proxy.connections).toBe(0)
  await ask(await connect(), 'b')
})

test('refuse: connections end, and new ones at once, until it is open', async () => {
  const before = await connect()
  await ask(before, 'a')
  proxy.refuse()
  await before.closed
  const refused = await connect()
  await refused.closed
  expect(refused.heard).toBe('')
  proxy.open()
  await ask(await connect(), 'b')
})

test('slow: answers come late, whole and in order, also when it is fast again meanwhile', async () => {
  const client = await connect()
  proxy.slow(30)
  client.socket.write('first ')
  await ask(await connect(), 'another connection')
  proxy.open()
  await ask(client, 'second')
  while (client.heard.length < 'first second'.length) await once(client.socket, 'data')
  expect(client.heard).toBe('first second')
})

test('more than its buffers hold passes whole, slow or not', async () => {
  const client = await connect()
  const much = 'x'.repeat(8 * 1024 * 1024)
  await ask(client, much)
  proxy.slow(2)
  await ask(client, much)
  expect(client.heard.length).toBe(2 * much.length)
})

test('the answer to a statement reaches nobody', async () => {
  const client = await connect()
  const swallowed = proxy.swallowAnswerTo('write-')
  await ask(client, 'read-1')
  client.socket.write('write-1')
  await swallowed
  await client.closed
  expect(client.heard).toBe('read-1')
  await ask(await connect(), 'write-2')
})

test('where no server is the connection ends', async () => {
  await new Promise((resolve) => server.close(resolve))
  const client = await connect()
  await client.closed
  expect(proxy.connections).toBe(0)
  server.listen({ host: HOST, port: 0 })
  await once(server, 'listening')
})
