import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { CallId } from '../../../client/effects.ts'
import { REQUEST_HISTORY_ENTRIES_MAX } from '../../../client/request-size.ts'
import * as bank from '../../../db/state-machine/operations.ts'
import type { Message, Read, ReadReply, Reply, Request } from '../../../protocol/messages.ts'
import { replicaId, requestNumber, seq, view } from '../../../protocol/types.ts'
import { deposit, FakeCluster, SELF } from './fake-cluster.ts'

const LATE = 1_000_000

/** What a liar may say of something that was asked: any field but those that say what it answers to. */
const lieAbout = (asked: Request | Read): fc.Arbitrary<Message> =>
  asked.type === 'read' ? readLie(asked) : replyLie(asked)

const readLie = ({ nonce, accounts }: Read): fc.Arbitrary<ReadReply> =>
  fc.record({
    type: fc.constant('read-reply' as const),
    nonce: fc.oneof(fc.constant(nonce), fc.nat()),
    values: fc.array(
      fc.record({
        account: fc.constantFrom(...accounts, 'x'),
        balance: fc.option(fc.bigInt()),
        version: fc.nat().map(seq),
      }),
      { maxLength: 3 },
    ),
  })

const replyLie = ({ lane, number, digest }: Request): fc.Arbitrary<Reply> =>
  fc.record({
    type: fc.constant('reply' as const),
    client: fc.constant(SELF),
    lane: fc.constant(lane),
    number: fc.oneof(fc.constant(number), fc.nat().map(requestNumber)),
    requestDigest: fc.constant(digest),
    outcome: fc.oneof(
      fc.uint8Array({ maxLength: 40 }).map((result) => ({ kind: 'executed' as const, result })),
      fc.constant({ kind: 'number-reused' as const }),
      fc.maxSafeNat().map((entry) => ({ kind: 'superseded' as const, entryNumber: requestNumber(entry) })),
    ),
    view: fc.maxSafeNat().map(view),
  })

test('[NC6] whatever one replica says, the core does not throw, and every call gets the true answer', () => {
  fc.assert(
    fc.property(fc.gen(), (gen) => {
      const cluster = new FakeCluster({ lanes: 2, lanesPerClientMax: 2 })
      const liar = gen(fc.nat, { max: 3 })
      cluster.behaviours.set(liar, () => undefined)
      const calls: CallId[] = []
      for (let round = 0; round < 6; round++) {
        calls.push(cluster.core.submit([deposit('A', 1)], LATE), cluster.core.read(['A'], LATE))
        cluster.flush()
        const asked = cluster.sent.slice(-8).map(({ message }) => message)
        for (const message of asked)
          cluster.hear(
            liar,
            gen(() => lieAbout(message)),
          )
        cluster.settle()
      }
      cluster.advance(10_000)
      expect(cluster.errors.size).toBe(0)
      expect(calls.filter((call) => !cluster.answers.has(call))).toEqual([])
      expect(cluster.balances.get('A')?.balance).toBe(6n)
    }),
    { numRuns: 150 },
  )
})

test('step is total: a quorum of liars and strangers does not make it throw either', () => {
  fc.assert(
    fc.property(fc.gen(), (gen) => {
      const cluster = new FakeCluster({ lanes: 1, lanesPerClientMax: 2 })
      cluster.deaf = true
      for (let round = 0; round < 5; round++) {
        cluster.core.submit([deposit('A', 1)], cluster.nowMs + 300)
        cluster.core.read(['A'], cluster.nowMs + 300)
        cluster.flush()
        for (const { message } of cluster.sent.slice(-8)) {
          const lie = gen(() => lieAbout(message))
          for (const from of [0, 1, 2, 3, 9, 2_000]) cluster.hear(from, lie)
        }
        cluster.advance(gen(fc.nat, { max: 400 }))
      }
      cluster.core.step({ type: 'session-down', peer: replicaId(77) }, cluster.nowMs)
    }),
    { numRuns: 150 },
  )
})

test("the client knows the bank's bound of history entries for one request", () => {
  expect(REQUEST_HISTORY_ENTRIES_MAX).toBe(bank.REQUEST_HISTORY_ENTRIES_MAX)
})
