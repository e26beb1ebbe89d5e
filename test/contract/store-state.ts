import { describe, expect, test } from 'vitest'
import { MemoryStore } from '../../db/memory-store.ts'
import type { AccountRow } from '../../db/rows.ts'
import { chainDigestOfEntry } from '../../db/state-machine/ledger-entry.ts'
import { partitionDigest } from '../../db/state-tree/partition-node.ts'
import { childOf, ROOT } from '../../db/state-tree/place.ts'
import type { Connected, RowMismatch, Store, TransferTarget } from '../../db/store.ts'
import type { Genesis } from '../../protocol/config.ts'
import type { LedgerEntry, Partition, PartitionNode } from '../../protocol/messages.ts'
import { EXTERNAL_ACCOUNT, type Operation } from '../../protocol/operations.ts'
import type { Digest } from '../../protocol/types.ts'
import { principalId, seq, view } from '../../protocol/types.ts'
import { ALICE, BOB, genesisOf, REPLICA, type RequestSpec, runOf, TELLER } from '../unit/db/fixture.ts'

/** What somebody does to a database by hand. */
export type Edit =
  | { readonly kind: 'set-balance'; readonly account: string; readonly balance: bigint }
  | { readonly kind: 'delete-account'; readonly account: string }
  | { readonly kind: 'insert-account'; readonly row: AccountRow }
  | { readonly kind: 'set-amount'; readonly seq: number; readonly index: number; readonly amount: bigint }
  | { readonly kind: 'delete-transfer'; readonly seq: number; readonly index: number }
  | { readonly kind: 'set-replies-digest'; readonly seq: number; readonly digest: Digest }

/** One database, and processes in turn that use it. */
export type StateBench = {
  open(): Store
  /** Beside the process. */
  edit(edit: Edit): Promise<void>
}

const relaxed = { durable: false }
const GENESIS = genesisOf()
const MANY = genesisOf({
  accounts: [
    ...GENESIS.accounts,
    ...Array.from({ length: 600 }, (_, i) => ({ id: `n${i}`, owner: TELLER, balance: 10n })),
  ],
})

const transfer = (amount: bigint, from = 'a', to = 'b'): Operation => ({ kind: 'transfer', from, to, amount })
const pay = (number: number, amount = 1n): RequestSpec => {
  return { client: ALICE, number, operations: [transfer(amount)] }
}
const told = (number: number, ...operations: Operation[]): RequestSpec => {
  return { client: TELLER, number, operations }
}
/** One of each kind of row that execution writes. */
const VARIED: readonly (readonly RequestSpec[])[] = [
  [pay(1, 3n), told(1, { kind: 'deposit', account: 'c', amount: 9n })],
  [told(2, { kind: 'open', account: 'd', owner: principalId(BOB), customer: { name: 'Bo', address: null } })],
  [],
  [{ client: REPLICA, number: 77, operations: [{ kind: 'recover', view: view(2) }] }],
  [{ client: ALICE, lane: 1, number: 5, operations: [{ kind: 'lookup' }] }, pay(2, 4n)],
]

async function executeAll(
  store: Store,
  batches: readonly (readonly RequestSpec[])[],
  first = 1,
): Promise<void> {
  for (const at of runOf(batches, first)) await store.execute([at], relaxed)
}

async function checkpointOf(store: Store): Promise<TransferTarget> {
  const { lastExecuted, chain, stateRoot } = await store.takeCheckpoint()
  return { seq: lastExecuted, stateRoot: await stateRoot, chain }
}

type Fetched = { readonly nodes: number; readonly bytes: number; readonly entries: number }
const sizeOf = (node: PartitionNode): number =>
  node.kind === 'rows' ? node.rows.length : 33 * node.children.length

