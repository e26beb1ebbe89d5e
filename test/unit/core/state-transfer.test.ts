import { beforeEach, expect, test } from 'vitest'
import type { Message } from '../../../protocol/messages.ts'
import type { RowMismatch } from '../../../replica/core/event.ts'
import { at, chainAt, checkpointOf, id, K, type Party, stateAt, World } from './state-fixture.ts'

const ROWS: readonly RowMismatch[] = [
  { table: 'accounts', key: 'alice', column: 'balance', expected: '1', found: '2' },
]

let world: World

/** r3 has nothing; the others took a CHECKPOINT at 2K, and everybody knows. */
beforeEach(() => {
  world = new World([2 * K, 2 * K, 2 * K, 0])
  for (const from of [0, 1, 2]) world.get(from).take()
  world.settle()
})

const fetched = (party: Party): number =>
  party.sent.filter(({ message }) => message.type === 'fetch-partitions').length

const fallBehind = (): Party => {
  const late = world.get(3)
  late.facts.isBeyondMessages = true
  late.run()
  return late
}

test('[CP4] a replica beyond messages takes the state that f+1 signed, checked from the root down', () => {
  const late = fallBehind()
  expect(late.execution.isPaused).toBe(true)
  world.settle()
  expect(late.executed).toBe(2 * K)
  expect(late.of('stage-partition').map(({ partition }) => partition)).toHaveLength(1 + 4 + 16)
  expect(late.of('stage-history').flatMap(({ entries }) => entries.map(({ seq }) => seq))).toEqual(
    Array.from({ length: 2 * K }, (_, i) => 2 * K - i),
  )
  expect(late.execution.isPaused).toBe(false)
  expect(late.transfer.isActive).toBe(false)
  expect(late.checkpoints.newestOwn?.seq).toBe(2 * K)
  expect(late.source.servedFrom).toBe(2 * K)
})

test('[CP4] nothing is fetched on fewer than f+1 CHECKPOINTs', () => {
  world = new World([2 * K, 2 * K, 2 * K, 0])
  world.get(0).take()
  world.settle()
  for (const silent of [1, 2]) world.get(silent).alter = () => undefined
  const late = fallBehind()
  world.settle()
  world.period()
  expect(late.of('begin-transfer')).toEqual([])
  expect(late.execution.isPaused).toBe(false)
})

const lies: Record<string, (message: Message) => Message> = {
  'other rows': (message) =>
    message.type !== 'partitions'
      ? message
      : {
          ...message,
          nodes: message.nodes.map(({ partition, node }) =>
            node.kind === 'rows'
              ? { partition, node: { kind: 'rows', rows: Buffer.from('all mine') } }
              : { partition, node },
          ),
        },
  'another inner node': (message) =>
    message.type !== 'partitions'
      ? message
      : {
          ...message,
          nodes: message.nodes.map(({ partition, node }) =>
            node.kind === 'inner'
              ? { partition, node: { kind: 'inner', children: [null, null, null, null] } }
              : { partition, node },
          ),
        },
  'nodes in another order': (message) =>
    message.type !== 'partitions'
      ? message
      : {
          ...message,
          nodes:
            message.nodes.length > 1
              ? ([message.nodes[0], message.nodes[2]] as typeof message.nodes)
              : message.nodes,
        },
  'no nodes': (message) => (message.type === 'partitions' ? { ...message, nodes: [] } : message),
  'another history': (message) =>
    message.type !== 'history'
      ? message
      : { ...message, entries: message.entries.map((entry) => ({ ...entry, batchDigest: chainAt(99) })) },
  'history with a hole': (message) =>
    message.type === 'history' ? { ...message, entries: message.entries.filter((_, i) => i !== 1) } : message,
}

test.each(Object.entries(lies))('[CP4] a source that sends %s is replaced at once', (_, lie) => {
  world.get(0).alter = lie
  const late = fallBehind()
  world.settle()
  expect(late.observed('transfer-source-replaced')).toEqual([{ kind: 'transfer-source-replaced', source: 0 }])
  expect(late.executed).toBe(2 * K)
  for (const { node } of late.of('stage-partition')) {
    expect(node.kind === 'rows' ? Buffer.from(node.rows).toString() : '').not.toBe('all mine')
  }
})

test('[CP4] a liar is not asked again in this transfer, however silent the others are', () => {
  world.get(0).alter = lies['other rows'] as (message: Message) => Message
  for (const from of [1, 2]) world.get(from).alter = () => undefined
  const late = fallBehind()
  world.settle()
  const asked = () =>
    late.of('send').flatMap(({ to, message }) => (message.type === 'fetch-partitions' ? to : []))
  const before = asked().length
  for (let periods = 0; periods < 8; periods++) world.period()
  expect([...new Set(asked().slice(before))].sort()).toEqual([1, 2])
  world.get(2).alter = (message) => message
  for (let periods = 0; periods < 4; periods++) world.period()
  expect(late.executed).toBe(2 * K)
})

