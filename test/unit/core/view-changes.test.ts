import { beforeEach, expect, test } from 'vitest'
import type { ViewChange } from '../../../protocol/messages.ts'
import { viewChangeOf } from '../../../protocol/signed.ts'
import { replicaId, seq, view } from '../../../protocol/types.ts'
import type { Checkpoints } from '../../../replica/core/checkpoint.ts'
import { Incarnations } from '../../../replica/core/incarnations.ts'
import { Outbox } from '../../../replica/core/outbox.ts'
import { ViewChanges } from '../../../replica/core/view-changes.ts'
import { isSigned, sign } from '../../scenarios/parties.ts'
import { batchAt, certificateOf, configFor, effectsOf, rejectionsIn } from './parts-fixture.ts'

const config = configFor(0)

let outbox: Outbox
let viewChanges: ViewChanges
let incarnations: Incarnations

beforeEach(() => {
  outbox = new Outbox()
  incarnations = new Incarnations([])
  const checkpoints = { admit: () => {}, isVerified: () => false } as unknown as Checkpoints
  viewChanges = new ViewChanges({ config, outbox, checkpoints, incarnations })
})

type Said = { readonly prepared?: ViewChange['prepared']; readonly incarnation?: number }

const said = (replica: number, newView: number, { prepared = [], incarnation = 0 }: Said = {}): ViewChange =>
  viewChangeOf(
    { newView: view(newView), lowWaterMark: seq(0), incarnation, checkpoints: [], prepared },
    replicaId(replica),
    sign,
  )

/** A certificate of seq `n`: it makes the VIEW-CHANGE another one. */
const prepared = (...seqs: readonly number[]) =>
  seqs.map((n) => certificateOf(batchAt(n), { n, v: 0, quorum: config.quorum }))

/** Hands it over, relayed by `from`; true when it was looked at and proven. */
function receive(viewChange: ViewChange, from: number = viewChange.replica): boolean {
  viewChanges.onViewChange(replicaId(from), viewChange)
  const [check] = effectsOf(outbox.drain(), 'verify')
  if (check === undefined) return false
  const proven = viewChanges.onVerified(check.check, check.claims.map(isSigned))
  expect(proven).toBe(viewChange)
  return true
}

test('[VC5] of each sender the one for the highest view counts', () => {
  expect(receive(said(1, 3))).toBe(true)
  expect(receive(said(1, 2))).toBe(false)
  expect(receive(said(1, 3, { prepared: prepared(1) }))).toBe(false)
  expect(receive(said(2, 9))).toBe(true)
  expect(viewChanges.viewsAbove(view(0))).toEqual([3, 9])
  expect(viewChanges.viewsAbove(view(3))).toEqual([9])
})

test('[VC2] a NEW-VIEW that names another than the newest has it looked at, for that view', () => {
  const older = said(1, 1)
  receive(said(1, 5))
  expect(receive(older, 2)).toBe(false)
  viewChanges.want(replicaId(1), view(1), [older])
  expect(viewChanges.complete(replicaId(1))).toBeNull()
  expect(receive(older, 2)).toBe(true)
  expect(viewChanges.complete(replicaId(1))).toEqual([older])
  // The newest stays what it was.
  expect(viewChanges.of(replicaId(1))?.newView).toBe(5)
})

test('[VC2] of each primary the names of one NEW-VIEW are wanted: its newer ones add nothing to them', () => {
  // r1 leads 1, 5, 9 and so on, and names what it pleases.
  const named = [5, 9, 13].map((v) => said(1, v))
  receive(said(1, 17))
  for (const one of named) viewChanges.want(replicaId(1), one.newView, [one])
  expect(named.map((one) => receive(one))).toEqual([false, false, true])
  expect(viewChanges.complete(replicaId(1))).toEqual(named.slice(2))
})

