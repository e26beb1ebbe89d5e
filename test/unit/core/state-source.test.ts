import { beforeEach, expect, test } from 'vitest'
import type { FetchPartitions, Partition } from '../../../protocol/messages.ts'
import type { LogPosition } from '../../../protocol/types.ts'
import { at, chainAt, checkpointOf, id, K, Party, stateAt } from './state-fixture.ts'

const ROOT = '' as Partition
const fetchRoot = (seq: number): FetchPartitions => ({
  type: 'fetch-partitions',
  seq: at(seq),
  partitions: [ROOT],
})

let source: Party

/** Stable at 2K. */
beforeEach(() => {
  source = new Party(0, { seq: 2 * K - 1 })
  source.execute(2 * K)
  for (const from of [1, 2]) source.deliver(from, checkpointOf(from, stateAt(2 * K)))
  source.sent.length = 0
})

/** Checkpoints that all others sign, too. */
function moveTo(seq: number): void {
  for (let next = source.executed + K - (source.executed % K); next <= seq; next += K) {
    source.execute(next)
    for (const from of [1, 2, 3]) source.deliver(from, checkpointOf(from, stateAt(next)))
  }
}

const answers = () => source.sent.map(({ to, message }) => [to, message.type])

test('[CP4] a held state is read for whoever is a replica, and for nobody else', () => {
  source.deliver(3, fetchRoot(2 * K))
  expect(source.sent).toMatchObject([{ to: 3, message: { type: 'partitions', seq: 2 * K, isHeld: true } }])
  source.sent.length = 0
  for (const stranger of [0, 4, 1_000]) {
    source.deliver(stranger, fetchRoot(2 * K))
    source.deliver(stranger, { type: 'fetch-checkpoint', above: at(0) })
    source.deliver(stranger, { type: 'fetch-history', upTo: at(K) })
  }
  expect(source.sent).toEqual([])
  expect(source.observed('rejected')).toHaveLength(9)
})

test('[CP4] what is not held is said not to be held', () => {
  source.deliver(3, fetchRoot(K))
  expect(source.sent).toMatchObject([
    { to: 3, message: { type: 'partitions', seq: K, isHeld: false, nodes: [] } },
  ])
})

test('[CP4] history beyond what is executed is refused', () => {
  source.deliver(3, { type: 'fetch-history', upTo: at(2 * K + 1) })
  source.deliver(3, { type: 'fetch-history', upTo: at(0) })
  expect(source.sent).toEqual([])
  source.deliver(3, { type: 'fetch-history', upTo: at(2 * K) })
  expect(source.sent).toMatchObject([{ message: { type: 'history', upTo: 2 * K } }])
})

test('[CP3] the newest stable state and newer ones are kept, older ones let go', () => {
  moveTo(4 * K)
  expect([...source.held.keys()]).toEqual([4 * K])
  source.execute(5 * K)
  expect([...source.held.keys()]).toEqual([4 * K, 5 * K])
})

test('[CP3] nor is one let go of whose root is still being computed when an older one becomes stable', () => {
  source.execute(3 * K)
  // 4K is executed, and held; that its root is known comes later.
  source.held.set(at(4 * K), source.tree)
  source.execution.reset({ lastExecuted: at(4 * K), chain: chainAt(4 * K) })
  source.checkpoints.onExecuted(at(4 * K))
  for (const from of [1, 2]) source.deliver(from, checkpointOf(from, stateAt(3 * K)))
  expect([...source.held.keys()]).toEqual([3 * K, 4 * K])
})

test('[CP3] a lease pins the state, and the vote log above it, until it ends', () => {
  source.deliver(3, fetchRoot(2 * K))
  moveTo(10 * K)
  expect([...source.held.keys()]).toEqual([2 * K, 10 * K])
  expect(source.source.servedFrom).toBe(2 * K)
  for (let tick = 0; tick < 49; tick++) source.tick()
  expect(source.held.has(at(2 * K))).toBe(true)
  source.tick()
  expect([...source.held.keys()]).toEqual([10 * K])
  // One window below the stable one stays, for who is a little late.
  expect(source.source.servedFrom).toBe(8 * K)
})

test('[CP3] fetching renews the lease', () => {
  source.deliver(3, fetchRoot(2 * K))
  moveTo(4 * K)
  for (let tick = 0; tick < 120; tick++) {
    source.tick()
    if (tick % 40 === 0) source.deliver(3, { type: 'fetch-history', upTo: at(K) })
  }
  expect(source.held.has(at(2 * K))).toBe(true)
})

test('[CP3] each peer pins one state: what fetchers can make this replica hold is bounded', () => {
  for (let seq = 3 * K; seq <= 20 * K; seq += K) {
    moveTo(seq)
    for (const peer of [1, 2, 3]) source.deliver(peer, fetchRoot(seq - (peer % 2) * K))
  }
  expect(source.held.size).toBeLessThanOrEqual(3 + 1)
})

test('[CP1] the vote log is given up only below the stable checkpoint and a window less', () => {
  moveTo(6 * K)
  expect(source.of('collect-garbage').map(({ upTo }) => upTo)).toEqual([K, 2 * K, 3 * K, 4 * K])
})

