import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { removeEmbedded, startEmbedded, stopEmbedded } from '../../db/provision/embedded.ts'
import { serverUser } from '../../db/provision/server-user.ts'
import { openUrl } from '../../db/provision/url.ts'

const isRoot = process.getuid?.() === 0
let base: string
let directory: string
let port: number

beforeEach(async () => {
  base = await mkdtemp(join(tmpdir(), 'pbft-provision-'))
  await chmod(base, 0o755)
  directory = join(base, 'postgres')
  const listener = createServer().listen(0, '127.0.0.1')
  port = await portOf(listener)
  listener.close()
})

afterEach(async () => {
  await removeEmbedded(directory)
  await rm(base, { recursive: true, force: true })
})

async function portOf(listener: Server): Promise<number> {
  await once(listener, 'listening')
  const address = listener.address()
  if (address === null || typeof address === 'string') throw new Error('not a TCP listener')
  return address.port
}

const start = (more: { password?: string } = {}) =>
  startEmbedded({ directory, port, user: 'pbft', password: more.password ?? `p'"%/@ ü` })

async function query(url: string, sql: string): Promise<unknown[]> {
  const client = new pg.Client(url)
  await client.connect()
  try {
    return (await client.query(sql)).rows
  } finally {
    await client.end()
  }
}

