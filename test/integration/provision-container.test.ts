import { once } from 'node:events'
import fs from 'node:fs'
import { createServer } from 'node:net'
import pg from 'pg'
import { expect, test, vi } from 'vitest'
import { removeContainer, startContainer } from '../../db/provision/container.ts'

/** `.ci/run` sets this to an image that a running engine has. Without an engine, its absence is what is tested. */
const image = process.env.PBFT_TEST_POSTGRES_IMAGE
/** Making a database in a container takes seconds on an idle machine, and this does so several times. */
const CONTAINER_TEST_TIMEOUT_MS = 240_000

async function freePort(): Promise<number> {
  const listener = createServer().listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const address = listener.address()
  listener.close()
  if (address === null || typeof address === 'string') throw new Error('not a TCP listener')
  return address.port
}

if (image === undefined) {
  test('without a container engine the error says what to install (no engine here: the real one was not tested)', async () => {
    // Whatever this machine has, testcontainers shall find no engine: not by address, and no socket.
    vi.stubEnv('DOCKER_HOST', 'tcp://127.0.0.1:1')
    const noSocket = vi.spyOn(fs, 'existsSync').mockReturnValue(false)
    await expect(startContainer({ image: 'any', port: 1, user: 'u', password: 'p' })).rejects.toMatchObject({
      code: 'unsupported',
      message: expect.stringContaining('no container engine answers'),
    })
    await expect(removeContainer({ image: 'any', port: 1, user: 'u', password: 'p' })).rejects.toMatchObject({
      code: 'unsupported',
    })
    noSocket.mockRestore()
    vi.unstubAllEnvs()
  })
} else {
  const timeout = CONTAINER_TEST_TIMEOUT_MS
  test('a container starts, keeps its data over a stop, and is found again while it runs', {
    timeout,
  }, async () => {
    const options = { image, port: await freePort(), user: 'bank', password: `p'"$%/@ ü` }
    const query = async (url: string, sql: string) => {
      const client = new pg.Client(url)
      await client.connect()
      const { rows } = await client.query(sql)
      await client.end()
      return rows
    }
    const first = await startContainer(options)
    await query(first.url, 'create table kept as select 7 as seven')
    await first.stop()
    await expect(query(first.url, 'select 1')).rejects.toThrow()

    await startContainer(options)
    // As a replica does that was killed, and so never stopped its container.
    const again = await startContainer({ ...options, removeOnStop: true })
    expect(await query(again.url, 'select seven from kept')).toEqual([{ seven: 7 }])
    await again.stop()
  })

  test('a container is removed whether it runs or not, and only with its own password', {
    timeout,
  }, async () => {
    const options = { image, port: await freePort(), user: 'bank', password: 'its own' }
    const { url } = await startContainer(options)
    expect(await removeContainer({ ...options, password: `another's` })).toBeUndefined()
    const client = new pg.Client(url)
    await client.connect()
    await client.end()
    expect(await removeContainer(options)).toEqual(expect.any(String))
    expect(await removeContainer(options)).toBeUndefined()
    const again = await startContainer(options)
    await again.stop()
    expect(await removeContainer(options)).toEqual(expect.any(String))
  })

  test('a port that is taken gives an error that names it, and is no obstacle once it is free', {
    timeout,
  }, async () => {
    const options = { image, port: await freePort(), user: 'bank', password: 'p', removeOnStop: true }
    const listener = createServer().listen(options.port, '0.0.0.0')
    await once(listener, 'listening')
    await expect(startContainer(options)).rejects.toMatchObject({
      code: 'port-in-use',
      message: expect.stringContaining(String(options.port)),
    })
    listener.close()
    await (await startContainer(options)).stop()
  })
}

test('without the package @testcontainers/postgresql the error says how to install it', async () => {
  vi.doMock('@testcontainers/postgresql', () => {
    throw new Error('Cannot find package')
  })
  await expect(startContainer({ image: 'any', port: 1, user: 'u', password: 'p' })).rejects.toMatchObject({
    code: 'unsupported',
    message: expect.stringContaining('npm install @testcontainers/postgresql'),
  })
})
