import type { Partition, PartitionNode } from '../../protocol/messages.ts'
import type { Seq } from '../../protocol/types.ts'
import { encodeRows } from '../state-tree/partition-node.ts'
import { placeOfRow, rangeOf } from '../state-tree/place.ts'
import { STATE_TABLES, type StateRow } from '../state-tree/state-row.ts'
import type { StateTree } from '../state-tree/state-tree.ts'
import { type Position, StoreError } from '../store.ts'
import { int8Array } from './arrays.ts'
import { column, type Session } from './session.ts'
import { stateRow } from './stored-rows.ts'
import { COLUMNS, digestAt, READERS } from './tables.ts'

/** Sessions kept for the next states: opening one would stop execution for longer than beginning a transaction. */
const IDLE_SESSIONS_MAX = 2

const BEGIN = 'begin isolation level repeatable read read only'
/** What a row and an inner node take about, before they are read. */
const ROW_BYTES = 100
const INNER_BYTES = 140

export type NodeAt = { readonly partition: Partition; readonly node: PartitionNode }

/** [CP3] A state of the database: one transaction's snapshot, and the tree over the rows that it sees. */
export class HeldState {
  readonly position: Position
  readonly tree: Promise<StateTree>
  readonly session: Session

  private constructor(args: {
    readonly session: Session
    readonly position: Position
    readonly tree: Promise<StateTree>
  }) {
    this.session = args.session
    this.position = args.position
    this.tree = args.tree
  }

  /**
   * Exists from the first query's answer on.
   * @throws StoreError 'reconcile' when the database is elsewhere
   */
  static async begin(
    session: Session,
    { position, tree }: { readonly position: Position; readonly tree: Promise<StateTree> },
  ): Promise<HeldState> {
    const [, [row]] = await Promise.all([
      session.rows({ text: BEGIN }),
      session.rows({ text: 'select last_executed, chain from meta' }),
    ])
    if (
      row === undefined ||
      Number(column(row, 0)) !== position.lastExecuted ||
      digestAt(row, 1) !== position.chain
    ) {
      throw new StoreError('reconcile', 'the database is not where this process left it')
    }
    return new HeldState({ session, position, tree })
  }

  /** [CP4] In the order asked, up to `bytesMax`, at least one; rows from the snapshot, digests from the tree. */
  async readPartitions(want: {
    readonly partitions: readonly Partition[]
    readonly bytesMax: number
  }): Promise<readonly NodeAt[]> {
    const tree = await this.tree
    const views: { readonly partition: Partition; readonly view: ReturnType<StateTree['viewOf']> }[] = []
    let bytes = 0
    for (const partition of want.partitions) {
      const view = tree.viewOf(partition)
      bytes += view.kind === 'rows' ? view.marks.length * ROW_BYTES : INNER_BYTES
      if (views.length > 0 && bytes > want.bytesMax) break
      views.push({ partition, view })
    }
    const leaves = views.filter(({ view }) => view.kind === 'rows' && view.marks.length > 0)
    const rows = await this.#rowsOf(leaves.map(({ partition }) => partition))
    const nodes = views.map(({ partition, view }): NodeAt => {
      if (view.kind === 'inner') return { partition, node: view }
      return { partition, node: { kind: 'rows', rows: encodeRows(rows.get(partition) ?? []) } }
    })
    return within(nodes, want.bytesMax)
  }

  /** In the order of their places. Partitions that lie side by side are one range of the index. */
  async #rowsOf(partitions: readonly Partition[]): Promise<ReadonlyMap<Partition, readonly StateRow[]>> {
    if (partitions.length === 0) return new Map()
    const parts = partitions
      .map((partition) => ({ partition, ...rangeOf(partition), rows: [] as PathRow[] }))
      .sort((a, b) => (a.from < b.from ? -1 : 1))
    const ranges: { from: bigint; to: bigint }[] = []
    for (const { from, to } of parts) {
      const last = ranges.at(-1)
      if (last === undefined || from > last.to + 1n) ranges.push({ from, to })
      else if (to > last.to) last.to = to
    }
    const values = [int8Array(ranges.map(({ from }) => from)), int8Array(ranges.map(({ to }) => to))]
    const reads = STATE_TABLES.map(async (table) => {
      const rows = await this.session.rows({
        name: `partitions-${table}`,
        text: `select ${COLUMNS[table]}, path from unnest($1::bigint[], $2::bigint[]) as u (low, high)
          join ${table} t on t.path between u.low and u.high`,
        values,
      })
      return rows.map((row): PathRow => {
        return { state: stateRow(table, READERS[table](row)), path: BigInt(row.at(-1) ?? 0) }
      })
    })
    const rows = (await Promise.all(reads)).flat().sort(byPlace)
    let at = 0
    for (const part of parts) {
      for (let row = rows[at]; row !== undefined && row.path <= part.to; row = rows[++at]) part.rows.push(row)
    }
    return new Map(parts.map((part) => [part.partition, part.rows.map(({ state }) => state)]))
  }
}