const isRunning = (pid: number): boolean => {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

test('a stopped server starts again with its data, on loopback alone and with fsync on', async () => {
  const first = await start()
  expect(first.wasRunning).toBe(false)
  await query(first.url, 'create table kept as select 7 as seven')
  expect(
    await query(
      first.url,
      `select current_setting('fsync') as fsync, current_setting('listen_addresses') as on`,
    ),
  ).toEqual([{ fsync: 'on', on: '127.0.0.1' }])
  await first.stop()
  // Its number is free once this process, its parent, has taken note.
  await vi.waitFor(() => expect(isRunning(first.pid)).toBe(false))

  const second = await start()
  expect(second).toMatchObject({ wasRunning: false, url: first.url })
  expect(await query(second.url, 'select seven from kept')).toEqual([{ seven: 7 }])
})

test('a server whose starter was killed with SIGKILL goes on and is taken over', async () => {
  const script = `
    import { startEmbedded } from './db/provision/embedded.ts'
    const { pid } = await startEmbedded(JSON.parse(process.argv[1]))
    console.log(pid)
    setInterval(() => undefined, 1000)`
  const options = JSON.stringify({ directory, port, user: 'pbft', password: 'x' })
  const starter = spawn(process.execPath, ['--input-type=module', '--eval', script, options], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [pid] = await once(starter.stdout, 'data')
  starter.kill('SIGKILL')
  await once(starter, 'exit')

  const adopted = await start({ password: 'x' })
  expect(adopted).toMatchObject({ wasRunning: true, pid: Number(pid) })
  await adopted.stop()
  await expect(query(adopted.url, 'select 1')).rejects.toMatchObject({ code: 'ECONNREFUSED' })
})

test('a server killed with SIGKILL recovers at the next start, while its orphans finish what they do', async () => {
  const first = await start()
  await query(first.url, 'create table kept as select 7 as seven')
  const busy = new pg.Client(first.url)
  busy.on('error', () => undefined)
  await busy.connect()
  const statement = busy
    .query('select sum(sqrt(n)) from generate_series(1, 5000000) n')
    .catch(() => undefined)
  const busyOnes = `select pid from pg_stat_activity where query like 'select sum%' and state = 'active'`
  await vi.waitFor(async () => expect(await query(first.url, busyOnes)).toHaveLength(1))
  process.kill(first.pid, 'SIGKILL')

  const second = await start()
  expect(await query(second.url, 'select seven from kept')).toEqual([{ seven: 7 }])
  await statement
})

test('a server that is quitting while it is asked for is waited for, and started again', async () => {
  for (const signal of ['SIGQUIT', 'SIGINT', 'SIGTERM'] as const) {
    const first = await start()
    process.kill(first.pid, signal)
    const second = await start()
    expect(second).toMatchObject({ wasRunning: false, url: first.url })
  }
})

test('a postmaster.pid whose number is now another process of the same user does not keep the server from starting', async () => {
  const first = await start()
  const pidFile = join(directory, 'data', 'postmaster.pid')
  const before = await readFile(pidFile, 'utf8')
  await first.stop()
  const other = spawn('sleep', ['600'], { ...(await serverUser()), cwd: '/', stdio: 'ignore' })
  try {
    await writeFile(pidFile, before.replace(String(first.pid), String(other.pid)))
    await expect(stopEmbedded(directory)).resolves.toBe(false)
    expect((await start()).wasRunning).toBe(false)
    expect(other.exitCode).toBeNull()
  } finally {
    other.kill('SIGKILL')
  }
})

test('an empty postmaster.pid, left by a power cut, does not keep the server from starting', async () => {
  await (await start()).stop()
  await writeFile(join(directory, 'data', 'postmaster.pid'), '')
  expect((await start()).wasRunning).toBe(false)
})

test('of two starts at once one makes the database and both use it', async () => {
  const [one, other] = await Promise.all([start(), start()])
  expect(other.pid).toBe(one.pid)
  expect((await readdir(directory)).sort()).toEqual(['data', 'log'])
})

test('what a start left that was killed while it made the database is removed, and nothing taken for a database', async () => {
  const gone = spawn('true', { stdio: 'ignore' })
  await once(gone, 'exit')
  await mkdir(join(directory, `initialising-${gone.pid}-abc`, 'data'), { recursive: true })
  await start()
  expect((await readdir(directory)).sort()).toEqual(['data', 'log'])
})

test('another program on the port gives an error that names the port and where to change it', async () => {
  const listener = createServer().listen(port, '127.0.0.1')
  await once(listener, 'listening')
  try {
    await expect(start()).rejects.toMatchObject({
      code: 'port-in-use',
      message: expect.stringMatching(new RegExp(`port ${port} .*private\\.json`)),
    })
  } finally {
    listener.close()
  }
})

test('a server that runs on an earlier port moves to the new one', async () => {
  const first = await start()
  const listener = createServer().listen(0, '127.0.0.1')
  port = await portOf(listener)
  listener.close()
  const second = await start()
  expect(isRunning(first.pid)).toBe(false)
  expect(new URL(second.url).port).toBe(String(port))
})

test('another password is refused, whether the server runs or not, and no server is left behind', async () => {
  const first = await start()
  await expect(start({ password: 'another' })).rejects.toMatchObject({ code: 'refused' })
  await first.stop()
  await expect(start({ password: 'another' })).rejects.toMatchObject({
    code: 'refused',
    message: expect.not.stringContaining('another'),
  })
  expect(await stopEmbedded(directory)).toBe(false)
})

test('a server that cannot start says why', async () => {
  await (await start()).stop()
  await writeFile(join(directory, 'data', 'PG_VERSION'), '9\n')
  await expect(start()).rejects.toMatchObject({
    code: 'failed',
    message: expect.stringContaining('version 9'),
  })
})

test('a URL opens the same database, and closing it leaves the server alone', async () => {
  const server = await start()
  const opened = await openUrl({ url: server.url })
  await opened.stop()
  expect(isRunning(server.pid)).toBe(true)
  const wrong = new URL(server.url)
  wrong.pathname = '/nowhere'
  await expect(openUrl({ url: wrong.toString() })).rejects.toMatchObject({ code: 'refused' })
})

// Postgres does not run as root: only there does a server have a user who may be kept out of a directory.
if (isRoot) {
  test('as root, a directory that only root may enter is moved to where the server may, and stays there', async () => {
    await chmod(base, 0o700)
    const first = await start()
    const location = (await readFile(join(directory, 'location'), 'utf8')).trim()
    await query(first.url, 'create table kept as select 7 as seven')
    await first.stop()
    const second = await start()
    expect(await query(second.url, 'select seven from kept')).toEqual([{ seven: 7 }])
    await removeEmbedded(directory)
    await expect(readdir(location)).rejects.toMatchObject({ code: 'ENOENT' })
  })

  test('as root, files that are no longer where the directory says give an error, not an empty database', async () => {
    await chmod(base, 0o700)
    await (await start()).stop()
    const file = join(directory, 'location')
    const location = (await readFile(file, 'utf8')).trim()
    await rm(location, { recursive: true })
    await expect(start()).rejects.toMatchObject({
      code: 'files-lost',
      message: expect.stringContaining(location),
    })
    await rm(file)
  })

  test('as root, the server runs as another user, and its files are closed to everyone else', async () => {
    const server = await start()
    const user = await serverUser()
    expect(user?.uid).toBeGreaterThan(0)
    const status = await readFile(`/proc/${server.pid}/status`, 'utf8')
    expect(status).toMatch(new RegExp(`^Uid:\\s+${user?.uid}\\s+${user?.uid}\\b`, 'm'))
  })
} else {
  test('not as root, the server runs as whoever started it, in the directory that was asked for', async () => {
    await chmod(base, 0o700)
    await start()
    expect((await readdir(directory)).sort()).toEqual(['data', 'log'])
  })
}
