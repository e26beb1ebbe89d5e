import { expect, test } from 'vitest'
import { campaign } from './campaign.ts'
import { targetNamed } from './targets.ts'

/** A glance at each target; `node test/fuzz/run.ts` does millions. */
test.each([
  ['decoder', 10_000, ['malformed', 'request', 'new-view', 'status', 'record', 'results', 'torn']],
  ['channel', 4_000, ['packets of peers', 'replayed', 'protocolViolation', 'badCookie', 'lostPackets']],
  ['core', 4_000, ['pre-prepare', 'view-change', 'new-view', 'committed', 'views entered']],
])('%s: no throw, hang or growth in %i inputs', (name, inputs, mustHappen) => {
  const target = targetNamed(name)
  if (target === undefined) throw new Error(`there is no target ${name}`)
  const report = campaign(target, {
    seed: 7,
    inputs,
    collectGarbage: () => undefined,
    onProgress: () => undefined,
  })
  expect(report.failure).toBeNull()
  expect(mustHappen.filter((what) => report.tally.get(what) === 0)).toEqual([])
})