/** Fetches up to `nodesMax` nodes as a replica does, each checked against the root. */
async function fetchPartitions(args: {
  readonly from: Store
  readonly to: Store
  readonly target: TransferTarget
  readonly first: readonly Partition[]
  readonly nodesMax?: number
}): Promise<Fetched> {
  const { from, to, target } = args
  const expected = new Map<Partition, Digest>([[ROOT, target.stateRoot]])
  let wanted = [...args.first]
  let nodes = 0
  let bytes = 0
  while (wanted.length > 0 && nodes < (args.nodesMax ?? Number.POSITIVE_INFINITY)) {
    const read = await from.readPartitions(target.seq, { partitions: wanted, bytesMax: 2_000 })
    if (read === undefined) throw new Error('the source does not hold the state')
    wanted = wanted.slice(read.length)
    for (const { partition, node } of read) {
      expect(partitionDigest(node)).toBe(expected.get(partition))
      nodes++
      bytes += sizeOf(node)
      if (node.kind === 'inner') {
        node.children.forEach((digest, digit) => {
          if (digest !== null) expected.set(childOf(partition, digit), digest)
        })
      }
      wanted.push(...(await to.stagePartition(partition, node)))
    }
  }
  return { nodes, bytes, entries: 0 }
}

/** Fetches history as a replica does, each entry checked against the one above. */
async function fetchHistory({ from, to, target }: Ends): Promise<number> {
  let chain = target.chain
  let upTo: number = target.seq
  for (let entries = 0; ; ) {
    const read: readonly LedgerEntry[] = await from.readHistory({ upTo: seq(upTo), bytesMax: 300 })
    for (const entry of read) {
      expect([entry.seq, chainDigestOfEntry(entry)]).toEqual([upTo--, chain])
      chain = entry.previous
    }
    entries += read.length
    if (await to.stageHistory(read)) return entries
    if (upTo === 0) throw new Error('history down to genesis does not join')
  }
}

type Ends = { readonly from: Store; readonly to: Store; readonly target: TransferTarget }
type Installed = Connected & { readonly repaired: readonly RowMismatch[] }

async function transferAll(ends: Ends, rescan = false): Promise<Fetched & { readonly installed: Installed }> {
  const begun = await ends.to.beginTransfer(ends.target, { rescan })
  const fetched = await fetchPartitions({ ...ends, first: begun.partitions })
  const entries = begun.history ? await fetchHistory(ends) : 0
  return { ...fetched, entries, installed: await ends.to.installTransfer() }
}

/** A connected process of its own database, which executed `batches`. */
async function after(bench: StateBench, batches: readonly (readonly RequestSpec[])[]): Promise<Store> {
  const store = bench.open()
  await store.connect()
  await executeAll(store, batches)
  return store
}

/** Everything that a certified state fixes. */
async function everything(store: Store) {
  const { seq: lastExecuted, ...roots } = await checkpointOf(store)
  const history = await store.readHistory({ upTo: lastExecuted, bytesMax: 1_000_000 })
  return { lastExecuted, ...roots, history }
}