test('[D1] and only when the record of the stable one is durable: a restart must find it', () => {
  const { checkpoints } = source
  source.execute(4 * K)
  source.effects.length = 0
  checkpoints.admit([1, 2, 3].map((from) => checkpointOf(from, stateAt(4 * K))))
  source.source.advance()
  const effects = source.outbox.drain()
  const stable = effects.find((e) => e.type === 'persist' && e.record.kind === 'stable')
  expect(effects.filter(({ type }) => type === 'collect-garbage')).toEqual([])
  source.outbox.durable = (stable as { position: number }).position as LogPosition
  checkpoints.onPersisted()
  source.source.advance()
  expect(source.outbox.drain()).toEqual([{ type: 'collect-garbage', upTo: 2 * K }])
})

test('[CP4] a state at a multiple of K is offered before one is taken, which is seldom', () => {
  source.deliver(3, { type: 'fetch-checkpoint', above: at(0) })
  expect(source.sent).toMatchObject([{ to: 3, message: { type: 'state-offer', checkpoint: { seq: 2 * K } } }])
  source.execute(2 * K + 3)
  for (let tick = 0; tick < 30; tick++) {
    source.tick()
    for (const peer of [1, 2, 3]) source.deliver(peer, { type: 'fetch-checkpoint', above: at(2 * K) })
  }
  expect(source.of('take-checkpoint')).toHaveLength(1)
})

test('[CP4] snapshots on demand keep their distance in time, whoever asks', () => {
  for (let tick = 0; tick < 25; tick++) {
    source.tick()
    source.executed = 2 * K + 1 + (tick % (K - 1))
    source.execution.reset({ lastExecuted: at(source.executed), chain: chainAt(source.executed) })
    for (const peer of [1, 2, 3]) {
      source.deliver(peer, { type: 'fetch-checkpoint', above: at(source.executed - 1) })
    }
  }
  expect(source.of('take-checkpoint').length).toBeLessThanOrEqual(3)
})

test('[D1] an offer waits until its CHECKPOINT is durable', () => {
  source.execute(2 * K + 3)
  source.source.onFetchCheckpoint(id(3), { type: 'fetch-checkpoint', above: at(2 * K) })
  source.outbox.drain()
  const state = stateAt(2 * K + 3)
  source.checkpoints.onTaken(state, { mayVote: true })
  source.source.onTaken(state)
  const effects = source.outbox.drain()
  const persisted = effects.find(({ type }) => type === 'persist')
  const offer = effects.find(({ type }) => type === 'send')
  expect(offer).toMatchObject({
    to: [3],
    message: { type: 'state-offer' },
    after: (persisted as { position: number }).position,
  })
})

test('[D5] an amnesiac takes none: it could not sign it', () => {
  source.facts.isVoting = false
  source.execute(2 * K + 3)
  source.deliver(3, { type: 'fetch-checkpoint', above: at(2 * K) })
  for (let tick = 0; tick < 20; tick++) source.tick()
  expect(source.of('take-checkpoint')).toEqual([])
  expect(answers()).toEqual([])
})

test('[CP4] one read at a time is under way for a peer, few wait, and bytes are bounded', () => {
  const fetch = fetchRoot(2 * K)
  for (let count = 0; count < 20; count++) source.source.onFetchPartitions(id(3), fetch)
  source.source.onFetchPartitions(id(2), fetch)
  const effects = source.outbox.drain()
  expect(effects.filter(({ type }) => type === 'read-partitions')).toHaveLength(2)
  expect(effects.filter((e) => e.type === 'observe' && e.what.kind === 'rejected')).toHaveLength(11)
  const big = { kind: 'rows' as const, rows: new Uint8Array(2_500_000) }
  source.source.onPartitionsRead({ reader: id(3), seq: at(2 * K), nodes: [{ partition: ROOT, node: big }] })
  expect(source.outbox.drain().map(({ type }) => type)).toEqual(['send'])
  // The next period has a budget of its own.
  source.outbox.nowMs += 100
  source.source.onTick()
  expect(source.outbox.drain().map(({ type }) => type)).toEqual(['read-partitions'])
})

test('[CP4] with the connection the states are gone; fetchers are told', () => {
  source.deliver(3, fetchRoot(2 * K))
  source.source.onLost()
  source.sent.length = 0
  source.deliver(3, fetchRoot(2 * K))
  expect(source.sent).toMatchObject([{ message: { type: 'partitions', isHeld: false } }])
})

test('[CP4] a state that a lost connection never took is taken over the next one', () => {
  source.execute(2 * K + 3)
  const ask = () => {
    for (const peer of [1, 3]) {
      source.source.onFetchCheckpoint(id(peer), { type: 'fetch-checkpoint', above: at(2 * K) })
    }
    source.outbox.nowMs += 2_000
    source.source.onTick()
    return source.outbox.drain().filter(({ type }) => type === 'take-checkpoint')
  }
  // The database is away: what is asked of it now is done by nobody, and answered by nothing.
  expect(ask()).toHaveLength(1)
  expect(ask()).toHaveLength(0)
  source.source.onReconnected()
  expect(ask()).toHaveLength(1)
})

test('[CP5] a gap in the vote log is not offered to be served', () => {
  source.source.onInstalled(at(5))
  expect(source.source.servedFrom).toBe(5)
  source.source.onLogGap(at(3))
  expect(source.source.servedFrom).toBe(5)
  source.source.onLogGap(at(9))
  expect(source.source.servedFrom).toBe(10)
})
