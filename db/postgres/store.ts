import type { Genesis } from '../../protocol/config.ts'
import type { AccountId } from '../../protocol/operations.ts'
import type { ReplicaId, Seq } from '../../protocol/types.ts'
import { checkRun } from '../check-run.ts'
import type { ChainRow, ClientRow } from '../rows.ts'
import { laneKey } from '../rows.ts'
import { applyRun, laneEntryOf, type RunOutcome } from '../state-machine/apply.ts'
import { isAccountName } from '../state-machine/operations.ts'
import { touchedBy } from '../state-machine/touched.ts'
import type { BatchAt, Executed, LaneEntry, Position, Store } from '../store.ts'
import { StoreError } from '../store.ts'
import { AccountCache } from './account-cache.ts'
import { isRowMismatch, storeError } from './errors.ts'
import { type KeptRows, loadRows } from './load.ts'
import { mismatchError } from './mismatch.ts'
import { CoalescedReads, type ReadAnswer } from './reads.ts'
import { type RowTypeOids, rowTypeOids } from './row-arrays.ts'
import { Session } from './session.ts'
import { COLUMNS, chainFrom, clientFrom, principalFrom } from './tables.ts'
import { takeOver } from './takeover.ts'
import { writeStatement } from './write.ts'

export type PostgresStoreOptions = {
  /** Password included; never printed. */
  readonly url: string
  readonly genesis: Genesis
  readonly replica: ReplicaId
}

/** Whatever the server's defaults are: nothing here waits, and nothing may be ended for idling. */
const PATIENT = {
  statement_timeout: '0',
  idle_session_timeout: '0',
  idle_in_transaction_session_timeout: '0',
  synchronous_commit: 'on',
}
/**
 * Statements are prepared once, and their arrays are short against the tables, which may never have been analysed:
 * the plan is by index, always.
 */
const BY_INDEX = {
  ...PATIENT,
  jit: 'off',
  plan_cache_mode: 'force_generic_plan',
  enable_seqscan: 'off',
  enable_hashjoin: 'off',
  enable_mergejoin: 'off',
}
/** [D4] The vote log redoes what a crash takes back, so only a durable run waits for the disk. */
const WRITING = { ...BY_INDEX, synchronous_commit: 'off' }

/** All that one connect() opened and learned; dropped as a whole when anything of it fails. */
type Connection = KeptRows & {
  /** Holds the advisory lock. */
  readonly keeper: Session
  readonly writer: Session
  readonly reader: Session
  readonly reads: CoalescedReads
  readonly epoch: string
  readonly oids: RowTypeOids
  readonly clients: Map<number, ClientRow>
  position: Position
}

/**
 * One replica's Postgres database [D3]. After any error but a caller's own mistake the connection is dropped, and
 * connect() may be called again.
 */
export class PostgresStore implements Store {
  readonly #options: PostgresStoreOptions
  #connection: Connection | null = null
  #executing = false

  constructor(options: PostgresStoreOptions) {
    this.#options = options
  }

  async connect(): Promise<Position & { readonly lanes: readonly LaneEntry[] }> {
    await this.close()
    const connection = await this.#open()
    this.#connection = connection
    return { ...connection.position, lanes: [...connection.clients.values()].map(laneEntryOf) }
  }

  async execute(
    run: readonly BatchAt[],
    { durable }: { readonly durable: boolean },
  ): Promise<readonly Executed[]> {
    const connection = this.#connected()
    if (this.#executing) throw new StoreError('broken', 'execute: the run before is not finished')
    const { parameters } = this.#options.genesis
    checkRun(run, connection.position, parameters.checkpointInterval)
    if (run.length === 0) return []
    this.#executing = true
    try {
      const source = await this.#attempt('loading rows', () =>
        loadRows(connection.writer, touchedBy(run), connection),
      )
      const outcome = applyRun({ source, position: connection.position, run, parameters })
      await this.#commit(connection, outcome, durable)
      return outcome.executed
    } finally {
      this.#executing = false
    }
  }