test('[CP4] a silent source is replaced by the next', () => {
  world.get(0).alter = () => undefined
  const late = fallBehind()
  world.settle()
  expect(late.transfer.isActive).toBe(true)
  world.period()
  world.period()
  expect(late.observed('transfer-source-replaced')).toEqual([{ kind: 'transfer-source-replaced', source: 0 }])
  expect(late.executed).toBe(2 * K)
})

test('[CP4] a source that drips one node per answer is too slow', () => {
  const late = fallBehind()
  let answers = 0
  // It sends one node of those asked for, and only a few in each period.
  world.get(0).alter = (message) => {
    if (message.type !== 'partitions') return message
    answers += 1
    return answers % 4 === 0 ? undefined : { ...message, nodes: message.nodes.slice(0, 1) }
  }
  world.settle()
  for (let periods = 0; periods < 3; periods++) world.period()
  expect(late.observed('transfer-source-replaced')).not.toEqual([])
  expect(late.executed).toBe(2 * K)
})

test('[CP4] when nobody holds the target any more it moves on, and what was staged is kept', () => {
  const late = fallBehind()
  world.settle(() => late.of('stage-partition').length >= 5)
  const before = late.of('stage-partition').length
  for (const from of [0, 1, 2]) {
    const source = world.get(from)
    source.held.clear()
    source.source.onLost()
    source.execute(3 * K)
  }
  world.settle()
  expect(late.observed('transfer-moved')).toEqual([{ kind: 'transfer-moved', seq: 3 * K }])
  expect(late.executed).toBe(3 * K)
  // 8 of 16 leaves changed between 2K and 3K, so those staged before are not all fetched again.
  expect(before).toBeGreaterThanOrEqual(5)
  expect(late.of('begin-transfer').map(({ seq }) => seq)).toEqual([2 * K, 3 * K])
})

test('[CP4] a source that lost its snapshot is passed over for one that has it', () => {
  world.get(0).held.clear()
  world.get(0).source.onLost()
  const late = fallBehind()
  world.settle()
  expect(late.of('begin-transfer')).toHaveLength(1)
  expect(late.executed).toBe(2 * K)
})

test('[CP4] after a restart of all, idle, f+1 states taken on demand serve; they never become stable', () => {
  world = new World([K + 3, K + 3, K + 3, 0])
  world.get(2).alter = () => undefined
  const late = fallBehind()
  world.settle()
  expect(late.of('begin-transfer').map(({ seq }) => seq)).toEqual([K + 3])
  expect(late.executed).toBe(K + 3)
  expect(late.checkpoints.stable).toBe(null)
  expect(world.get(0).of('take-checkpoint')).toHaveLength(1)
})

test('[CP4] offers that differ are no target; the next ones may match', () => {
  world = new World([K + 3, K + 4, K + 5, 0])
  const late = fallBehind()
  world.settle()
  expect(late.of('begin-transfer')).toEqual([])
  for (const from of [0, 1, 2]) world.get(from).execute(K + 6)
  for (let periods = 0; periods < 40 && late.executed < K + 6; periods++) world.period()
  expect(late.executed).toBe(K + 6)
})

test('[CP4] an offer with another signer, or a bad signature, is counted and dropped', () => {
  world = new World([K + 3, K + 3, K + 3, 0])
  const late = fallBehind()
  const offer = checkpointOf(1, stateAt(K + 3))
  late.deliver(0, { type: 'state-offer', checkpoint: offer })
  late.deliver(1, { type: 'state-offer', checkpoint: { ...offer, signature: new Uint8Array(32) } })
  expect(late.observed('rejected')).toMatchObject([{ code: 'not-own-vote' }, { code: 'bad-signature' }])
  expect(late.checkpoints.weakAbove(0)).toEqual([])
})

test('[CP4] a lie about a held state is no way to keep a replica from it', () => {
  // r0 and r1 say they hold nothing; r2 does.
  for (const from of [0, 1]) {
    world.get(from).alter = (message) =>
      message.type === 'partitions' ? { ...message, isHeld: false, nodes: [] } : message
  }
  const late = fallBehind()
  world.settle()
  expect(late.executed).toBe(2 * K)
})