type PathRow = { readonly state: StateRow; readonly path: bigint }

/** By path, and where clients searched for keys of one path, by what tells these apart. */
function byPlace(a: PathRow, b: PathRow): number {
  if (a.path !== b.path) return a.path < b.path ? -1 : 1
  return placeOfRow(a.state) < placeOfRow(b.state) ? -1 : 1
}

function within(nodes: readonly NodeAt[], bytesMax: number): readonly NodeAt[] {
  let bytes = 0
  const end = nodes.findIndex(({ node }, i) => {
    bytes += node.kind === 'rows' ? node.rows.length : INNER_BYTES
    return i > 0 && bytes > bytesMax
  })
  return end === -1 ? nodes : nodes.slice(0, end)
}

/**
 * [CP3] The states that are held, each by a transaction of its own. When a connection that holds one is lost, all are
 * given up: whoever needs one takes it anew.
 */
export class HeldStates {
  readonly #open: () => Promise<Session>
  readonly #onLost: () => void
  readonly #held = new Map<Seq, HeldState>()
  readonly #idle: Session[] = []
  #closed = false

  constructor(args: { readonly open: () => Promise<Session>; readonly onLost: () => void }) {
    this.#open = args.open
    this.#onLost = args.onLost
  }

  get(seq: Seq): HeldState | undefined {
    return this.#held.get(seq)
  }

  get isHolding(): boolean {
    return this.#held.size > 0
  }

  /** Opens what the next state will need, if it is not there. */
  async prepare(): Promise<void> {
    if (this.#idle.length > 0) return
    const session = await this.#open()
    if (this.#closed) await session.close()
    else this.#idle.push(session)
  }

  /** Of a seq that is held already, that one. */
  async hold(at: { readonly position: Position; readonly tree: Promise<StateTree> }): Promise<HeldState> {
    const before = this.#held.get(at.position.lastExecuted)
    if (before !== undefined && before.position.chain === at.position.chain) return before
    const state = await this.begin(at)
    state.session.onLost(() => this.#lost())
    this.#held.set(at.position.lastExecuted, state)
    if (before !== undefined) this.end(before)
    return state
  }

  /** A state that is not kept; to be ended by whoever began it. */
  async begin(at: { readonly position: Position; readonly tree: Promise<StateTree> }): Promise<HeldState> {
    const session = await this.#session()
    try {
      return await HeldState.begin(session, at)
    } catch (error) {
      void session.close()
      throw error
    }
  }

  end({ session }: HeldState): void {
    session.onLost(() => undefined)
    void this.#recycle(session)
  }

  /** Runs `body` in one snapshot of the state now. */
  async withSnapshot<T>(body: (session: Session) => Promise<T>): Promise<T> {
    const session = await this.#session()
    try {
      await session.rows({ text: BEGIN })
      return await body(session)
    } finally {
      void this.#recycle(session)
    }
  }

  keep(seqs: readonly Seq[]): void {
    for (const [seq, state] of this.#held) {
      if (seqs.includes(seq)) continue
      this.#held.delete(seq)
      this.end(state)
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    const sessions = [...this.#idle, ...[...this.#held.values()].map(({ session }) => session)]
    this.#idle.length = 0
    this.#held.clear()
    for (const session of sessions) session.onLost(() => undefined)
    await Promise.all(sessions.map((session) => session.close()))
  }

  async #session(): Promise<Session> {
    for (let session = this.#idle.pop(); session !== undefined; session = this.#idle.pop()) {
      if (session.lost === undefined) return session
    }
    return this.#open()
  }

  /** Ends its transaction, so that vacuum may go on, and keeps it for the next state. */
  async #recycle(session: Session): Promise<void> {
    try {
      await session.rows({ text: 'rollback' })
      if (!this.#closed && this.#idle.length < IDLE_SESSIONS_MAX) {
        this.#idle.push(session)
        return
      }
    } catch {
      // Lost: what it held is let go of anyway.
    }
    await session.close()
  }

  #lost(): void {
    if (this.#closed || this.#held.size === 0) return
    this.keep([])
    this.#onLost()
  }
}
