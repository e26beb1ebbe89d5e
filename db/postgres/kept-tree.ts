import { setImmediate } from 'node:timers/promises'
import type { TableName, Tables } from '../columns.ts'
import type { Changes } from '../state-machine/run-state.ts'
import { markOf, placeOf, type RowChange, rowDigestOf } from '../state-tree/place.ts'
import { mismatchesOf } from '../state-tree/repair.ts'
import { encodeRow } from '../state-tree/row-codec.ts'
import { keyOf, type RowKey, type StateRow, type StateTable } from '../state-tree/state-row.ts'
import type { StateTree } from '../state-tree/state-tree.ts'
import { type RowMismatch, StoreError } from '../store.ts'
import { nameOf, stateRow } from './stored-rows.ts'

/** After so long other events have their turn. */
const TURN_MS = 2
/** Of less than half a millisecond each, of which a turn has as many as fit. */
const ROWS_PER_STEP = 16

/** Rows that were changed since the tree before, by nameOf; the last content of each. */
type ChangedRows = Map<string, StateRow>

/**
 * [CP2] The partition tree of the last state that was held, and the rows that runs changed since: each of them is hashed
 * once, when the next state is held, however often it was changed.
 */
export class KeptTree {
  /** The newest tree that is computed. */
  #tree: StateTree
  /** The tree of all that was asked for. */
  #next: Promise<StateTree>
  #changed: ChangedRows = new Map()
  /** On their way into #next, oldest first. */
  #folding: ChangedRows[] = []
  #stopped = false

  constructor(tree: StateTree) {
    this.#tree = tree
    this.#next = Promise.resolve(tree)
  }

  /** What a committed run changed. */
  note({ accounts, customers, principals, clients }: Changes): void {
    for (const { after } of accounts) this.#put('accounts', after)
    for (const row of customers) this.#put('customers', row)
    for (const { after } of principals) this.#put('principals', after)
    for (const { after } of clients) this.#put('client_table', after)
  }

  /**
   * The tree of the state now, computed in steps beside whatever comes next.
   * @throws StoreError 'unavailable' when it is stopped meanwhile
   */
  current(): Promise<StateTree> {
    const changed = this.#changed
    if (changed.size > 0) {
      this.#changed = new Map()
      this.#folding.push(changed)
      this.#next = this.#next.then((tree) => this.#fold(tree, changed))
      // Whoever waits for it learns of it.
      this.#next.catch(() => undefined)
    }
    return this.#next
  }

  stop(): void {
    this.#stopped = true
  }

  /**
   * [CP6] How a row, just read, is not as this process left it; undefined: not there. Of one that was not changed
   * since the tree was computed only the digest is known.
   */
  mismatches<T extends StateTable>(table: T, key: RowKey, found: Tables[T] | undefined): RowMismatch[] {
    const left = this.#find(nameOf(table, key))
    if (left !== undefined) return mismatchesOf<TableName>(table, { expected: left.row, found })
    const expected = this.#tree.rowDigestAt(placeOf(table, key))
    const digest = found && rowDigestOf(encodeRow(stateRow(table, found)))
    if (expected === digest) return []
    const hex = (bytes: string | undefined) =>
      bytes === undefined ? null : Buffer.from(bytes, 'latin1').toString('hex')
    const column = expected === undefined || digest === undefined ? null : 'digest'
    return [{ table, key: key.join('/'), column, expected: hex(expected), found: hex(digest) }]
  }

  #find(name: string): StateRow | undefined {
    const newest = this.#changed.get(name)
    if (newest !== undefined) return newest
    return this.#folding.findLast((changed) => changed.has(name))?.get(name)
  }

  #put<T extends StateTable>(table: T, row: Tables[T]): void {
    const state = stateRow(table, row)
    this.#changed.set(nameOf(table, keyOf(state)), state)
  }

  async #fold(tree: StateTree, changed: ChangedRows): Promise<StateTree> {
    const steps = tree.changing(marksOf(changed.values()), ROWS_PER_STEP)
    for (let turnMs = performance.now(); ; ) {
      const { done, value } = steps.next()
      if (done) {
        this.#tree = value
        this.#folding.shift()
        return value
      }
      if (performance.now() - turnMs < TURN_MS) continue
      await setImmediate()
      if (this.#stopped) throw new StoreError('unavailable', 'the database connection was given up')
      turnMs = performance.now()
    }
  }
}

/** Hashed as they are taken. */
function* marksOf(rows: Iterable<StateRow>): Generator<RowChange> {
  for (const row of rows) yield markOf(row)
}
