import { expect, test } from 'vitest'
import { at, chainAt, checkpointOf, id, K, Party, stateAt } from './state-fixture.ts'

const other = (seq: number) => ({ ...stateAt(seq), stateRoot: stateAt(seq + 1).stateRoot })
const foreign = (seq: number) => ({ ...stateAt(seq), chain: chainAt(seq + 1) })

test('[CP1] q matching CHECKPOINTs are stable once the state is here, and prove h', () => {
  const party = new Party(3, { seq: K - 1 })
  for (const from of [0, 1, 2]) party.deliver(from, checkpointOf(from, stateAt(K)))
  expect(party.checkpoints.stable).toBe(null)
  party.execute(K)
  expect(party.checkpoints.stable?.seq).toBe(K)
  expect(party.log.lowWaterMark).toBe(K)
  expect(party.checkpoints.proof.map(({ replica, seq }) => [replica, seq])).toEqual([
    [0, K],
    [1, K],
    [2, K],
  ])
})

test('[CP1] the own CHECKPOINT counts among the q, and only when it is durable', () => {
  const party = new Party(0, { seq: K })
  for (const from of [1, 2]) party.deliver(from, checkpointOf(from, stateAt(K)))
  expect(party.checkpoints.stable).toBe(null)
  party.checkpoints.onTaken(stateAt(K), { mayVote: true })
  expect(party.checkpoints.stable).toBe(null)
  party.run()
  expect(party.checkpoints.stable?.seq).toBe(K)
})

test('[CP1] no second CHECKPOINT for a seq, and none below the last', () => {
  const party = new Party(0, { seq: K })
  party.take()
  party.take()
  party.checkpoints.onTaken(stateAt(K - 1), { mayVote: true })
  party.run()
  expect(party.of('persist').filter(({ record }) => record.kind === 'checkpoint')).toHaveLength(1)
})

test('[CP1] [EV1] none below h: a restart forgets what was signed there', () => {
  const party = new Party(0, { seq: 2 * K })
  party.checkpoints.admit([1, 2, 3].map((from) => checkpointOf(from, stateAt(2 * K))))
  party.run()
  expect(party.checkpoints.stable?.seq).toBe(2 * K)
  party.checkpoints.onTaken(stateAt(K), { mayVote: true })
  party.run()
  expect(party.of('persist').filter(({ record }) => record.kind === 'checkpoint')).toEqual([])
})

test('[D5] an amnesiac signs no CHECKPOINT', () => {
  const party = new Party(0, { seq: K })
  party.facts.isVoting = false
  party.take()
  expect(party.of('persist')).toEqual([])
  expect(party.sent).toEqual([])
})

test('[CP1] a certificate out of a VIEW-CHANGE counts, whatever its signers said elsewhere', () => {
  const party = new Party(3, { seq: K })
  // r0 signs two states for K; the wrong one is here first.
  party.deliver(0, checkpointOf(0, other(K)))
  party.checkpoints.admit([0, 1, 2].map((from) => checkpointOf(from, stateAt(K))))
  party.run()
  expect(party.checkpoints.stable?.seq).toBe(K)
})

test('[CP1] fewer than q out of a VIEW-CHANGE prove nothing', () => {
  const party = new Party(3, { seq: K })
  const two = [0, 1].map((from) => checkpointOf(from, stateAt(K)))
  party.checkpoints.admit([...two, two[1] as (typeof two)[0]])
  party.run()
  expect(party.checkpoints.stable).toBe(null)
})

test('[CP1] a signature that was verified is known again, another one is not', () => {
  const party = new Party(3, { seq: K - 1 })
  const known = checkpointOf(0, stateAt(K))
  party.deliver(0, known)
  expect(party.checkpoints.isVerified({ ...known })).toBe(true)
  expect(party.checkpoints.isVerified({ ...known, signature: new Uint8Array(32) })).toBe(false)
  expect(party.checkpoints.isVerified({ ...known, chain: chainAt(1) })).toBe(false)
  expect(party.checkpoints.isVerified(checkpointOf(1, stateAt(K)))).toBe(false)
})

