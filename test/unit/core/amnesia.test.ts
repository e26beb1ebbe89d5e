import { beforeEach, expect, test } from 'vitest'
import type { Request } from '../../../protocol/messages.ts'
import { replicaId, seq, view } from '../../../protocol/types.ts'
import { Amnesia } from '../../../replica/core/amnesia.ts'
import type { Effect } from '../../../replica/core/effect.ts'
import type { Incarnation } from '../../../replica/core/event.ts'
import { Incarnations } from '../../../replica/core/incarnations.ts'
import { SlotLog } from '../../../replica/core/log.ts'
import { Outbox } from '../../../replica/core/outbox.ts'
import { cryptoOf, isSigned, STATUS_BUSY_MS, STATUS_IDLE_MS } from '../../scenarios/parties.ts'
import { configFor, effectsOf, observedIn } from './parts-fixture.ts'

/** In amnesia.ts. */
const RESEND_TICKS = 5
const TOO_MANY_MS = 3 * STATUS_IDLE_MS
const CLOCK = 5_000
/** Of K = 8. */
const WINDOW = 16

let outbox: Outbox
let log: SlotLog
let incarnations: Incarnations
let amnesia: Amnesia

/** r1, which lost its log; `n` replicas. */
function lose({ n = 4, known = [] as readonly Incarnation[] } = {}): void {
  outbox = new Outbox()
  log = new SlotLog(seq(0), WINDOW)
  incarnations = new Incarnations(known)
  amnesia = new Amnesia({
    config: configFor(1, { n }),
    crypto: cryptoOf(replicaId(1)),
    outbox,
    log,
    incarnations,
    state: 'amnesiac',
    incarnation: 0,
    votesFrom: view(0),
    nextIncarnation: CLOCK,
  })
}
beforeEach(() => lose())

const hear = (peer: number, v: number, isAmnesiac = false) =>
  amnesia.onStatus(replicaId(peer), { view: view(v), isAmnesiac })

function ticks(count: number): Effect[] {
  for (let tick = 0; tick < count; tick++) {
    outbox.nowMs += STATUS_BUSY_MS
    amnesia.onTick()
  }
  return outbox.drain()
}

/** Number and V of each RECOVER. */
function recovers(effects: readonly Effect[]): [number, number][] {
  return effectsOf(effects, 'send').map(({ message }) => {
    const [operation] = (message as Request).operations
    if (message.type !== 'request' || operation?.kind !== 'recover') throw new Error('not a RECOVER')
    return [message.number, operation.view]
  })
}

/** Its RECOVER of `number` was executed at `at`. */
const execute = (number: number, at: number, v = 0): void =>
  incarnations.learn([{ replica: replicaId(1), incarnation: number, view: view(v), seq: seq(at) }])

test('[D5] V is a view that f+1 report to have entered: the highest such', () => {
  hear(0, 900)
  expect(outbox.drain()).toEqual([])
  hear(2, 6)
  const effects = outbox.drain()
  expect(recovers(effects)).toEqual([[CLOCK, 6]])
  expect(observedIn(effects, 'amnesiac-recovering')).toMatchObject([{ incarnation: CLOCK }])
})

test('[D5] with f = 2 it takes three, and what a peer said last counts', () => {
  lose({ n: 7 })
  hear(0, 9)
  hear(0, 8)
  hear(2, 3)
  expect(outbox.drain()).toEqual([])
  hear(3, 5)
  expect(recovers(outbox.drain())).toEqual([[CLOCK, 3]])
})

test('[D5] RECOVER goes to all, signed by this replica, and is sent again until it is executed', () => {
  hear(0, 2)
  hear(2, 2)
  const [first] = effectsOf(outbox.drain(), 'send')
  if (first?.message.type !== 'request') throw new Error('nothing is asked for')
  const { digest, signature, client } = first.message
  expect(first.to).toEqual([0, 2, 3])
  const statement = { type: 'request' as const, view: 0, seq: 0, signer: client, digests: [digest] }
  expect(client).toBe(1)
  expect(isSigned({ statement, signature })).toBe(true)
  expect(ticks(RESEND_TICKS - 1)).toEqual([])
  expect(ticks(1)).toEqual([first])
  // Not another V, whatever others say meanwhile: this one may have been ordered.
  hear(0, 7)
  hear(2, 7)
  expect(ticks(RESEND_TICKS)).toEqual([first])
  execute(CLOCK, 3, 2)
  expect(ticks(4 * RESEND_TICKS)).toEqual([])
})

