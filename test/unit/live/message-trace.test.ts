import { expect, test } from 'vitest'
import type { Message } from '../../../protocol/messages.ts'
import { principalId, replicaId, seq, view, ZERO_DIGEST } from '../../../protocol/types.ts'
import { MessageTrace } from '../../../replica/runtime/message-trace.ts'

const prepare = (n: number): Message => ({
  type: 'prepare',
  view: view(3),
  seq: seq(n),
  digest: ZERO_DIGEST,
  replica: replicaId(1),
  signature: new Uint8Array(64),
})
const PEER = principalId(1)

function traceOf(bytesMax = 1_000_000) {
  let text = ''
  const clock = { nowMs: 1_000 }
  const trace = new MessageTrace({
    write: (more) => {
      text += more
    },
    nowMs: () => clock.nowMs,
    bytesMax,
  })
  const lines = (): Record<string, unknown>[] => {
    trace.flush()
    return text
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line))
  }
  return { trace, clock, lines }
}

test('while nothing happens nothing is written', () => {
  const { trace, lines } = traceOf()
  for (let n = 1; n <= 5_000; n++) trace.message('sent', PEER, prepare(n))
  trace.observe({ kind: 'stable', seq: seq(8) })
  expect(lines()).toEqual([])
})

test('a view change is written with what was before it, oldest first, and what comes until shortly after', () => {
  const { trace, clock, lines } = traceOf()
  for (let n = 1; n <= 5_000; n++) trace.message('received', PEER, prepare(n))
  trace.observe({ kind: 'view-change-started', view: view(4), prepared: 2 })
  clock.nowMs += 60_000
  trace.message('sent', PEER, prepare(5_001))
  trace.observe({ kind: 'view-entered', view: view(4), reordered: 0, nulls: 0 })
  trace.message('sent', PEER, prepare(5_002))
  clock.nowMs += 60_000
  trace.message('sent', PEER, prepare(5_003))
  trace.message('sent', PEER, prepare(5_004))
  const written = lines()
  const seqs = written.flatMap(({ seq }) => (typeof seq === 'number' ? [seq] : []))
  expect(seqs.at(-1)).toBe(5_003)
  expect(seqs).toEqual(Array.from(seqs, (_, i) => (seqs[0] ?? 0) + i))
  expect(seqs.length).toBeGreaterThan(500)
  expect(seqs.length).toBeLessThan(5_000)
  expect(written[0]).toEqual({
    atMs: 1_000,
    direction: 'received',
    peer: 1,
    type: 'prepare',
    view: 3,
    seq: seqs[0],
    digest: '00000000',
  })
  expect(written.filter(({ event }) => event !== undefined)).toEqual([
    { atMs: 1_000, event: 'view-change-started', view: 4 },
    { atMs: 61_000, event: 'view-entered', view: 4 },
  ])
})

test('after a view was entered so many messages end it, too', () => {
  const { trace, lines } = traceOf()
  trace.observe({ kind: 'view-entered', view: view(4), reordered: 0, nulls: 0 })
  for (let n = 1; n <= 5_000; n++) trace.message('sent', PEER, prepare(n))
  expect(lines().length).toBeLessThan(1_000)
})

test('the file has a bound, and says that it was reached', () => {
  const { trace, lines } = traceOf(2_000)
  trace.observe({ kind: 'view-change-started', view: view(4), prepared: 0 })
  for (let n = 1; n <= 5_000; n++) trace.message('sent', PEER, prepare(n))
  const written = lines()
  expect(written.length).toBeLessThan(40)
  expect(written.at(-1)).toMatchObject({ event: 'full' })
})
