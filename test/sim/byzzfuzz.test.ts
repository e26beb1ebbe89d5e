import { expect, test } from 'vitest'
import { drawFaults, MUTATIONS } from '../../chaos/sim/byzzfuzz/faults.ts'
import { Random } from '../../chaos/sim/random.ts'
import { simulate } from '../../chaos/sim/simulate.ts'

const run = (seed: number) =>
  simulate({ seed, replicas: 4, clients: 4, requests: 40, faults: 'none', byzzfuzz: true })

test('a few small faults of one liar and of the network break nothing', () => {
  const reports = Array.from({ length: 5 }, (_, seed) => run(seed + 1))
  expect(reports.map(({ failure }) => failure)).toEqual(reports.map(() => null))
  expect(reports.some(({ happenings }) => (happenings['lie told'] ?? 0) > 0)).toBe(true)
})

test('a seed replays its run, and its command says so', () => {
  const [a, b] = [run(3), run(3)]
  expect(a.traceHash).toBe(b.traceHash)
  expect(a.command).toContain('--byzzfuzz')
})

test('every mutation is drawn', () => {
  const drawn = Array.from({ length: 100 }, (_, seed) => drawFaults(new Random(seed), 4).processes).flat()
  expect(new Set(drawn.map(({ mutation }) => mutation))).toEqual(new Set(MUTATIONS))
})
