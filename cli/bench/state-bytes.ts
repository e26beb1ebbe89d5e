import { encodeRows } from '../../db/state-tree/partition-node.ts'
import { markOf, ROOT, type RowMark } from '../../db/state-tree/place.ts'
import type { StateRow } from '../../db/state-tree/state-row.ts'
import { differingChildren, StateTree } from '../../db/state-tree/state-tree.ts'
import type { Seq } from '../../protocol/types.ts'
import { principalId } from '../../protocol/types.ts'
import { accountAt } from './state-ledger.ts'
import { INNER_BYTES } from './state-transfer.ts'

export type FetchedBytes = {
  readonly fullBytes: number
  /** Parts of fullBytes that a replica fetches which lacks the changes of one row in a hundred. */
  readonly neighboursPart: number
  readonly randomPart: number
}

/** [CP4] What a transfer's nodes weigh, counted on trees alone. */
export function fetchedBytes(accounts: number): FetchedBytes {
  const row = (i: number, version: number): StateRow => ({
    table: 'accounts',
    row: {
      id: accountAt(i),
      owner: principalId(1000),
      balance: 1_000_000n,
      opened: 0 as Seq,
      version: version as Seq,
      entries: version,
      newest: null,
    },
  })
  const places = Array.from({ length: accounts }, (_, i) => ({ i, mark: markOf(row(i, 0)) }))
  places.sort((a, b) => (a.mark.place < b.mark.place ? -1 : 1))
  const before = StateTree.empty.replaced(
    ROOT,
    places.map(({ mark }) => mark),
  )
  const bytesOf = new Map<string, number>(
    places.map(({ i, mark }) => [mark.place, encodeRows([row(i, 0)]).length]),
  )
  const lacking = (chosen: readonly { readonly i: number; readonly mark: RowMark }[]): number => {
    const target = before.changed(chosen.map(({ i }) => markOf(row(i, 1))))
    return bytesFetched(before, target, bytesOf)
  }
  const count = Math.floor(accounts / 100)
  // By number of the account: its place has nothing to do with that.
  const random = places.filter(({ i }) => i % 100 === 0)
  const fullBytes = bytesFetched(StateTree.empty, before, bytesOf)
  const middle = Math.floor(accounts / 2)
  return {
    fullBytes,
    neighboursPart: lacking(places.slice(middle, middle + count)) / fullBytes,
    randomPart: lacking(random) / fullBytes,
  }
}

function bytesFetched(here: StateTree, target: StateTree, bytesOf: ReadonlyMap<string, number>): number {
  const wanted = [ROOT]
  let bytes = 0
  for (let partition = wanted.pop(); partition !== undefined; partition = wanted.pop()) {
    bytes += partition.length
    const view = target.viewOf(partition)
    if (view.kind === 'rows') {
      for (const { place } of view.marks) bytes += bytesOf.get(place) ?? 0
      continue
    }
    bytes += INNER_BYTES
    for (const child of differingChildren(here, partition, view.children)) {
      if (child.digest !== null) wanted.push(child.partition)
    }
  }
  return bytes
}
