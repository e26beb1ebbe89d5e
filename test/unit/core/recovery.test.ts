import { describe, expect, test } from 'vitest'
import { type Digest, replicaId, seq } from '../../../protocol/types.ts'
import { ReplicaCore } from '../../../replica/core/core.ts'
import type { Effect } from '../../../replica/core/effect.ts'
import type { DatabaseState } from '../../../replica/core/event.ts'
import { isVote, type VoteRecord } from '../../../replica/core/vote-record.ts'
import { Harness } from '../../scenarios/harness.ts'
import { CLIENTS, configOf, cryptoOf, genesisOf, requestOf } from '../../scenarios/parties.ts'

const OTHER = 'ee'.repeat(32) as Digest

/** A cluster that executed `count` batches. */
function clusterAfter(count: number, k: number): Harness {
  const cluster = new Harness({ k })
  for (let number = 1; number <= count; number++) {
    const operations = [{ kind: 'transfer' as const, from: 'a', to: 'b', amount: 1n }]
    cluster.request(requestOf({ client: CLIENTS.alice, lane: 0, number, operations }), [0])
    cluster.deliver()
  }
  return cluster
}

function recover(cluster: Harness, overrides: { votes?: VoteRecord[]; database?: Partial<DatabaseState> }) {
  const node = cluster.node(1)
  const core = ReplicaCore.recover({
    config: configOf(cluster.shape, genesisOf(cluster.shape), 1),
    crypto: cryptoOf(replicaId(1)),
    votes: overrides.votes ?? node.disk.recovered(),
    database: { ...node.database.connect(), ...overrides.database },
    nextIncarnation: 1,
    servedFrom: seq(0),
    evidence: [],
  })
  return { core, effects: core.step({ type: 'start' }, 0) }
}

const tampered = (effects: readonly Effect[]) =>
  effects.flatMap((e) => (e.type === 'observe' && e.what.kind === 'tampered' ? e.what.rows : []))

const faults = (effects: readonly Effect[]) =>
  effects.flatMap((effect) => (effect.type === 'halt' ? [effect.fault] : []))

describe('[D4] the log against the database, at the start', () => {
  test('the same: nothing to say', () => {
    const { core, effects } = recover(clusterAfter(5, 2), {})
    expect(faults(effects)).toEqual([])
    expect(effects.map(({ type }) => type)).toEqual(['send', 'set-timer'])
    expect(core.position).toMatchObject({ lowWaterMark: 4, lastExecuted: 5, nextSeq: 6 })
  })

  test('another batch at the last executed seq', () => {
    const { effects } = recover(clusterAfter(5, 2), {
      database: { recent: [{ seq: seq(5), batchDigest: OTHER }] },
    })
    expect(faults(effects)).toMatchObject([{ code: 'database-contradicts-log', seq: 5 }])
    expect(faults(effects)[0]?.detail).toContain(OTHER)
  })

  test('[CP6] another chain at a checkpoint is no reason to stop: it is repaired', () => {
    const { effects } = recover(clusterAfter(5, 2), {
      database: { checkpoint: { seq: seq(4), chain: OTHER } },
    })
    expect(faults(effects)).toEqual([])
    expect(tampered(effects)).toMatchObject([{ table: 'chain', key: '4', found: OTHER }])
  })

  test('what contradicts is not signed', () => {
    const { effects } = recover(clusterAfter(5, 2), {
      database: { checkpoint: { seq: seq(4), chain: OTHER } },
    })
    expect(effects.filter(({ type }) => type === 'persist')).toEqual([])
  })

  test('behind is redone from the log, with nothing executed twice', () => {
    const cluster = clusterAfter(5, 8)
    const behind = clusterAfter(3, 8).node(1).database.connect()
    const { core, effects } = recover(cluster, { database: behind })
    expect(faults(effects)).toEqual([])
    const executes = effects.flatMap((effect) => (effect.type === 'execute' ? [effect.seq] : []))
    expect(executes).toEqual([4, 5])
    expect(core.position).toMatchObject({ lastExecuted: 3, frontier: 5, nextSeq: 6 })
  })

  test('ahead is accepted, and the marks that were lost are written again', () => {
    const cluster = clusterAfter(3, 8)
    const votes = cluster
      .node(1)
      .disk.recovered()
      .filter((record) => isVote(record))
    const { effects } = recover(cluster, { votes })
    expect(faults(effects)).toEqual([])
    const marks = effects.flatMap((e) =>
      e.type === 'persist' && e.record.kind === 'committed' ? [e.record.seq] : [],
    )
    expect(marks).toEqual([1, 2, 3])
    expect(effects.filter(({ type }) => type === 'execute')).toEqual([])
  })

  test('a primary that executed more than its log shows uses no number again', () => {
    const cluster = clusterAfter(3, 8)
    const { core } = recover(cluster, { votes: [] })
    expect(core.position.nextSeq).toBeGreaterThan(core.position.lastExecuted)
  })
})

describe('[D4] a database that comes back while the replica runs', () => {
  const reconnect = (cluster: Harness, database: Partial<DatabaseState>): Effect[] => {
    const core = cluster.node(1).core
    if (core === null) throw new Error('r1 is down')
    return core.step(
      { type: 'database-connected', database: { ...cluster.node(1).database.connect(), ...database } },
      0,
    )
  }

  test('where it was', () => expect(faults(reconnect(clusterAfter(3, 8), {}))).toEqual([]))

  test('with another chain at the same seq', () => {
    expect(faults(reconnect(clusterAfter(3, 8), { chain: OTHER }))).toMatchObject([
      { code: 'database-contradicts-log', seq: 3 },
    ])
  })

  test('with another batch at a seq that is committed here', () => {
    const behind = clusterAfter(2, 8).node(1).database.connect()
    expect(
      faults(reconnect(clusterAfter(3, 8), { ...behind, recent: [{ seq: seq(2), batchDigest: OTHER }] })),
    ).toMatchObject([{ code: 'database-contradicts-log', seq: 2 }])
  })

  test('[CP6] with another chain at a checkpoint that this replica signed since its start: it is repaired', () => {
    const effects = reconnect(clusterAfter(3, 2), { checkpoint: { seq: seq(2), chain: OTHER } })
    expect(faults(effects)).toEqual([])
    expect(tampered(effects)).toMatchObject([{ table: 'chain', key: '2', found: OTHER }])
  })
})
