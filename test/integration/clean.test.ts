import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { chmod, mkdtemp, readdir, readFile, realpath, rm } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { RunRegistry, registryDirectory } from '../../chaos/live/run-registry.ts'
import { openUdp } from '../../protocol/udp.ts'
import { bundleOf, clusterPaths } from '../../replica/local-cluster/layout.ts'
import { bundlePaths, loadBundle } from '../../replica/runtime/bundle.ts'
import { isAlive, pbft, pidOf, RunningCommand } from './cli-process.ts'

const REPLICAS = [0, 1, 2, 3]
const PATIENCE_MS = 100_000
const HOST = '127.0.0.1'

let parent: string
let before: string | undefined

/** A registry of this test's own: what others run, or left, on this machine is none of its business. */
beforeAll(async () => {
  parent = await realpath(await mkdtemp(join(tmpdir(), 'pbft-clean-')))
  await chmod(parent, 0o755)
  before = process.env.TMPDIR
  process.env.TMPDIR = parent
})

afterAll(async () => {
  await pbft(['clean'])
  if (before === undefined) delete process.env.TMPDIR
  else process.env.TMPDIR = before
  await rm(parent, { recursive: true, force: true })
})

async function until<T>(what: string, look: () => Promise<T | undefined>): Promise<T> {
  for (const deadlineMs = performance.now() + PATIENCE_MS; performance.now() < deadlineMs; await delay(50)) {
    const found = await look().catch(() => undefined)
    if (found !== undefined) return found
  }
  throw new Error(`waited in vain until ${what}`)
}

type Started = {
  readonly running: RunningCommand
  readonly directory: string
  readonly replicas: readonly number[]
  readonly servers: readonly number[]
  readonly ports: readonly number[]
}

/** A command that makes a cluster of its own, in the middle of its work. */
async function start(args: readonly string[], isInTheMiddle: (stderr: string) => boolean): Promise<Started> {
  const running = new RunningCommand(args)
  const prefix = `pbft-${args[0]}-`
  const directory = await until('its cluster is there', async () => {
    if (!isInTheMiddle(running.stderr)) return undefined
    const name = (await readdir(parent)).find((name) => name.startsWith(prefix))
    return name === undefined ? undefined : join(parent, name)
  })
  const bundles = REPLICAS.map((id) => bundleOf(join(directory, 'cluster'), id))
  const replicas = await Promise.all(bundles.map(pidOf))
  const servers = await Promise.all(
    bundles.map(async (bundle) => {
      const text = await readFile(join(bundlePaths(bundle).postgres, 'data', 'postmaster.pid'), 'utf8')
      return Number(text.split('\n')[0])
    }),
  )
  const ports = await Promise.all(
    bundles.map(async (bundle, id) => {
      const { cluster, own } = await loadBundle(bundle)
      return [cluster.replicas[id]?.port ?? 0, own.database.kind === 'embedded' ? own.database.port : 0]
    }),
  )
  return { running, directory, replicas, servers, ports: ports.flat() }
}

async function isFree(port: number): Promise<boolean> {
  try {
    const udp = await openUdp({ host: HOST, port, onDatagram: () => undefined })
    await udp.close()
  } catch {
    return false
  }
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const listener = createServer()
  listener.once('error', () => resolve(false))
  listener.listen({ host: HOST, port }, () => listener.close(() => resolve(true)))
  return promise
}

async function expectNothingLeft({ directory, replicas, servers, ports }: Started): Promise<void> {
  expect([...replicas, ...servers].filter(isAlive)).toEqual([])
  expect(existsSync(directory)).toBe(false)
  expect(await Promise.all(ports.map(isFree))).toEqual(ports.map(() => true))
  expect(await readdir(registryDirectory())).toEqual([])
}