test('[CP4] it ends at full load: the lease pins the state while checkpoints move on', () => {
  const late = fallBehind()
  let upTo = 2 * K
  for (let round = 0; round < 200 && late.executed === 0; round++) {
    // Few messages of the transfer get through between two checkpoints of the sources.
    let left = 11
    world.settle(() => --left < 0)
    upTo += K
    for (const from of [0, 1, 2]) world.get(from).execute(upTo)
  }
  expect(upTo).toBeGreaterThan(6 * K)
  expect(world.get(1).checkpoints.stable?.seq).toBeGreaterThan(5 * K)
  expect(late.of('begin-transfer').map(({ seq }) => seq)).toEqual([2 * K])
  expect(late.executed).toBe(2 * K)
})

test('[CP4] messages under way are bounded', () => {
  const late = fallBehind()
  world.settle(() => late.of('stage-partition').length > 0)
  expect(fetched(late)).toBeLessThanOrEqual(4)
})

test('[CP4] while it is seeking, messages that reach again end it', () => {
  world = new World([K + 3, K + 3, K + 3, 0])
  for (const from of [0, 1, 2]) world.get(from).alter = () => undefined
  const late = fallBehind()
  world.settle()
  late.facts.isBeyondMessages = false
  late.run()
  expect(late.of('stop-timer')).toHaveLength(1)
  expect(late.of('cancel-transfer')).toEqual([])
})

test('[CP4] a transfer that nobody can serve any more is cancelled when messages reach', () => {
  const late = fallBehind()
  for (const from of [0, 1, 2]) {
    world.get(from).held.clear()
    world.get(from).source.onLost()
    world.get(from).alter = (message) => (message.type === 'state-offer' ? undefined : message)
  }
  late.facts.isBeyondMessages = false
  world.settle()
  expect(late.of('cancel-transfer')).toHaveLength(1)
  expect(late.execution.isPaused).toBe(false)
  expect(late.transfer.isActive).toBe(false)
})

test('[CP4] a lost connection begins again, also when only the answer of the installation was lost', () => {
  const late = fallBehind()
  world.settle(() => late.of('stage-partition').length >= 5)
  late.transfer.onReconnected()
  late.run()
  world.settle()
  expect(late.of('begin-transfer')).toHaveLength(2)
  expect(late.executed).toBe(2 * K)
})

test('[CP6] rows that were changed are named, execution stops, and the state is fetched at or above the own seq', () => {
  world = new World([K + 3, K + 3, K + 3, K + 3])
  const hurt = world.get(3)
  hurt.mismatch(ROWS)
  expect(hurt.execution.isPaused).toBe(true)
  expect(hurt.transfer.isActive).toBe(true)
  world.settle()
  expect(hurt.observed('tampered')).toEqual([{ kind: 'tampered', rows: ROWS }])
  expect(hurt.of('begin-transfer').map(({ seq, rescan }) => ({ seq, rescan }))).toEqual([
    { seq: K + 3, rescan: true },
  ])
  expect(hurt.of('install-transfer')).toHaveLength(1)
  expect(hurt.observed('repaired')).toEqual([{ kind: 'repaired', rows: ROWS }])
  expect(hurt.transfer.isActive).toBe(false)
  expect(hurt.execution.isPaused).toBe(false)
})

test('[CP6] rows found wrong while state is fetched are read anew', () => {
  const late = fallBehind()
  world.settle(() => late.of('stage-partition').length >= 5)
  late.mismatch(ROWS)
  world.settle()
  expect(late.of('begin-transfer').map(({ rescan }) => rescan)).toEqual([false, true])
  expect(late.transfer.isActive).toBe(false)
  expect(late.executed).toBe(2 * K)
})

test('[CP6] a CHECKPOINT that f+1 others contradict starts the repair by itself', () => {
  const hurt = world.get(0)
  hurt.executed = 3 * K
  hurt.execution.reset({ lastExecuted: at(3 * K), chain: chainAt(3 * K) })
  for (const from of [1, 2]) {
    world.get(from).execute(3 * K)
  }
  world.settle()
  hurt.checkpoints.onTaken({ ...stateAt(3 * K), stateRoot: stateAt(1).stateRoot }, { mayVote: true })
  hurt.run()
  world.settle()
  expect(hurt.of('begin-transfer').map(({ seq, rescan }) => [seq, rescan])).toEqual([[3 * K, true]])
  expect(hurt.of('halt')).toEqual([])
  expect(hurt.checkpoints.divergence).toBe(null)
  expect(hurt.transfer.isActive).toBe(false)
})

test('[CP4] what nobody asked for is refused', () => {
  const idle = world.get(1)
  idle.deliver(0, { type: 'partitions', seq: at(K), isHeld: true, nodes: [] })
  idle.deliver(0, { type: 'history', upTo: at(K), entries: [] })
  idle.deliver(0, { type: 'state-offer', checkpoint: checkpointOf(0, stateAt(K)) })
  expect(idle.observed('rejected')).toEqual(
    Array(3).fill({ kind: 'rejected', code: 'unexpected-type', from: id(0) }),
  )
})
