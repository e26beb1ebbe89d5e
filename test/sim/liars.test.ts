import { describe, expect, test } from 'vitest'
import { type SimOptions, type SimReport, simulate } from '../../chaos/sim/simulate.ts'
import { quorumOf } from '../../protocol/quorum.ts'
import { BEHAVIOUR_NAMES, parseBehaviours } from '../../replica/byzantine/behaviour.ts'

const SEEDS = 16
const SMALL = { clients: 4, requests: 40 }

function lied(text: string, options: Omit<SimOptions, 'byzantine'> & { readonly count?: number }) {
  const { count, replicas = 4, ...rest } = options
  const behaviours = parseBehaviours(text, { replicas })
  const byzantine = { behaviours, ...(count === undefined ? {} : { count }) }
  return simulate({ ...SMALL, replicas, ...rest, byzantine })
}

describe('f liars change nothing, although they never stop', () => {
  test.each(BEHAVIOUR_NAMES)('%s', (name) => {
    const report = lied(name, { seed: 3, faults: ['loss', 'reorder', 'crash'] })
    expect(report.failure).toBeNull()
  })

  test('two of seven, with several behaviours each', () => {
    const report = lied('equivocation; replay; lying-replies', { seed: 5, replicas: 7, faults: ['crash'] })
    expect(report.failure).toBeNull()
    expect(report.plan.liars).toHaveLength(2)
  })
})

/** What they are good for ends at f: this is what shows that the checks above can fail. */
describe('f+1 liars break agreement, and it is seen', () => {
  test.each([4, 7])('of %d', (replicas) => {
    const count = quorumOf(replicas).f + 1
    // It takes a liar as the primary, which is the seed's to draw.
    const broken = firstFailure((seed) =>
      lied('equivocation; two-faced', { seed, replicas, faults: 'none', count }),
    )
    expect(broken?.kind).toBe('agreement')
    expect(broken?.message).toMatch(/seq \d+: \w+ is committed at replica \d, \w+ at another/)
  })
})

function firstFailure(run: (seed: number) => SimReport): SimReport['failure'] {
  for (let seed = 1; seed <= SEEDS; seed++) {
    const { failure } = run(seed)
    if (failure !== null) return failure
  }
  return null
}
