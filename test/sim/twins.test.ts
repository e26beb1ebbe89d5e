import { describe, expect, test } from 'vitest'
import { formatSchedule, parseSchedule } from '../../chaos/sim/twins/schedule.ts'
import {
  sampledFrom,
  spaceOf,
  type TwinsReport,
  type TwinsShare,
  tally,
  twins,
} from '../../chaos/sim/twins/twins.ts'

const everything = (share: { replicas: number; views: number }): TwinsShare => ({
  kind: 'exhaustive',
  ...share,
  from: 0,
  until: Number.POSITIVE_INFINITY,
})
const sampled = (
  replicas: number,
  schedules: number,
  { twins, fromSeed = 1 }: { readonly twins?: number; readonly fromSeed?: number } = {},
): TwinsShare => ({
  kind: 'sampled',
  replicas,
  views: 7,
  twins,
  fromSeed,
  schedules,
})
const told = ({ failures }: { failures: readonly TwinsReport[] }) =>
  failures.map(({ schedule, seed, failure }) => ({ schedule, seed, failure }))

function firstFailure(reports: Iterable<TwinsReport>): TwinsReport | undefined {
  for (const report of reports) if (report.failure !== null) return report
  return undefined
}

describe('one identity run twice', () => {
  test('every schedule of one view of four replicas is safe, and live once it healed', () => {
    const sum = tally(twins(everything({ replicas: 4, views: 1 })))
    expect(told(sum)).toEqual([])
    expect(sum.schedules).toBe(spaceOf({ replicas: 4, views: 1 }).classes)
    expect(sum.happenings['other batch accepted at one place']).toBeGreaterThan(0)
  })

  test('so are schedules of seven views that were drawn', () => {
    const sum = tally(twins(sampled(4, 12)))
    expect(told(sum)).toEqual([])
    expect(sum.happenings).toMatchObject({
      'other batch accepted at one place': expect.any(Number),
      'view entered with prepared batches': expect.any(Number),
      'transfer-installed': expect.any(Number),
    })
  })

  test('a transfer that is cancelled while batches wait: they are executed', () => {
    expect(told(tally(twins(sampled(4, 1, { fromSeed: 16_495 }))))).toEqual([])
  })

  test('so are two identities of seven replicas', () => {
    expect(told(tally(twins(sampled(7, 4))))).toEqual([])
  })

  test('a seed replays its run', () => {
    const [a] = twins(sampled(4, 1))
    const [b] = twins(sampled(4, 1))
    expect(a).toEqual(b)
  })
})

describe('what must be found', () => {
  test('f+1 identities run twice break agreement', () => {
    const schedule = parseSchedule('0a,1a,2|0b,1b,3')
    const found = firstFailure(twins({ kind: 'given', schedule }))
    expect(found?.failure?.kind).toBe('agreement')
    expect(found?.lines.length).toBeGreaterThan(0)
  })

  test('drawn schedules find it, too', () => {
    expect(firstFailure(twins(sampled(4, 30, { twins: 2 })))?.failure).toBeTruthy()
  })

  test('a quorum of one less breaks agreement', () => {
    const schedule = parseSchedule('0a,1|0b,2|3')
    const quorum = (real: { n: number; f: number; quorum: number; weak: number }) => ({
      ...real,
      quorum: real.quorum - 1,
    })
    expect(firstFailure(twins({ kind: 'given', schedule }, { quorum }))?.failure?.kind).toBe('agreement')
  })
})

describe('schedules', () => {
  test('a line of text and back', () => {
    const text = '0a,1,2|0b,3/0a,0b,1|2|3'
    expect(formatSchedule(parseSchedule(text))).toBe('0a,1,2|3,0b/0a,1,0b|2|3')
    expect(() => parseSchedule('0,1|x')).toThrow("'x' names no instance")
    expect(() => parseSchedule('0,1,2,3/0,1,2')).toThrow('view 1 must name each of 0 1 2 3 once')
  })

  test('as many classes as are enumerated', () => {
    for (const views of [1, 2]) {
      const space = spaceOf({ replicas: 4, views })
      const all = [...space.schedules({ from: 0, until: space.size })].map(formatSchedule)
      expect(new Set(all).size).toBe(space.classes)
    }
    expect(spaceOf({ replicas: 4, views: 3 }).classes).toBe(297_216)
  })

  test('schedules to draw from: identities, times partitions of each view', () => {
    expect(sampledFrom({ replicas: 4, views: 1 })).toBe(4n * 52n)
    expect(sampledFrom({ replicas: 7, views: 2 })).toBe(21n * 21_147n ** 2n)
  })
})
