import { expect, test } from 'vitest'
import { formatFailure, simulate } from '../../chaos/sim/simulate.ts'
import { digestOf } from '../../protocol/crypto.ts'
import { clientId, replicaId, seq, view } from '../../protocol/types.ts'
import type { DatabaseState } from '../../replica/core/event.ts'
import { recoveredCore } from './core.ts'

const chainAt = (n: number) => digestOf(Buffer.from(`chain ${n}`))
const databaseAt = (n: number): DatabaseState => ({
  lastExecuted: seq(n),
  chain: chainAt(n),
  recent: [],
  checkpoint: null,
  lanes: [],
  incarnations: [],
})

test('[D4] after its database lost its end a replica answers no read from before what it showed', () => {
  const core = recoveredCore({ votes: [], database: databaseAt(5), checkpointInterval: 100 })
  const read = { type: 'read', nonce: 1, accounts: ['alice'] } as const
  const ask = { type: 'message', from: clientId(1000), message: read } as const
  const isAnswer = ({ type }: { type: string }) => type === 'read-state'
  core.step({ type: 'start' }, 0)
  expect(core.step(ask, 1).some(isAnswer)).toBe(true)
  core.step({ type: 'database-connected', database: databaseAt(3) }, 2)
  expect(core.step(ask, 3).some(isAnswer)).toBe(false)
  const entries = [4, 5].map((n) => ({
    seq: seq(n),
    view: view(0),
    digest: digestOf(Buffer.from(`batch ${n}`)),
    commits: [],
    batch: { digest: digestOf(Buffer.from(`batch ${n}`)), requests: [] },
  }))
  core.step({ type: 'committed-read', reader: replicaId(1), entries }, 4)
  core.step({ type: 'executed', seq: seq(4), chain: chainAt(4), lanes: [], incarnations: [] }, 4)
  const back = core.step({ type: 'executed', seq: seq(5), chain: chainAt(5), lanes: [], incarnations: [] }, 5)
  expect(back.filter(isAnswer)).toMatchObject([{ nonce: 1, atLeast: 5 }])
})

test('[D4] seeds under which databases lose their end show no stale read', () => {
  for (const seed of [6, 8, 34]) {
    const report = simulate({ seed, faults: ['database'], clients: 4, requests: 60 })
    expect(formatFailure(report)).toBe(`seed ${seed}: no failure`)
  }
})