test('[CP1] what a sender can make this replica keep is bounded', () => {
  const party = new Party(3, { seq: 0 })
  for (let seq = K; seq <= 100 * K; seq += K) party.deliver(0, checkpointOf(0, stateAt(seq)))
  party.deliver(0, checkpointOf(0, stateAt(K)))
  const kept = Array.from({ length: 100 }, (_, k) => checkpointOf(0, stateAt((k + 1) * K)))
  expect(kept.filter((one) => party.checkpoints.isVerified(one)).map(({ seq }) => seq)).toEqual([
    98 * K,
    99 * K,
    100 * K,
  ])
})

test('[CP4] CHECKPOINTs between the multiples of K never become stable', () => {
  const party = new Party(3, { seq: K + 3 })
  party.checkpoints.admit([0, 1, 2].map((from) => checkpointOf(from, stateAt(K + 3))))
  party.take()
  expect(party.checkpoints.stable).toBe(null)
  expect(party.checkpoints.weakAbove(K)).toMatchObject([{ seq: K + 3, signers: [0, 1, 2], isRegular: false }])
})

test('[CP4] a weak certificate needs f+1 others: the own CHECKPOINT is not one of them', () => {
  const party = new Party(0, { seq: K })
  party.take()
  party.deliver(1, checkpointOf(1, stateAt(K)))
  expect(party.checkpoints.weakAbove(0)).toEqual([])
  party.deliver(2, checkpointOf(2, stateAt(K)))
  expect(party.checkpoints.weakAbove(0)).toMatchObject([{ seq: K, signers: [1, 2] }])
})

test('[CP6] f+1 others with the same history and other rows: the rows here were changed', () => {
  const party = new Party(0, { seq: K })
  for (const from of [1, 2]) party.deliver(from, checkpointOf(from, other(K)))
  party.checkpoints.onTaken(stateAt(K), { mayVote: true })
  expect(party.checkpoints.divergence).toEqual({ seq: K, differs: 'rows' })
  // Nobody is told what is known to be wrong.
  expect(party.outbox.drain().filter(({ type }) => type === 'persist')).toEqual([])
})

test('[CP6] another history takes a quorum; it is repaired, and halts no replica', () => {
  const party = new Party(0, { seq: K })
  party.checkpoints.onTaken(foreign(K), { mayVote: true })
  party.run()
  for (const from of [1, 2]) party.deliver(from, checkpointOf(from, stateAt(K)))
  expect(party.checkpoints.divergence).toBe(null)
  party.deliver(3, checkpointOf(3, stateAt(K)))
  expect(party.checkpoints.divergence).toEqual({ seq: K, differs: 'history' })
  expect(party.checkpoints.stable).toBe(null)
  expect(party.of('halt')).toEqual([])
  party.checkpoints.onInstalled()
  party.run()
  expect(party.checkpoints.stable?.seq).toBe(K)
  expect(party.checkpoints.newestOwn).toBe(null)
})

test('[CP6] two quorums for one seq stop the replica: more than f are faulty', () => {
  const party = new Party(3, { seq: K })
  party.checkpoints.admit([0, 1, 2].map((from) => checkpointOf(from, stateAt(K))))
  party.checkpoints.admit([0, 1, 2].map((from) => checkpointOf(from, other(K))))
  party.run()
  expect(party.of('halt').map(({ fault }) => fault.code)).toEqual(['diverged'])
})

test('[CP6] what a quorum contradicts again after every repair stops the replica', () => {
  const party = new Party(0, { seq: 4 * K })
  for (let k = 1; k <= 4; k++) {
    for (const from of [1, 2]) party.deliver(from, checkpointOf(from, other(k * K)))
    party.checkpoints.onTaken(stateAt(k * K), { mayVote: true })
    party.checkpoints.onInstalled()
  }
  const halts = party.outbox.drain().filter(({ type }) => type === 'halt')
  expect(halts).toHaveLength(1)
})

test('[CP5] a peer that is behind gets the stable certificate once, and newer own ones', () => {
  const party = new Party(0, { seq: K - 1 })
  party.execute(K)
  for (const from of [1, 2]) party.deliver(from, checkpointOf(from, stateAt(K)))
  party.execute(2 * K)
  party.sent.length = 0
  party.checkpoints.resend(id(3), at(0))
  party.run()
  expect(
    party.sent.map(({ message }) => message.type === 'checkpoint' && [message.replica, message.seq]),
  ).toEqual([
    [0, K],
    [1, K],
    [2, K],
    [0, 2 * K],
  ])
})
