import { expect, test } from 'vitest'
import { digestOf } from '../../protocol/crypto.ts'
import type { Batch } from '../../protocol/messages.ts'
import { type Digest, logPosition, replicaId, type Seq, seq, view } from '../../protocol/types.ts'
import type { Effect } from '../../replica/core/effect.ts'
import type { VoteRecord } from '../../replica/core/vote-record.ts'
import { recoveredCore, SIGNATURE } from './core.ts'

const digestAt = (n: number): Digest => digestOf(Buffer.from(`batch ${n}`))
const batchAt = (n: number): Batch => ({ digest: digestAt(n), requests: [] })

const preparedAt = (n: Seq): VoteRecord[] => {
  const header = { view: view(0), seq: n, digest: digestAt(n), signature: SIGNATURE }
  const prepares = [2, 3].map((replica) => ({ replica: replicaId(replica), signature: SIGNATURE }))
  return [
    { kind: 'pre-prepare', header, batch: batchAt(n) },
    { kind: 'prepared', header, prepares },
  ]
}
const committedAt = (n: Seq): VoteRecord => ({
  kind: 'committed',
  seq: n,
  view: view(0),
  digest: digestAt(n),
  commits: [0, 2, 3].map((replica) => ({ replica: replicaId(replica), signature: SIGNATURE })),
})

const executed = (effects: readonly Effect[]): number[] =>
  effects.flatMap((effect) => (effect.type === 'execute' ? [effect.seq] : []))

test('[D1] a committed mark behind a gap in the recovered log executes once the gap is filled by votes', () => {
  const core = recoveredCore({
    // COMMITs for 2 came before those for 1, and then the power went, everywhere.
    votes: [...preparedAt(seq(1)), ...preparedAt(seq(2)), committedAt(seq(2))],
    database: {
      lastExecuted: seq(0),
      chain: digestAt(0),
      recent: [],
      checkpoint: null,
      lanes: [],
      incarnations: [],
    },
    checkpointInterval: 8,
  })
  let nowMs = 0
  const effects = [...core.step({ type: 'start' }, nowMs)]
  for (const effect of effects) {
    if (effect.type !== 'read-committed') continue
    effects.push(...core.step({ type: 'committed-read', reader: effect.reader, entries: [] }, nowMs))
  }
  for (const replica of [0, 2, 3].map(replicaId)) {
    nowMs += 1
    const commit = { type: 'commit', view: view(0), seq: seq(1), digest: digestAt(1), replica } as const
    const message = { ...commit, signature: SIGNATURE }
    effects.push(...core.step({ type: 'message', from: replica, message }, nowMs))
  }
  effects.push(...core.step({ type: 'persisted', upTo: logPosition(1) }, nowMs))
  expect(executed(effects)).toEqual([1, 2])
})
