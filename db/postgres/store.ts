import type { Genesis } from '../../protocol/config.ts'
import type { LedgerEntry, Partition, PartitionNode } from '../../protocol/messages.ts'
import type { AccountId } from '../../protocol/operations.ts'
import type { Digest, ReplicaId, Seq } from '../../protocol/types.ts'
import { checkRun } from '../check-run.ts'
import type { ChainRow } from '../rows.ts'
import { laneKey } from '../rows.ts'
import { applyRun, type RunOutcome } from '../state-machine/apply.ts'
import { isAccountName } from '../state-machine/operations.ts'
import { touchedBy } from '../state-machine/touched.ts'
import type { BatchAt, Connected, Executed, Position, RowMismatch, Store, TransferTarget } from '../store.ts'
import { StoreError } from '../store.ts'
import { type Connection, closeConnection, connectedAs, openConnection } from './connection.ts'
import { isRowMismatch, storeError } from './errors.ts'
import type { HeldState, NodeAt } from './held-states.ts'
import { readHistory } from './history.ts'
import { loadRows } from './load.ts'
import { mismatchesWith, tampered } from './mismatch.ts'
import type { ReadAnswer } from './reads.ts'
import { Scrub } from './scrub.ts'
import type { Staging } from './staging.ts'
import { beginTransfer, installTransfer, readChainRow } from './transfer.ts'
import { writeStatement } from './write.ts'

export type PostgresStoreOptions = {
  /** Password included; never printed. */
  readonly url: string
  readonly genesis: Genesis
  readonly replica: ReplicaId
  /** Every held state is gone, with the connection that held it or with the store's own; not after close(). */
  readonly onCheckpointsLost?: () => void
}

/**
 * One replica's Postgres database [D3]. After any error but a caller's own mistake the connection is dropped, and
 * connect() may be called again.
 */
export class PostgresStore implements Store {
  readonly #options: PostgresStoreOptions
  #connection: Connection | null = null
  readonly #scrub = new Scrub()
  /** A run or an installation. */
  #executing = false

  constructor(options: PostgresStoreOptions) {
    this.#options = options
  }

