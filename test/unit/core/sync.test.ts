import { expect, test } from 'vitest'
import type { Effect } from '../../../replica/core/effect.ts'
import { transfer } from '../../paper/fixture.ts'
import { Harness } from '../../scenarios/harness.ts'

/** Which records r1 asked to have synced, since something waits for them. */
function syncedBy(cluster: Harness): string[] {
  return cluster.transcript.flatMap((line) => {
    const [self, , effects] = JSON.parse(line) as [number, unknown, Effect[]]
    if (self !== 1) return []
    return effects.flatMap((e) =>
      e.type === 'persist' ? [`${e.record.kind} ${e.sync ? 'now' : 'later'}`] : [],
    )
  })
}

test('[D1] votes are synced, a committed mark behind a prepared record is not', () => {
  const cluster = new Harness({ k: 1 })
  cluster.request(transfer(1), [0])
  cluster.deliver()
  expect(syncedBy(cluster)).toEqual([
    'pre-prepare now',
    'prepared now',
    'committed later',
    'checkpoint now',
    'stable now',
  ])
})

test('[D4] the mark of a batch that is not prepared here is synced: execution waits for it', () => {
  const cluster = new Harness()
  cluster.request(transfer(1), [0])
  cluster.deliver({ type: 'pre-prepare' })
  cluster.deliver({ type: 'prepare', to: [0, 2, 3] })
  cluster.deliver({ type: 'commit', to: [0, 1, 2, 3] })
  expect(syncedBy(cluster)).toEqual(['pre-prepare now', 'committed now'])
  expect(cluster.executed()).toEqual([1, 1, 1, 1])
})

test('[CP5] so is what catch-up brought', () => {
  const cluster = new Harness({ k: 4 })
  cluster.crash(1)
  for (const number of [1, 2, 3, 4, 5, 6, 7, 8]) {
    cluster.request(transfer(number), [0])
    cluster.deliver()
  }
  cluster.restart(1)
  cluster.settle()
  expect(cluster.executed()).toEqual([8, 8, 8, 8])
  const marks = syncedBy(cluster).filter((record) => record.startsWith('committed'))
  expect(marks).toEqual(Array(8).fill('committed now'))
})