test('[D5] a number that was used is not used again, though the clock went back', () => {
  for (const used of [CLOCK, CLOCK + 70]) {
    lose({ known: [{ replica: replicaId(1), incarnation: used, view: view(0), seq: seq(1) }] })
    hear(0, 2)
    hear(2, 2)
    expect(recovers(outbox.drain())).toEqual([[used + 1, 2]])
  }
})

test('[D5] nor when a state brings it in that was installed after RECOVER went out', () => {
  hear(0, 2)
  hear(2, 2)
  outbox.drain()
  execute(CLOCK + 70, 9)
  expect(recovers(ticks(RESEND_TICKS))).toEqual([[CLOCK + 71, 2]])
  expect(recovers(ticks(RESEND_TICKS))).toEqual([[CLOCK + 71, 2]])
})

test('[D5] it votes again when its own h is L above the RECOVER, and the log says so durably', () => {
  hear(0, 6)
  hear(2, 6)
  execute(CLOCK, 3, 6)
  log.moveTo(seq(3 + WINDOW - 1))
  outbox.drain()
  expect(amnesia.settle()).toBe(false)
  expect(outbox.drain()).toEqual([])
  log.moveTo(seq(3 + WINDOW))
  expect(amnesia.settle()).toBe(false)
  const [record] = effectsOf(outbox.drain(), 'persist')
  expect(record?.record).toEqual({ kind: 'recovered', incarnation: CLOCK, view: 6 })
  expect(record?.sync).toBe(true)
  // Not durable: neither a vote, nor a second record.
  expect(amnesia.settle()).toBe(false)
  expect(amnesia).toMatchObject({ isVoting: false, incarnation: 0 })
  expect(amnesia.mayVoteIn(view(7))).toBe(false)
  expect(outbox.drain()).toEqual([])
  if (record !== undefined) outbox.durable = record.position
  expect(amnesia.settle()).toBe(true)
  expect(amnesia).toMatchObject({ isVoting: true, incarnation: CLOCK })
  expect([5, 6, 7].map((v) => amnesia.mayVoteIn(view(v)))).toEqual([false, true, true])
  expect(amnesia.settle()).toBe(false)
})

test('[D5] the RECOVER of another incarnation does not let it vote', () => {
  hear(0, 2)
  hear(2, 2)
  execute(CLOCK - 1, 3)
  log.moveTo(seq(100))
  expect(amnesia.settle()).toBe(false)
  expect(effectsOf(outbox.drain(), 'persist')).toEqual([])
})

test('[D5] more than f amnesiacs: it stops, and says what is lost', () => {
  hear(2, 0, true)
  expect(effectsOf(ticks(TOO_MANY_MS / STATUS_BUSY_MS + 1), 'halt')).toEqual([])
  const [halt] = effectsOf(ticks(1), 'halt')
  expect(halt?.fault.code).toBe('too-many-amnesiacs')
  expect(halt?.fault.detail).toContain('2 of 4')
})

test('[D5] not when the other one votes again meanwhile, and then counts anew', () => {
  hear(2, 0, true)
  ticks(TOO_MANY_MS / STATUS_BUSY_MS)
  hear(2, 0, false)
  ticks(1)
  hear(2, 0, true)
  expect(effectsOf(ticks(TOO_MANY_MS / STATUS_BUSY_MS + 1), 'halt')).toEqual([])
})

test('[D5] f of them are no more than f, and one peer that says so twice is one', () => {
  lose({ n: 7 })
  hear(2, 0, true)
  hear(2, 0, true)
  expect(effectsOf(ticks(100), 'halt')).toEqual([])
  hear(3, 0, true)
  expect(effectsOf(ticks(100), 'halt').length).toBeGreaterThan(0)
})

test('[D5] who votes asks for nothing, and does not stop because others forgot', () => {
  amnesia = new Amnesia({
    config: configFor(1),
    crypto: cryptoOf(replicaId(1)),
    outbox,
    log,
    incarnations,
    state: 'voting',
    incarnation: 7,
    votesFrom: view(4),
    nextIncarnation: CLOCK,
  })
  for (const peer of [0, 2, 3]) hear(peer, 5, true)
  expect(ticks(100)).toEqual([])
  expect(amnesia).toMatchObject({ isVoting: true, incarnation: 7 })
  expect([3, 4].map((v) => amnesia.mayVoteIn(view(v)))).toEqual([false, true])
})