  async connect(): Promise<Connected> {
    await this.close()
    const { onCheckpointsLost = () => undefined } = this.#options
    const connection = await openConnection({ ...this.#options, onCheckpointsLost })
    this.#connection = connection
    return connectedAs(connection)
  }

  async execute(
    run: readonly BatchAt[],
    { durable }: { readonly durable: boolean },
  ): Promise<readonly Executed[]> {
    const connection = this.#idle('execute')
    const { kept, tree, position } = connection
    const { parameters } = this.#options.genesis
    checkRun(run, position, parameters.checkpointInterval)
    if (run.length === 0) return []
    this.#executing = true
    try {
      const source = await this.#attempt('loading rows', () =>
        loadRows(connection.writer, touchedBy(run), { kept, tree }),
      )
      const outcome = applyRun({ source, position, run, parameters })
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
    return this.#attempt('reading the chain', () => readChainRow(reader, seq))
  }

  async takeCheckpoint(): Promise<Position & { readonly stateRoot: Promise<Digest> }> {
    const connection = this.#idle('takeCheckpoint')
    const { position, held } = connection
    const tree = connection.tree.current()
    await this.#attempt('holding the state', () => held.hold({ position, tree }))
    void held.prepare().catch(() => undefined)
    const stateRoot = tree.then(({ root }) => root)
    // Whoever waits for it learns of it.
    stateRoot.catch(() => undefined)
    return { ...position, stateRoot }
  }

  keepCheckpoints(seqs: readonly Seq[]): void {
    this.#connection?.held.keep(seqs)
  }

  async readPartitions(
    seq: Seq,
    want: { readonly partitions: readonly Partition[]; readonly bytesMax: number },
  ): Promise<readonly NodeAt[] | undefined> {
    const { held } = this.#connected()
    try {
      return await held.get(seq)?.readPartitions(want)
    } catch (error) {
      // It was lost or let go of meanwhile, which is no fault of the store's own connections.
      if (held.get(seq) === undefined) return undefined
      return this.#attempt('reading partitions', () => Promise.reject(error))
    }
  }

  async readHistory(want: {
    readonly upTo: Seq
    readonly bytesMax: number
  }): Promise<readonly LedgerEntry[]> {
    const { reader } = this.#connected()
    return this.#attempt('reading history', () => readHistory(reader, want, this.#options.genesis.digest))
  }

  async beginTransfer(
    target: TransferTarget,
    { rescan }: { readonly rescan: boolean },
  ): Promise<{ readonly partitions: readonly Partition[]; readonly history: boolean }> {
    const connection = this.#idle('beginTransfer')
    const { digest: genesis } = this.#options.genesis
    return this.#attempt('beginning a transfer', () => beginTransfer(connection, { target, rescan, genesis }))
  }

  async stagePartition(partition: Partition, node: PartitionNode): Promise<readonly Partition[]> {
    const staging = this.#transfer()
    return this.#attempt('staging a partition', () => staging.stage(partition, node))
  }

  async stageHistory(entries: readonly LedgerEntry[]): Promise<boolean> {
    const staging = this.#transfer()
    return this.#attempt('staging history', () => staging.stageHistory(entries))
  }

  async installTransfer(): Promise<Connected & { readonly repaired: readonly RowMismatch[] }> {
    const connection = this.#idle('installTransfer')
    const transfer = this.#transfer()
    this.#executing = true
    try {
      const install = () => installTransfer(connection, transfer)
      const repaired = await this.#attempt('installing a state', install, true)
      if (repaired === undefined) throw new StoreError('broken', 'install: the state is not complete')
      return { ...connectedAs(connection), repaired }
    } finally {
      this.#executing = false
    }
  }

  async cancelTransfer(): Promise<void> {
    const connection = this.#idle('cancelTransfer')
    const staging = this.#transfer()
    connection.transfer = null
    await this.#attempt('cancelling a transfer', () => staging.discard())
  }

  async scrub({ share }: { readonly share: number }): Promise<{
    readonly mismatches: Promise<readonly RowMismatch[]>
  }> {
    const connection = this.#idle('scrub')
    const { position, held } = connection
    const tree = connection.tree.current()
    const state = await this.#attempt('scrubbing', () => held.begin({ position, tree }))
    const mismatches = this.#scrubbed(connection, state, share)
    // Whoever waits for it learns of it.
    mismatches.catch(() => undefined)
    return { mismatches }
  }

  async close(): Promise<void> {
    const connection = this.#connection
    this.#connection = null
    if (connection !== null) await closeConnection(connection)
  }

  async #scrubbed(connection: Connection, state: HeldState, share: number): Promise<readonly RowMismatch[]> {
    try {
      const rows = await this.#scrub.rows(state, share)
      const history = await this.#scrub.history(state, this.#options.genesis.digest, share)
      if (history.mismatches.length > 0) {
        connection.damagedFrom = Math.min(history.soundBelow, connection.damagedFrom ?? history.soundBelow)
      }
      return [...rows, ...history.mismatches]
    } catch (error) {
      throw storeError(error, 'scrubbing')
    } finally {
      connection.held.end(state)
    }
  }

  async #commit(connection: Connection, outcome: RunOutcome, durable: boolean): Promise<void> {
    const { changes, position } = outcome
    const { position: from, oids, kept } = connection
    const statement = writeStatement({ changes, from, to: position, epoch: connection.epoch, oids, durable })
    const write = async () => {
      try {
        await connection.writer.rows(statement)
      } catch (error) {
        if (!isRowMismatch(error)) throw error
        const rows = await mismatchesWith({ session: connection.reader, changes, from, oids })
        throw rows.length > 0 ? tampered(rows) : error
      }
    }
    await this.#attempt('committing', write, true)
    connection.position = position
    connection.tree.note(changes)
    for (const { after } of changes.accounts) kept.accounts.put(after)
    kept.accounts.trim()
    for (const { after } of changes.clients) kept.clients.set(laneKey(after.client, after.lane), after)
    for (const { after } of changes.principals) kept.principals.set(after.id, after)
  }

  /** The connection, when nothing is under way that `what` must not meet. */
  #idle(what: string): Connection {
    const connection = this.#connected()
    if (this.#executing) throw new StoreError('broken', `${what}: the run before is not finished`)
    if (what === 'execute' && connection.transfer !== null) {
      throw new StoreError('broken', 'execute: a transfer is under way')
    }
    return connection
  }

  #transfer(): Staging {
    const { transfer } = this.#connected()
    if (transfer === null) throw new StoreError('broken', 'no transfer is under way')
    return transfer
  }

  #connected(): Connection {
    const connection = this.#connection
    if (connection === null) throw new StoreError('unavailable', 'the database is not connected')
    const { keeper, writer, reader } = connection
    const lost = keeper.lost ?? writer.lost ?? reader.lost
    if (lost === undefined) return connection
    void this.#giveUp()
    throw storeError(lost, 'the database connection was lost')
  }

  /** [CP6] A row that was tampered with is no fault of the connection's, and nothing was changed. */
  async #attempt<T>(what: string, action: () => Promise<T>, committing = false): Promise<T> {
    try {
      return await action()
    } catch (error) {
      const failure = storeError(error, what, committing)
      if (failure.code !== 'tampered') await this.#giveUp()
      throw failure
    }
  }

  async #giveUp(): Promise<void> {
    const isHolding = this.#connection?.held.isHolding ?? false
    const closed = this.close()
    if (isHolding) this.#options.onCheckpointsLost?.()
    await closed
  }
}
