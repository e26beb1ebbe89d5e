import pg from 'pg'
import { ProvisionError, type RunningDatabase } from './types.ts'

const CONNECT_TIMEOUT_MS = 5_000
/** SQLSTATE classes 28 and 3D: invalid authorisation, no such database. */
const REFUSED = /^(28|3D)/

const isDatabaseUrl = (url: string): boolean => URL.canParse(url) && /^postgres(ql)?:\/\//.test(url)

/** The URL with every password in it replaced by `***`, fit for logs and tables. */
export function redactUrl(url: string): string {
  if (!isDatabaseUrl(url)) return '(not a database URL)'
  const parsed = new URL(url)
  if (parsed.password !== '') parsed.password = '***'
  for (const name of ['password', 'sslpassword']) {
    if (parsed.searchParams.has(name)) parsed.searchParams.set(name, '***')
  }
  return parsed.toString()
}

/** Every part is escaped, so that a password may hold any character. */
export function databaseUrl(parts: {
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: string
  readonly database: string
}): string {
  const url = new URL(`postgresql://${parts.host}:${parts.port}`)
  url.username = encodeURIComponent(parts.user)
  url.password = encodeURIComponent(parts.password)
  url.pathname = `/${encodeURIComponent(parts.database)}`
  return url.toString()
}

/**
 * Connects once and asks what must hold of every server, whoever provides it.
 * @throws ProvisionError 'unreachable', 'refused' or 'fsync-off'
 */
export async function probe(url: string): Promise<void> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: CONNECT_TIMEOUT_MS })
  // Without a listener, a connection that breaks between two calls would end the process.
  client.on('error', () => undefined)
  try {
    await client.connect()
    const { rows } = await client.query<{ fsync: string }>(`select current_setting('fsync') as fsync`)
    if (rows[0]?.fsync !== 'on') {
      throw new ProvisionError(
        'fsync-off',
        `the database ${redactUrl(url)} runs with fsync off; a replica must not forget what it answered: set fsync = on`,
      )
    }
  } catch (cause) {
    throw cause instanceof ProvisionError ? cause : connectError(url, cause)
  } finally {
    await client.end().catch(() => undefined)
  }
}

function connectError(url: string, cause: unknown): ProvisionError {
  const where = redactUrl(url)
  const sqlState = cause instanceof pg.DatabaseError ? (cause.code ?? '') : ''
  const reason = reasonOf(cause)
  return REFUSED.test(sqlState)
    ? new ProvisionError(
        'refused',
        `the database ${where} refuses: ${reason}. Check user, password and database name`,
        {
          cause,
        },
      )
    : new ProvisionError(
        'unreachable',
        `cannot reach the database ${where}: ${reason}. Check host and port, and that it runs`,
        { cause },
      )
}

/** A refused connection to a name with several addresses is an AggregateError, whose own message is empty. */
function reasonOf(cause: unknown): string {
  if (cause instanceof AggregateError) return cause.errors.map(reasonOf).join('; ')
  return cause instanceof Error ? cause.message : String(cause)
}

/**
 * A database that exists already. `stop` leaves it running, since it isn't ours.
 * @throws ProvisionError 'unreachable', 'refused' or 'fsync-off'
 */
export async function openUrl({ url }: { readonly url: string }): Promise<RunningDatabase> {
  if (!isDatabaseUrl(url)) {
    throw new ProvisionError(
      'unreachable',
      'a database URL looks like postgresql://user:password@host:5432/database; this one does not',
    )
  }
  await probe(url)
  return { url, stop: async () => undefined }
}
