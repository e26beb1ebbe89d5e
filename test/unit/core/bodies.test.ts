import { beforeEach, expect, test } from 'vitest'
import type { FetchBatch } from '../../../protocol/messages.ts'
import { NULL_BATCH } from '../../../protocol/signing.ts'
import { replicaId, seq } from '../../../protocol/types.ts'
import { Bodies } from '../../../replica/core/bodies.ts'
import { CLIENTS } from '../../scenarios/parties.ts'
import { batchAt, effectsOf, enterView, observedIn, orderingParts, rejectionsIn } from './parts-fixture.ts'

/** In bodies.ts. */
const ASKED_MAX = 32
const GIVEN_MAX = 64

let parts: ReturnType<typeof orderingParts>
let bodies: Bodies

/** r2, whose peers are r0, r1 and r3. */
beforeEach(() => {
  parts = orderingParts(2)
  bodies = new Bodies(parts)
})

/** `to:seq` of what is asked for. */
const asked = () =>
  effectsOf(parts.outbox.drain(), 'send').flatMap(({ to, message }) =>
    message.type === 'fetch-batch' ? [`${to.join()}:${message.seq}`] : [],
  )

const batches = (count: number) => Array.from({ length: count }, (_, index) => batchAt(index + 1))
const fetch = (n: number, digest = batchAt(n).digest): FetchBatch => ({
  type: 'fetch-batch',
  seq: seq(n),
  digest,
})

function enter(count: number): void {
  enterView(parts, 1, batches(count))
  bodies.onViewEntered()
}

test('[VC5] what O names and is not here is asked of one peer, and of the next at each tick', () => {
  parts.log.at(seq(2)).keepBody(batchAt(2))
  enter(3)
  expect(asked()).toEqual(['0:1', '0:3'])
  const turns = [1, 2, 3].map(() => {
    bodies.onTick()
    return asked()
  })
  expect(turns).toEqual([
    ['1:1', '1:3'],
    ['3:1', '3:3'],
    ['0:1', '0:3'],
  ])
})

test('[VC5] null batches need no asking', () => {
  enterView(parts, 1, [NULL_BATCH, batchAt(2)])
  bodies.onViewEntered()
  expect(asked()).toEqual(['0:2'])
})

test('[VC5] what came is not asked for again, and is accepted on its digest, whoever sent it', () => {
  enter(2)
  parts.outbox.drain()
  bodies.onFetched(replicaId(3), { type: 'fetched-batch', seq: seq(1), batch: batchAt(1) })
  const effects = parts.outbox.drain()
  expect(observedIn(effects, 'body-fetched')).toEqual([
    { kind: 'body-fetched', seq: 1, digest: batchAt(1).digest },
  ])
  expect(effectsOf(effects, 'persist')).toMatchObject([{ record: { kind: 'batch', seq: 1 }, sync: true }])
  bodies.onTick()
  expect(asked()).toEqual(['1:2'])
})

test('[VC5] another batch than the one that O names is refused, and so is one that nobody misses', () => {
  enter(1)
  parts.outbox.drain()
  bodies.onFetched(replicaId(3), { type: 'fetched-batch', seq: seq(1), batch: batchAt(2) })
  bodies.onFetched(replicaId(3), { type: 'fetched-batch', seq: seq(2), batch: batchAt(1) })
  bodies.onFetched(replicaId(3), { type: 'fetched-batch', seq: seq(999), batch: batchAt(1) })
  expect(rejectionsIn(parts.outbox.drain())).toEqual(Array(3).fill('wrong-digest'))
  bodies.onFetched(replicaId(3), { type: 'fetched-batch', seq: seq(1), batch: batchAt(1) })
  bodies.onFetched(replicaId(3), { type: 'fetched-batch', seq: seq(1), batch: batchAt(1) })
  expect(rejectionsIn(parts.outbox.drain())).toEqual(['wrong-digest'])
})

test('[VC5] so many are asked for at a time; the rest when all of these came', () => {
  const wide = orderingParts(2, { k: ASKED_MAX })
  parts = wide
  bodies = new Bodies(wide)
  enter(ASKED_MAX + 5)
  expect(asked()).toHaveLength(ASKED_MAX)
  for (let n = 1; n <= ASKED_MAX; n++) {
    expect(asked()).toEqual([])
    bodies.onFetched(replicaId(0), { type: 'fetched-batch', seq: seq(n), batch: batchAt(n) })
  }
  expect(asked()).toEqual([33, 34, 35, 36, 37].map((n) => `0:${n}`))
})

test('[VC5] a body is given to replicas only, by its digest, also one of another view', () => {
  parts.log.at(seq(1)).keepBody(batchAt(1))
  enterView(parts, 1, [batchAt(2)])
  parts.outbox.drain()
  bodies.onFetch(CLIENTS.alice, fetch(1))
  bodies.onFetch(replicaId(2), fetch(1))
  expect(rejectionsIn(parts.outbox.drain())).toEqual(['not-admitted', 'not-admitted'])
  bodies.onFetch(replicaId(3), fetch(1, batchAt(2).digest))
  bodies.onFetch(replicaId(3), fetch(999))
  expect(parts.outbox.drain()).toEqual([])
  bodies.onFetch(replicaId(3), fetch(1))
  expect(effectsOf(parts.outbox.drain(), 'send')).toEqual([
    { type: 'send', to: [3], message: { type: 'fetched-batch', seq: 1, batch: batchAt(1) } },
  ])
})

test('[VC5] what one peer is given in a period is bounded, and takes nothing from the others', () => {
  parts.log.at(seq(1)).keepBody(batchAt(1))
  const ask = (from: number, count: number) => {
    for (let turn = 0; turn < count; turn++) bodies.onFetch(replicaId(from), fetch(1))
    const effects = parts.outbox.drain()
    return [effectsOf(effects, 'send').length, rejectionsIn(effects).length]
  }
  expect(ask(3, GIVEN_MAX + 10)).toEqual([GIVEN_MAX, 10])
  expect(ask(1, 1)).toEqual([1, 0])
  parts.outbox.nowMs = 99
  expect(ask(3, 1)).toEqual([0, 1])
  parts.outbox.nowMs = 100
  expect(ask(3, 1)).toEqual([1, 0])
})
