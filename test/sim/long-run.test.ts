import { expect, test } from 'vitest'
import { type LongRunOptions, longRun } from '../../chaos/sim/long-run.ts'
import type { Message } from '../../protocol/messages.ts'
import { quorumOf } from '../../protocol/quorum.ts'
import { primaryOf } from '../../replica/core/config.ts'
import { type Ordering, viewOf } from '../../replica/core/early.ts'
import type { Effect } from '../../replica/core/effect.ts'

type Send = Extract<Effect, { type: 'send' }>

const leads = (message: Ordering): boolean => primaryOf(viewOf(message), quorumOf(4)) === 0

/** Minutes of simulated time: `LONG_RUN_MINUTES=120 npx vitest run test/sim/long-run.test.ts` for two hours. */
const MINUTES = Number(process.env.LONG_RUN_MINUTES ?? 2)
const CLUSTER = { viewChangeTimeoutMs: 500, statusBusyMs: 20, batchOperationsMax: 500, inFlightMax: 4 }

test('[NC8] [NC10] no view changes while the load changes and nothing is faulty', {
  timeout: 60_000 + 30_000 * MINUTES,
}, () => {
  const { given, done, happenings } = longRun({ seed: 1, minutes: MINUTES, load: 'changing' })
  expect(done).toBe(given)
  expect(happenings).not.toHaveProperty('view-change-started')
})

/** Replica 0 holds such messages of the views that it leads back for `ms`, and leaves views as it must. */
const delaying =
  (ms: number, types: readonly Message['type'][]): NonNullable<LongRunOptions['sabotage']> =>
  (simulation) => {
    let held: { readonly dueMs: number; readonly send: Send }[] = []
    const isHeld = (effect: Effect): effect is Send =>
      effect.type === 'send' && types.includes(effect.message.type) && leads(effect.message as Ordering)
    return {
      effects(replica, effects) {
        if (replica !== 0) return effects
        const nowMs = simulation().world.queue.nowUs / 1_000
        const leaves = effects.some((e) => e.type === 'send' && e.message.type === 'view-change')
        if (leaves) held = []
        for (const send of effects.filter(isHeld)) held.push({ dueMs: nowMs + ms, send })
        const due = held.filter(({ dueMs }) => dueMs <= nowMs)
        held = held.filter(({ dueMs }) => dueMs > nowMs)
        return [...effects.filter((effect) => !isHeld(effect)), ...due.map(({ send }) => send)]
      },
    }
  }

test('[NC10] a primary that delays just under T costs less than half of a minute', {
  timeout: 60_000,
}, () => {
  const minute = { seed: 1, minutes: 1, load: 'steady', cluster: CLUSTER } as const
  const quiet = longRun(minute)
  expect(quiet.happenings).not.toHaveProperty('view-change-started')
  const delayed = longRun({ ...minute, sabotage: delaying(440, ['pre-prepare']) })
  expect(delayed.happenings).toHaveProperty('primary-too-slow')
  expect(delayed.done).toBeGreaterThan(0.5 * quiet.done)
})

test('[NC10] who gave the view up alone is followed, although votes take as long as the primary likes without it', {
  timeout: 60_000,
}, () => {
  const slow = delaying(35, ['pre-prepare', 'prepare', 'commit'])
  const { happenings } = longRun({ seed: 1, minutes: 1, load: 'steady', cluster: CLUSTER, sabotage: slow })
  expect(happenings).toHaveProperty('primary-too-slow')
  expect(happenings).toHaveProperty('view entered')
})