test('[VC2] what a NEW-VIEW named is not wanted any more when it is not under check', () => {
  const older = said(1, 5)
  receive(said(1, 17))
  viewChanges.want(replicaId(1), view(5), [older])
  viewChanges.forget(replicaId(1))
  expect(receive(older)).toBe(false)
  expect(viewChanges.complete(replicaId(1))).toBeNull()
})

test("[VC2] what one primary's NEW-VIEW names changes nothing of another's", () => {
  const [one, two] = [said(2, 1, { prepared: prepared(1) }), said(3, 1)]
  // Under another's name, and before the honest one.
  viewChanges.want(replicaId(3), view(3), [{ replica: replicaId(0), digest: one.digest }])
  viewChanges.want(replicaId(1), view(1), [one, two])
  receive(one)
  receive(two)
  expect(viewChanges.complete(replicaId(1))).toEqual([one, two])
  expect(viewChanges.complete(replicaId(3))).toBeNull()
})

test('[VC2] a VIEW-CHANGE stands only for its sender, though equal ones have equal digests', () => {
  const [one, two] = [said(2, 1), said(3, 1)]
  expect(one.digest).toBe(two.digest)
  viewChanges.want(replicaId(1), view(1), [one, two])
  receive(one)
  expect(viewChanges.complete(replicaId(1))).toBeNull()
  receive(two)
  expect(viewChanges.complete(replicaId(1))).toEqual([one, two])
})

test('[VC5] one for another view than the NEW-VIEW stands for nothing', () => {
  const real = said(2, 1)
  receive(real)
  viewChanges.want(replicaId(1), view(5), [real])
  expect(viewChanges.complete(replicaId(1))).toBeNull()
  receive(said(2, 9))
  expect(receive(real)).toBe(false)
  expect(viewChanges.complete(replicaId(1))).toBeNull()
})

test('[VC5] nor when it comes after the NEW-VIEW that names it', () => {
  const real = said(2, 1)
  viewChanges.want(replicaId(1), view(5), [real])
  expect(receive(real)).toBe(true)
  expect(viewChanges.complete(replicaId(1))).toBeNull()
})

test('[VC1] P ascends, and is no longer than the window', () => {
  const long = Array.from({ length: config.logWindow + 1 }, (_, index) => index + 1)
  expect(receive(said(1, 1, { prepared: prepared(2, 1) }))).toBe(false)
  expect(receive(said(1, 1, { prepared: prepared(1, 1) }))).toBe(false)
  expect(receive(said(1, 1, { prepared: prepared(...long) }))).toBe(false)
  expect(receive(said(1, 1, { prepared: prepared(...long.slice(1)) }))).toBe(true)
})

test('[VC5] for STATUS: whose is here, and is the one that the NEW-VIEW names', () => {
  const [mine, other] = [said(2, 1), said(2, 1, { prepared: prepared(1) })]
  receive(mine)
  receive(said(3, 1))
  expect(viewChanges.sendersFor(view(1))).toEqual([2, 3])
  viewChanges.want(replicaId(1), view(1), [other, said(3, 1)])
  expect(viewChanges.sendersFor(view(1))).toEqual([3])
  receive(other)
  expect(viewChanges.sendersFor(view(1))).toEqual([2, 3])
  expect(viewChanges.sendersFor(view(2))).toEqual([])
})

test('[D5] what an older incarnation said of views above V is void, before and after it came', () => {
  receive(said(1, 4))
  receive(said(1, 6))
  incarnations.learn([{ replica: replicaId(1), incarnation: 7, view: view(5), seq: seq(1) }])
  expect(viewChanges.viewsAbove(view(0))).toEqual([])
  expect(viewChanges.forView(view(6))).toEqual([])
  viewChanges.onViewChange(replicaId(1), said(1, 8))
  expect(rejectionsIn(outbox.drain())).toEqual(['superseded-view'])
  expect(receive(said(1, 8, { incarnation: 7 }))).toBe(true)
  expect(viewChanges.forView(view(8))).toHaveLength(1)
})