/** Checkpoints, state transfer and self-repair of a kind of store; `create` makes databases that did nothing yet. */
export function storeStateContract(name: string, create: (genesis: Genesis) => Promise<StateBench>): void {
  const opened = async (batches: readonly (readonly RequestSpec[])[], genesis = GENESIS) => {
    const bench = await create(genesis)
    return { bench, store: await after(bench, batches) }
  }

  describe(`${name} store: checkpoints`, () => {
    test('[CP2] stateRoot is that of the rows, however they came about', async () => {
      const reference = new MemoryStore({ genesis: GENESIS })
      reference.connectSync()
      reference.executeSync(runOf(VARIED), relaxed)
      const { stateRoot, chain } = reference.takeCheckpointSync()
      const { bench, store } = await opened([])
      expect((await checkpointOf(store)).stateRoot).not.toBe(stateRoot)
      await executeAll(store, VARIED)
      expect(await checkpointOf(store)).toEqual({ seq: 5, stateRoot, chain })
      await store.close()
      const again = bench.open()
      await again.connect()
      expect(await checkpointOf(again)).toEqual({ seq: 5, stateRoot, chain })
    })

    test('[CP3] a held state stays as it was while execution goes on, until it is let go of', async () => {
      const { store } = await opened([[pay(1)]])
      const { stateRoot, ...at } = await store.takeCheckpoint()
      await executeAll(store, [[pay(2, 20n)]], 2)
      const target = { seq: at.lastExecuted, chain: at.chain, stateRoot: await stateRoot }
      const { store: other } = await opened([])
      await transferAll({ from: store, to: other, target })
      expect((await other.read(['a'])).values).toEqual([{ account: 'a', balance: 99n, version: 1 }])
      await checkpointOf(store)
      store.keepCheckpoints([seq(2)])
      const want = { partitions: [ROOT], bytesMax: 1_000 }
      expect(await store.readPartitions(seq(1), want)).toBeUndefined()
      expect(await store.readPartitions(seq(2), want)).toHaveLength(1)
    })

    test('[CP4] what is read at once is bounded, and at least one', async () => {
      const { store } = await opened([[pay(1)], [pay(2)], [pay(3)]], MANY)
      await checkpointOf(store)
      const partitions = ['', '0', '1', '2', '3'] as Partition[]
      const read = (bytesMax: number) => store.readPartitions(seq(3), { partitions, bytesMax })
      expect((await read(1))?.map(({ partition }) => partition)).toEqual([''])
      expect((await read(300))?.map(({ partition }) => partition)).toEqual(['', '0'])
      expect(await read(10_000)).toHaveLength(5)
      const seqs = async (upTo: number, bytesMax: number) =>
        (await store.readHistory({ upTo: seq(upTo), bytesMax })).map((entry) => entry.seq)
      expect(await seqs(3, 1)).toEqual([3])
      expect(await seqs(2, 100_000)).toEqual([2, 1])
    })
  })

  describe(`${name} store: state transfer`, () => {
    test('[CP4] [NC6] [D5] brings rows, history, lanes and incarnations; both then execute alike', async () => {
      const { store: from, bench } = await opened(VARIED)
      const { store: to } = await opened([])
      const { installed } = await transferAll({ from, to, target: await checkpointOf(from) })
      expect(await everything(to)).toEqual(await everything(from))
      await from.close()
      const source = bench.open()
      const { repaired, ...connected } = installed
      expect(connected).toEqual(await source.connect())
      expect(connected.incarnations).toEqual([{ replica: REPLICA, incarnation: 77, view: 2, seq: 4 }])
      expect(connected.lanes.map(({ client, number }) => [client, number])).toEqual([
        [REPLICA, 77],
        [TELLER, 2],
        [ALICE, 2],
        [ALICE, 5],
      ])
      expect(repaired).toEqual([])
      const history: Operation = { kind: 'history', account: 'b', before: null, limit: 9 }
      const next = runOf([[pay(3), told(3, history)], [pay(2, 4n)]], 6)
      expect(await to.execute(next, relaxed)).toEqual(await source.execute(next, relaxed))
      expect(await everything(to)).toEqual(await everything(source))
    })

    test('[CP4] fetches only what differs', async () => {
      const { store: from } = await opened([[pay(1)]], MANY)
      const { store: to } = await opened([[pay(1)]], MANY)
      const { store: empty } = await opened([], genesisOf())
      const target = await checkpointOf(from)
      expect(await to.beginTransfer(target, { rescan: false })).toEqual({ partitions: [], history: false })
      await to.cancelTransfer()
      await executeAll(from, [[pay(2)]], 2)
      const later = await checkpointOf(from)
      const all = await transferAll({ from, to: empty, target: later })
      const some = await transferAll({ from, to, target: later })
      expect(some.entries).toBe(1)
      // Three rows: two accounts and a lane.
      expect(some.bytes).toBeLessThan(all.bytes / 10)
      expect(await everything(to)).toEqual(await everything(from))
      expect(await everything(empty)).toEqual(await everything(from))
    })

    test('[CP4] the target moves on: what was verified is kept', async () => {
      const { store: from } = await opened([[pay(1)], [pay(2)]], MANY)
      const { store: to } = await opened([], genesisOf())
      const { store: control } = await opened([], genesisOf())
      const early = await checkpointOf(from)
      const begun = await to.beginTransfer(early, { rescan: false })
      const before = await fetchPartitions({
        from,
        to,
        target: early,
        first: begun.partitions,
        nodesMax: 200,
      })
      await to.stageHistory(await from.readHistory({ upTo: early.seq, bytesMax: 100_000 }))
      await executeAll(from, [[pay(3, 5n)]], 3)
      const late = await checkpointOf(from)
      from.keepCheckpoints([late.seq])
      const moved = await to.beginTransfer(late, { rescan: false })
      const rest = await fetchPartitions({ from, to, target: late, first: moved.partitions })
      const wholly = await transferAll({ from, to: control, target: late })
      expect(before.nodes).toBeGreaterThan(199)
      expect(rest.nodes).toBeLessThan(wholly.nodes / 2)
      expect(moved.history).toBe(true)
      // One entry joins those that the older target brought.
      expect(await to.stageHistory(await from.readHistory({ upTo: late.seq, bytesMax: 1 }))).toBe(true)
      await to.installTransfer()
      expect(await everything(to)).toEqual(await everything(from))
    })

    test('[CP4] rows and history that only another chain has go', async () => {
      const strays = Array.from({ length: 100 }, (_, i): Operation => {
        return { kind: 'open', account: `stray${i}`, owner: principalId(BOB), customer: null }
      })
      const { store: from } = await opened([[pay(1)], [pay(2)], [pay(3)]], MANY)
      const { store: to } = await opened([[pay(1)], [told(1, ...strays)], [pay(9)], [pay(10)]], MANY)
      const { installed } = await transferAll({ from, to, target: await checkpointOf(from) })
      expect(installed.lastExecuted).toBe(3)
      expect(await everything(to)).toEqual(await everything(from))
      expect((await to.read(['stray7'])).values).toEqual([{ account: 'stray7', balance: null, version: 0 }])
      expect(await to.chainAt(seq(4))).toBeUndefined()
      const stray = { table: 'accounts', key: 'stray7', column: null }
      expect(installed.repaired).toContainEqual(expect.objectContaining(stray))
    })

    test('[CP4] history staged for a target of another chain is not built on', async () => {
      const { store: first } = await opened([[pay(1)], [pay(2)], [pay(3)]])
      const { store: second } = await opened([[pay(9)], [pay(10)], [pay(11)], [pay(12)]])
      const { store: to } = await opened([])
      await to.beginTransfer(await checkpointOf(first), { rescan: false })
      expect(await to.stageHistory(await first.readHistory({ upTo: seq(3), bytesMax: 100_000 }))).toBe(true)
      const target = await checkpointOf(second)
      const { partitions } = await to.beginTransfer(target, { rescan: false })
      expect(await to.stageHistory(await second.readHistory({ upTo: seq(4), bytesMax: 1 }))).toBe(false)
      await fetchPartitions({ from: second, to, target, first: partitions })
      await fetchHistory({ from: second, to, target })
      await to.installTransfer()
      expect(await everything(to)).toEqual(await everything(second))
    })

    test('[CP4] back to an earlier seq of the same chain, from where it executes again', async () => {
      const { store: from } = await opened([[pay(1)], [pay(2)]])
      const { store: to } = await opened([[pay(1)], [pay(2)], [pay(3)], [pay(4)]])
      const { installed, entries } = await transferAll({ from, to, target: await checkpointOf(from) })
      expect({ entries, repaired: installed.repaired }).toEqual({ entries: 0, repaired: [] })
      expect(await to.chainAt(seq(3))).toBeUndefined()
      expect(await everything(to)).toEqual(await everything(from))
      const next = runOf([[pay(7)]], 3)
      expect(await to.execute(next, relaxed)).toEqual(await from.execute(next, relaxed))
      expect(await everything(to)).toEqual(await everything(from))
    })

    test('[CP4] [D3] nothing is executed meanwhile, installed early, or left by one that is cancelled', async () => {
      const { store: from } = await opened([[pay(1)], [pay(2)]])
      const { store: to } = await opened([[pay(1)]])
      const before = await everything(to)
      const target = await checkpointOf(from)
      const begun = await to.beginTransfer(target, { rescan: false })
      await expect(to.execute(runOf([[pay(2)]], 2), relaxed)).rejects.toMatchObject({ code: 'broken' })
      await expect(to.installTransfer()).rejects.toMatchObject({ code: 'broken' })
      await fetchPartitions({ from, to, target, first: begun.partitions })
      await expect(to.installTransfer()).rejects.toMatchObject({ code: 'broken' })
      await to.cancelTransfer()
      expect(await everything(to)).toEqual(before)
      await to.execute(runOf([[pay(2)]], 2), relaxed)
      expect(await everything(to)).toEqual(await everything(from))
    })

    test('[CP4] to where the database stands already', async () => {
      const { store } = await opened([[pay(1)], [pay(2)]])
      const target = await checkpointOf(store)
      expect(await store.beginTransfer(target, { rescan: true })).toEqual({ partitions: [], history: false })
      expect(await store.installTransfer()).toMatchObject({
        lastExecuted: 2,
        chain: target.chain,
        repaired: [],
      })
      await store.execute(runOf([[pay(3)]], 3), relaxed)
    })
  })

  const inserted: AccountRow = {
    id: 'forged',
    owner: principalId(BOB),
    balance: 0n,
    opened: seq(0),
    version: seq(0),
    entries: 0,
    newest: null,
  }
  /** An edit, what the scrub says of it, and what the repair names. */
  const EDITS: readonly (readonly [string, Edit, Partial<RowMismatch>, Partial<RowMismatch>])[] = [
    [
      'a changed balance',
      { kind: 'set-balance', account: 'c', balance: 1_000n },
      { table: 'accounts', key: 'c', column: 'digest' },
      { table: 'accounts', key: 'c', column: 'balance', expected: '9', found: '1000' },
    ],
    [
      'a deleted row',
      { kind: 'delete-account', account: 'c' },
      { table: 'partition', column: null, found: null },
      { table: 'accounts', key: 'c', column: null, found: null },
    ],
    [
      'an inserted row',
      { kind: 'insert-account', row: inserted },
      { table: 'accounts', key: 'forged', column: null, expected: null },
      { table: 'accounts', key: 'forged', column: null, expected: null },
    ],
    [
      'an old transfer',
      { kind: 'set-amount', seq: 1, index: 0, amount: 2n },
      { table: 'transfers', key: '1', column: 'digest' },
      { table: 'transfers', key: '1/0', column: 'amount', expected: '3', found: '2' },
    ],
    [
      'a deleted transfer',
      { kind: 'delete-transfer', seq: 1, index: 1 },
      { table: 'transfers', key: '1', column: 'digest' },
      { table: 'transfers', key: '1/1', column: null, found: null },
    ],
    [
      'a changed chain row',
      { kind: 'set-replies-digest', seq: 2, digest: GENESIS.digest },
      { table: 'chain', key: '2', column: 'chain' },
      { table: 'chain', key: '2', column: 'repliesDigest', found: GENESIS.digest },
    ],
  ]

  describe(`${name} store: self-repair`, () => {
    test('[CP6] the scrub finds nothing where nobody changed anything', async () => {
      const { store } = await opened(VARIED)
      expect(await (await store.scrub({ share: 1 })).mismatches).toEqual([])
    })

    test.each(EDITS)('[CP6] %s is found, named and repaired', async (_, edit, noticed, named) => {
      const { store: from } = await opened(VARIED)
      const { bench, store } = await opened(VARIED)
      const before = await everything(from)
      await bench.edit(edit)
      const mismatches = new Set<string>()
      for (let i = 0; i < 4; i++) {
        const { mismatches: found } = await store.scrub({ share: 0.25 })
        for (const mismatch of await found) mismatches.add(JSON.stringify(mismatch))
      }
      expect([...mismatches].map((text) => JSON.parse(text))).toEqual([expect.objectContaining(noticed)])
      const { installed } = await transferAll({ from, to: store, target: await checkpointOf(from) }, true)
      expect(installed.repaired).toEqual([expect.objectContaining(named)])
      expect(await everything(store)).toEqual(before)
      expect(await (await store.scrub({ share: 1 })).mismatches).toEqual([])
      expect((await store.read(['forged', 'c'])).values).toEqual((await from.read(['forged', 'c'])).values)
    })

    test('[CP6] an old transfer is found within one round although the history grows all the time', async () => {
      const { bench, store } = await opened(VARIED)
      await (await store.scrub({ share: 0.25 })).mismatches
      await bench.edit({ kind: 'set-amount', seq: 1, index: 0, amount: 2n })
      const found: RowMismatch[] = []
      for (let look = 0; look < 4; look++) {
        const grown = Array.from({ length: 6 }, (_, i) => [pay(100 + 6 * look + i)])
        await executeAll(store, grown, 6 + 6 * look)
        found.push(...(await (await store.scrub({ share: 0.25 })).mismatches))
      }
      expect(found).toEqual([expect.objectContaining({ table: 'transfers', key: '1' })])
    })

    test.each(EDITS)('[CP6] %s is repaired although no scrub came by', async (_, edit, __, named) => {
      const { store: from } = await opened(VARIED)
      const { bench, store } = await opened(VARIED)
      await bench.edit(edit)
      await executeAll(from, [[pay(8)]], 6)
      const { installed } = await transferAll({ from, to: store, target: await checkpointOf(from) }, true)
      expect(installed.repaired).toEqual([expect.objectContaining(named)])
      expect(await everything(store)).toEqual(await everything(from))
    })

    test('[CP6] a run does not write over a row that was changed by hand', async () => {
      const { store: from } = await opened(VARIED)
      const { bench, store } = await opened(VARIED)
      await bench.edit({ kind: 'set-balance', account: 'a', balance: 500n })
      const next = runOf([[told(7, transfer(1n, 'b', 'c'))], [pay(8)]], 6)
      await expect(store.execute(next, relaxed)).rejects.toMatchObject({
        code: 'tampered',
        rows: [{ table: 'accounts', key: 'a', column: 'balance', expected: '93', found: '500' }],
      })
      await transferAll({ from, to: store, target: await checkpointOf(from) }, true)
      expect(await store.execute(next, relaxed)).toEqual(await from.execute(next, relaxed))
      expect(await everything(store)).toEqual(await everything(from))
    })

    test('[CP6] a restart reads the rows as they are: the root tells', async () => {
      const { bench, store } = await opened(VARIED)
      const { stateRoot } = await checkpointOf(store)
      await store.close()
      await bench.edit({ kind: 'set-balance', account: 'c', balance: 1_000n })
      const again = bench.open()
      await again.connect()
      expect((await checkpointOf(again)).stateRoot).not.toBe(stateRoot)
    })
  })

  test(`${name} store: [CP2] the sum over all accounts is kept by a transfer`, async () => {
    const { store: from } = await opened(VARIED)
    const { store: to } = await opened([[pay(1)]])
    await transferAll({ from, to, target: await checkpointOf(from) })
    const { values } = await to.read(['a', 'b', 'c', 'd', EXTERNAL_ACCOUNT])
    expect(values.reduce((sum, { balance }) => sum + (balance ?? 0n), 0n)).toBe(0n)
  })
}
