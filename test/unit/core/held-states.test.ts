import { beforeEach, expect, test } from 'vitest'
import { replicaId, type Seq, seq } from '../../../protocol/types.ts'
import type { Checkpoints } from '../../../replica/core/checkpoint.ts'
import { HeldStates } from '../../../replica/core/held-states.ts'
import { Outbox } from '../../../replica/core/outbox.ts'
import { configFor, effectsOf } from './parts-fixture.ts'

/** In held-states.ts. */
const LEASE_MS = 5_000
const LEASE_WINDOWS_MAX = 256
const K = 8
const WINDOW = 2 * K

let outbox: Outbox
let held: HeldStates
let stable: { durableStable: Seq; stable: { seq: Seq }; taking: readonly Seq[] }

beforeEach(() => {
  outbox = new Outbox()
  stable = { durableStable: seq(0), stable: { seq: seq(0) }, taking: [] }
  const checkpoints = stable as unknown as Checkpoints
  held = new HeldStates({ config: configFor(1, { k: K }), outbox, checkpoints, collected: seq(0) })
})

/** The state at `at` is taken, stable, and durably so. */
function moveTo(at: number): void {
  held.add(seq(at))
  stable.durableStable = seq(at)
  stable.stable = { seq: seq(at) }
}

const kept = () => effectsOf(outbox.drain(), 'keep-checkpoints').at(-1)?.seqs

test('[CP3] who fetches the same state without end has it for so many windows, and no longer', () => {
  moveTo(K)
  for (let windows = 1; windows <= LEASE_WINDOWS_MAX; windows++) {
    held.lease(replicaId(3), seq(K))
    outbox.nowMs += LEASE_MS / 2
    held.expire()
    moveTo(K + windows * WINDOW)
    expect(held.release()).toBeLessThanOrEqual(K)
  }
  held.expire()
  held.release()
  expect(held.has(seq(K))).toBe(true)
  const end = K + (LEASE_WINDOWS_MAX + 1) * WINDOW
  moveTo(end)
  held.lease(replicaId(3), seq(K))
  held.expire()
  outbox.drain()
  // The state is let go of, and the vote log is cut again.
  expect(held.release()).toBe(end - WINDOW)
  expect(kept()).toEqual([end])
  expect(held.has(seq(K))).toBe(false)
})

test('[CP3] a lease that nobody renews ends by itself', () => {
  moveTo(K)
  held.lease(replicaId(3), seq(K))
  moveTo(5 * K)
  outbox.nowMs = LEASE_MS - 1
  held.expire()
  held.release()
  expect(held.has(seq(K))).toBe(true)
  outbox.nowMs = LEASE_MS
  held.expire()
  expect(held.release()).toBe(3 * K)
  expect(kept()).toEqual([5 * K])
})

test('[CP3] a state whose root is not known yet is not let go of: under load the next one is always being taken', () => {
  moveTo(K)
  held.add(seq(2 * K))
  stable.taking = [seq(3 * K)]
  held.release()
  outbox.drain()
  // 2K is stable now; 3K is in the database, and will be this replica's newest.
  moveTo(2 * K)
  held.release()
  expect(kept()).toEqual([2 * K, 3 * K])
})
