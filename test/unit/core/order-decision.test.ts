import { beforeEach, expect, test } from 'vitest'
import type { PreparedCertificate } from '../../../protocol/messages.ts'
import { quorumOf } from '../../../protocol/quorum.ts'
import type { Effect } from '../../../replica/core/effect.ts'
import { OrderDecision } from '../../../replica/core/order-decision.ts'
import { Outbox } from '../../../replica/core/outbox.ts'
import type { Order } from '../../../replica/core/view-order.ts'
import { batchAt, certificateOf, configFor, effectsOf, viewChangeWith } from './parts-fixture.ts'

const quorum = quorumOf(4)
const NEW_VIEW = 9
/** A certificate for batch `b` at `n` in view `v`. */
const certificate = (b: number, n: number, v: number) => certificateOf(batchAt(b), { n, v, quorum })

let outbox: Outbox
let decision: OrderDecision
let orders: Order[]

beforeEach(() => {
  outbox = new Outbox()
  decision = new OrderDecision({ config: configFor(1), outbox })
  orders = []
})

const decide = (...lists: readonly (readonly PreparedCertificate[])[]) =>
  decision.decide(
    lists.map((prepared, replica) => viewChangeWith(replica, NEW_VIEW, prepared)),
    (order) => orders.push(order),
  )

/** The check that is to be answered now. */
function asked(): Extract<Effect, { type: 'verify' }> {
  const [check, ...more] = effectsOf(outbox.drain(), 'verify')
  if (check === undefined || more.length > 0) throw new Error(`${more.length + 1} checks`)
  return check
}

/** Answers it: of `seq@view` named, the last signature does not hold. */
function answer(...bad: readonly string[]): void {
  const { check, claims } = asked()
  let current = ''
  const valid = claims.map(({ statement: { type, view, seq } }, index) => {
    if (type === 'pre-prepare') current = `${seq}@${view}`
    const isLast = claims[index + 1] === undefined || claims[index + 1]?.statement.type === 'pre-prepare'
    return !(bad.includes(current) && isLast)
  })
  expect(decision.onVerified(check, valid)).toBe(true)
}

/** `seq@view` of what each order so far chose. */
const chosen = () =>
  orders.map(({ entries }) =>
    entries.map(({ seq, certificate: one }) => `${seq}@${one === null ? 'null' : one.header.view}`).join(' '),
  )

test('[VC2] nothing prepared: decided at once', () => {
  decide([], [], [])
  expect(chosen()).toEqual([''])
  expect(outbox.drain()).toEqual([])
})

test('[VC2] what O would choose is verified, header and PREPAREs; what it would not is not', () => {
  decide([certificate(1, 1, 2)], [certificate(2, 1, 4)], [])
  const { check, claims } = asked()
  expect(
    claims.map(({ statement }) => [statement.type, statement.view, statement.seq, statement.signer]),
  ).toEqual([
    ['pre-prepare', 4, 1, 0],
    ['prepare', 4, 1, 1],
    ['prepare', 4, 1, 2],
  ])
  expect(claims.map(({ statement }) => statement.digests)).toEqual(Array(3).fill([batchAt(2).digest]))
  expect(chosen()).toEqual([])
  decision.onVerified(check, [true, true, true])
  expect(chosen()).toEqual(['1@4'])
})

test('[VC2] one bad signature, and O falls back on the next best, again and again', () => {
  decide([certificate(1, 1, 2)], [certificate(2, 1, 4)], [certificate(3, 1, 7)])
  answer('1@7')
  answer('1@4')
  expect(chosen()).toEqual([])
  answer()
  expect(chosen()).toEqual(['1@2'])
})

test('[VC2] when none holds the seq is as if nothing was prepared there', () => {
  decide([certificate(1, 1, 2)], [certificate(2, 2, 4)], [])
  answer('2@4')
  expect(chosen()).toEqual(['1@2'])
  decide([certificate(1, 1, 2)], [certificate(2, 2, 4)], [])
  answer('1@2')
  expect(chosen()).toEqual(['1@2', '1@null 2@4'])
})

test('[VC2] what held is not verified again: not in the same round, not in the next decision', () => {
  const [good, better, other] = [certificate(1, 1, 2), certificate(2, 1, 4), certificate(3, 2, 3)]
  decide([good], [better, other], [])
  answer('1@4')
  // 2@3 held in the first round.
  const { check, claims } = asked()
  expect(claims.filter(({ statement }) => statement.seq === 2)).toEqual([])
  decision.onVerified(
    check,
    claims.map(() => true),
  )
  decide([good, other], [], [])
  expect(outbox.drain()).toEqual([])
  expect(chosen()).toEqual(['1@2 2@3', '1@2 2@3'])
})

test('[VC2] an equal certificate of another sender is verified on its own: equal names prove nothing', () => {
  decide([certificate(1, 1, 2)], [], [])
  answer()
  decide([certificate(1, 1, 2)], [], [])
  expect(effectsOf(outbox.drain(), 'verify')).toHaveLength(1)
})

test("[VC2] this replica's own are trusted", () => {
  const own = certificate(1, 1, 2)
  decision.trust([own])
  decide([own], [], [])
  expect(outbox.drain()).toEqual([])
  expect(chosen()).toEqual(['1@2'])
})

test('[VC2] what was refuted in one decision is looked at anew in the next', () => {
  const one = certificate(1, 1, 2)
  decide([one], [], [])
  answer('1@2')
  decide([one], [], [])
  answer()
  expect(chosen()).toEqual(['', '1@2'])
})

test('[VC2] two decisions at a time do not disturb each other', () => {
  decide([certificate(1, 1, 2)], [], [])
  const first = asked()
  decide([certificate(2, 1, 4)], [], [])
  answer()
  expect(chosen()).toEqual(['1@4'])
  decision.onVerified(
    first.check,
    first.claims.map(() => true),
  )
  expect(chosen()).toEqual(['1@4', '1@2'])
  expect(decision.onVerified(first.check, [])).toBe(false)
})