test('what a killed bench left is named by the next command and removed by clean, paused processes too', {
  timeout: 2 * PATIENCE_MS,
}, async () => {
  const started = await start(['bench', '--seconds', '600', '--accounts', '10'], (stderr) =>
    / 1 s /.test(stderr),
  )
  const { running, directory, replicas, servers } = started

  expect(await pbft(['clean'])).toMatchObject({ code: 0, stdout: 'nothing is left\n' })
  expect([...replicas, ...servers].every(isAlive)).toBe(true)

  process.kill(replicas[2] ?? 0, 'SIGSTOP')
  process.kill(servers[1] ?? 0, 'SIGSTOP')
  await running.stop('SIGKILL')
  const { stderr } = await pbft(['check', '--cluster', join(parent, 'none')])
  expect(stderr).toContain(`\`pbft bench --seconds 600 --accounts 10\``)
  for (const pid of [...replicas, ...servers]) expect(stderr).toContain(String(pid))
  expect(stderr).toContain(`${replicas[2]} (paused)`)
  expect(stderr).toContain(`files in ${directory}`)
  expect(stderr).toMatch(/clean removes it\n/)

  const dry = await pbft(['clean', '--dry-run', '--json'])
  expect(dry.code).toBe(1)
  expect(JSON.parse(dry.stdout)).toMatchObject({ runs: [{ directory, paths: [directory] }] })
  expect([...replicas, ...servers].every(isAlive)).toBe(true)

  const cleaned = await pbft(['clean', '--json'])
  expect({ code: cleaned.code, runs: JSON.parse(cleaned.stdout).runs }).toMatchObject({
    code: 0,
    runs: [{ directory, remains: [] }],
  })
  await expectNothingLeft(started)
  expect(await pbft(['clean'])).toMatchObject({ code: 0, stdout: 'nothing is left\n' })
})

test('servers are found when the directory is gone already, and a cluster of init is not touched', {
  timeout: 2 * PATIENCE_MS,
}, async () => {
  const own = join(parent, 'own')
  expect(await pbft(['init', '--dir', own])).toMatchObject({ code: 0 })
  const started = await start(
    ['experiment', 'iterations', '--iterations', '1000000', '--runs', '1'],
    (stderr) => stderr.includes('iterations/s'),
  )
  await started.running.stop('SIGKILL')
  await rm(started.directory, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 })
  const { code, stdout } = await pbft(['clean'])
  expect({ code, stdout }).toMatchObject({ code: 0, stdout: expect.stringContaining('nothing is left now') })
  await expectNothingLeft(started)
  expect(existsSync(clusterPaths(own).genesis)).toBe(true)
})

test('a cluster that was to be kept keeps its files', async () => {
  const directory = join(parent, 'kept')
  const registry = new RunRegistry()
  const announced = {
    command: 'pbft demo --keep',
    directory,
    cluster: join(directory, 'cluster'),
    replicas: 4,
  }
  const run = await registry.announce({ ...announced, keepsFiles: true })
  expect(await pbft(['init', '--dir', join(directory, 'cluster')])).toMatchObject({ code: 0 })
  run.release()
  const { code, stdout } = await pbft(['clean'])
  expect({ code, stdout }).toMatchObject({ code: 0, stdout: expect.stringContaining('kept its files') })
  expect(existsSync(clusterPaths(join(directory, 'cluster')).genesis)).toBe(true)
  expect(await readdir(registryDirectory())).toEqual([])
})

test('a check that was killed: what it had read is removed', { timeout: 2 * PATIENCE_MS }, async () => {
  const own = join(parent, 'checked')
  expect(await pbft(['init', '--dir', own])).toMatchObject({ code: 0 })
  // A server that never answers.
  const server = createServer().listen({ host: HOST, port: 0 })
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const running = new RunningCommand([
    'check',
    ...['--genesis', clusterPaths(own).genesis],
    ...['--database', `postgres://nobody@${HOST}:${port}/none`],
  ])
  const scratch = await until('it has a directory', async () =>
    (await readdir(parent)).find((name) => name.startsWith('pbft-check-')),
  )
  await running.stop('SIGKILL')
  server.close()
  const { code, stdout } = await pbft(['clean'])
  expect({ code, stdout }).toMatchObject({ code: 0, stdout: expect.stringContaining(scratch) })
  expect(existsSync(join(parent, scratch))).toBe(false)
  expect(await readdir(registryDirectory())).toEqual([])
})
