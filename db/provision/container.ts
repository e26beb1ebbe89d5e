import type { StartedPostgreSqlContainer } from '@testcontainers/postgresql'
import { serverFlags } from './settings.ts'
import { ProvisionError, type RunningDatabase } from './types.ts'
import { databaseUrl, probe } from './url.ts'

const STOP_TIMEOUT_MS = 15_000
const DATABASE = 'postgres'
const PORT_LABEL = 'pbft-ledger.port'

export type ContainerOptions = {
  /** One with the official Postgres image's interface: POSTGRES_USER, POSTGRES_PASSWORD, POSTGRES_DB; psql inside. */
  readonly image: string
  /** On this machine. Together with the rest it names the container, so that a restart finds the same one. */
  readonly port: number
  readonly user: string
  readonly password: string
  /** Deletes the container, and the data in it, at `stop`; else the next start goes on with it. */
  readonly removeOnStop?: boolean
}

/**
 * A Postgres server in a container of its own, with its data inside. Like an embedded server it outlives a replica
 * that is killed: testcontainers' "reuse" finds it again, and its reaper, which would delete it together with the
 * process that started it, stays out (its image may not be pullable either).
 * @throws ProvisionError 'unsupported' without the package or an engine, 'failed' when the container doesn't start
 */
export async function startContainer(options: ContainerOptions): Promise<RunningDatabase> {
  const container = await start(options)
  const url = databaseUrl({
    host: container.getHost(),
    port: container.getPort(),
    user: options.user,
    password: options.password,
    database: DATABASE,
  })
  await probe(url)
  return {
    url,
    stop: async () => {
      await container.stop({ timeout: STOP_TIMEOUT_MS, remove: options.removeOnStop ?? false })
    },
  }
}

async function start(options: ContainerOptions): Promise<StartedPostgreSqlContainer> {
  const { PostgreSqlContainer } = await loadTestcontainers()
  try {
    return await new PostgreSqlContainer(options.image)
      .withDatabase(DATABASE)
      .withUsername(options.user)
      .withPassword(options.password)
      .withExposedPorts({ container: 5432, host: options.port })
      .withLabels({ [PORT_LABEL]: String(options.port) })
      .withHealthCheck(healthCheck(options.user))
      .withCommand(['postgres', ...serverFlags()])
      .withAutoRemove(false)
      .withReuse()
      .start()
  } catch (cause) {
    throw startError(options, cause)
  }
}

/**
 * Removes the container of these options with the data in it, whether it runs or not. The port alone would not do:
 * another cluster may have had it. The password is this one's alone.
 * @returns the container's name; undefined when there is none
 * @throws ProvisionError 'unsupported' without the package or an engine, 'failed'
 */
export async function removeContainer(options: ContainerOptions): Promise<string | undefined> {
  await loadTestcontainers()
  const { getContainerRuntimeClient } = await import('testcontainers')
  try {
    const { dockerode } = (await getContainerRuntimeClient()).container
    const labels = [`${PORT_LABEL}=${options.port}`]
    for (const { Id: id } of await dockerode.listContainers({ all: true, filters: { label: labels } })) {
      const container = dockerode.getContainer(id)
      const { Name: name, Config: config } = await container.inspect()
      if (!(config.Env ?? []).includes(`POSTGRES_PASSWORD=${options.password}`)) continue
      await container.remove({ force: true, v: true })
      return name.replace(/^\//, '')
    }
    return undefined
  } catch (cause) {
    throw startError(options, cause)
  }
}

/** Runs inside the container: a query over TCP, since the image's own set-up phase answers on its socket alone. */
const healthCheck = (user: string) => ({
  test: [
    'CMD',
    'sh',
    '-c',
    `PGPASSWORD="$POSTGRES_PASSWORD" psql --host=127.0.0.1 --username="$0" --dbname=${DATABASE} --command='select 1'`,
    user,
  ] satisfies ['CMD', ...string[]],
  interval: 250,
  timeout: 2_000,
  retries: 400,
})

/** Most installations have no use for it, so it isn't among the dependencies of the published package. */
async function loadTestcontainers(): Promise<typeof import('@testcontainers/postgresql')> {
  try {
    return await import('@testcontainers/postgresql')
  } catch (cause) {
    throw new ProvisionError(
      'unsupported',
      'databases in containers need the package @testcontainers/postgresql: npm install @testcontainers/postgresql ' +
        '(beside pbft-ledger, with the same -g if that was installed with -g), or use the embedded ones',
      { cause },
    )
  }
}

function startError(options: ContainerOptions, cause: unknown): ProvisionError {
  const reason = cause instanceof Error ? cause.message : String(cause)
  if (/container runtime/i.test(reason)) {
    return new ProvisionError(
      'unsupported',
      'no container engine answers: install and start one (docker.io on Debian), or let DOCKER_HOST say where it is, ' +
        'or use the embedded databases',
      { cause },
    )
  }
  if (/port is already allocated|address already in use/i.test(reason)) {
    return new ProvisionError(
      'port-in-use',
      `port ${options.port} is taken; stop what has it, or set another database.port in this replica's private.json`,
      { cause },
    )
  }
  return new ProvisionError(
    'failed',
    `the container of ${options.image} could not be started or removed: ${reason}`,
    { cause },
  )
}