  async read(accounts: readonly AccountId[]): Promise<ReadAnswer> {
    const { reads } = this.#connected()
    // A name that no account can have would not even reach Postgres as text.
    const names = accounts.every(isAccountName) ? accounts : accounts.filter(isAccountName)
    const answer = await this.#attempt('reading balances', () => reads.read(names))
    if (names === accounts) return answer
    const found = new Map(answer.values.map((value) => [value.account, value]))
    const absent = { balance: null, version: 0 as Seq }
    return { ...answer, values: accounts.map((account) => found.get(account) ?? { account, ...absent }) }
  }

  async chainAt(seq: Seq): Promise<ChainRow | undefined> {
    const { reader } = this.#connected()
    const [row] = await this.#attempt('reading the chain', () =>
      reader.rows({
        name: 'chain-at',
        text: `select ${COLUMNS.chain} from chain where seq = $1::bigint`,
        values: [String(seq)],
      }),
    )
    return row && chainFrom(row)
  }

  async close(): Promise<void> {
    const connection = this.#connection
    this.#connection = null
    if (connection === null) return
    // The lock last: whoever gets it finds nobody at work.
    await Promise.all([connection.writer.close(), connection.reader.close()])
    await connection.keeper.close()
  }

  async #open(): Promise<Connection> {
    const { url, genesis, replica } = this.#options
    const applicationName = `pbft replica ${replica}, process ${process.pid}`
    const opened: Session[] = []
    const open = async (settings: Readonly<Record<string, string>>): Promise<Session> => {
      const session = await Session.open({ url, applicationName, settings })
      opened.push(session)
      return session
    }
    try {
      const keeper = await open(PATIENT)
      const { epoch, ...position } = await takeOver({ session: keeper, genesis, replica })
      const kept = await loadKept(keeper)
      const oids = await rowTypeOids(keeper)
      const writer = await open(WRITING)
      const reader = await open(BY_INDEX)
      return { keeper, writer, reader, reads: new CoalescedReads(reader), epoch, oids, position, ...kept }
    } catch (error) {
      await Promise.all(opened.map((session) => session.close()))
      throw storeError(error, 'taking the database over')
    }
  }

  async #commit(connection: Connection, outcome: RunOutcome, durable: boolean): Promise<void> {
    const { changes, position } = outcome
    const statement = writeStatement({
      changes,
      from: connection.position,
      to: position,
      epoch: connection.epoch,
      oids: connection.oids,
      durable,
    })
    const write = async () => {
      try {
        await connection.writer.rows(statement)
      } catch (error) {
        throw (isRowMismatch(error) && (await mismatchError(connection.reader, changes))) || error
      }
    }
    await this.#attempt('committing', write, true)
    connection.position = position
    for (const { after } of changes.accounts) connection.accounts.put(after)
    connection.accounts.trim()
    for (const { after } of changes.clients) connection.clients.set(laneKey(after.client, after.lane), after)
  }

  #connected(): Connection {
    const connection = this.#connection
    if (connection === null) throw new StoreError('unavailable', 'the database is not connected')
    const { keeper, writer, reader } = connection
    const lost = keeper.lost ?? writer.lost ?? reader.lost
    if (lost === undefined) return connection
    void this.close()
    throw storeError(lost, 'the database connection was lost')
  }

  async #attempt<T>(what: string, action: () => Promise<T>, committing = false): Promise<T> {
    try {
      return await action()
    } catch (error) {
      await this.close()
      throw storeError(error, what, committing)
    }
  }
}

async function loadKept(session: Session): Promise<Pick<Connection, keyof KeptRows>> {
  const principals = await session.rows({ text: `select ${COLUMNS.principals} from principals` })
  const clients = await session.rows({
    text: `select ${COLUMNS.client_table} from client_table order by client, lane`,
  })
  return {
    accounts: new AccountCache(),
    principals: new Map(principals.map(principalFrom).map((row) => [row.id, row])),
    clients: new Map(clients.map(clientFrom).map((row) => [laneKey(row.client, row.lane), row])),
  }
}
