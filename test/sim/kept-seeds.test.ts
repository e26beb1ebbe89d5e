import { expect, test } from 'vitest'
import { simulate } from '../../chaos/sim/simulate.ts'
import { parseBehaviours } from '../../replica/byzantine/behaviour.ts'

/** Seeds that once failed, and what was wrong. Later faults draw some of them other plans; they are still runs. */
const KEPT: readonly (readonly [seed: number, replicas: number | undefined, rule: string, what: string])[] = [
  [1, undefined, 'D1', 'a VIEW-CHANGE was sent again, to whoever lacked it, before its record was durable'],
  [315, undefined, 'D5', 'an amnesiac handed on a NEW-VIEW with its own forgotten VIEW-CHANGE'],
  [1084, undefined, 'CP6', 'the root of rows that had been replaced meanwhile was signed'],
  [1124, undefined, 'CP6', 'an own wrong CHECKPOINT was held against the repaired database after a restart'],
  [2144, undefined, 'D5', 'votes began before the record of the return was durable'],
  [10126, undefined, 'D5', 'a peer that votes again was still taken for an amnesiac, and too many counted'],
  [20035, undefined, 'VC2', 'a NEW-VIEW named a VIEW-CHANGE that was logged, and never sent before a crash'],
  [100700, 4, 'CP5', 'one replica alone had the last commits, and nobody asked it'],
]

test.each(KEPT)('seed %d (n %s) [%s] %s', (seed, replicas) => {
  const report = simulate({ seed, ...(replicas === undefined ? {} : { replicas }) })
  expect(report.failure).toBeNull()
})

/**
 * The same of the matrix of pairs, with its faults. Since clients send to all at once none of them fails with its mend
 * taken back; test/unit/core/admission.test.ts and test/scenarios/view-timer.txt hold those.
 */
const KEPT_WITH_LIARS: readonly (readonly [
  seed: number,
  liar: string,
  rule: string,
  what: string,
  /** What the seed is kept for, where it still happens in it. */
  happening: string | null,
])[] = [
  [
    12,
    'equivocation; lying-reads',
    'FS3',
    'a stale request that a liar ordered kept its lane from being heard',
    null,
  ],
  [
    101,
    'equivocation; conflicting-votes',
    'FS3',
    'what seed 12 met, until clients sent READs again to sessions that came up',
    'stale request ordered',
  ],
  [20, 'equivocation; conflicting-votes', 'FS3', 'the same, in a window that nothing else filled', null],
  [
    16,
    'sign; corrupt-state',
    'NC8',
    'two replicas were behind a third that could not prove what it had, and excused the primary for ever',
    null,
  ],
]

test.each(KEPT_WITH_LIARS)('seed %d, a liar of four (%s) [%s] %s', (seed, liar, _rule, _what, happening) => {
  const report = simulate({
    seed,
    replicas: 4,
    clients: 4,
    requests: 60,
    faults: ['loss', 'duplication', 'reorder', 'partition', 'lonely-primary', 'crash', 'absence'],
    byzantine: { behaviours: parseBehaviours(liar, { replicas: 4 }) },
  })
  expect(report.failure).toBeNull()
  if (happening !== null) expect(report.happenings).toHaveProperty(happening)
})
