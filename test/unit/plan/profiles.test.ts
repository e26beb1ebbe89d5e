import { expect, test } from 'vitest'
import { parsePlan } from '../../../chaos/plan/parse.ts'
import { faultsOf } from '../../../chaos/plan/plan.ts'
import { PROFILES, profileDemands, profileText } from '../../../chaos/plan/profiles.ts'
import { requireTolerated } from '../../../chaos/plan/tolerance.ts'

const SEEDS = 200
const planOf = (profile: (typeof PROFILES)[number], seed: number, replicas = 4) =>
  parsePlan({ name: profile, text: profileText(profile, { seed, seconds: 60, replicas }) })

test.each(PROFILES)(
  '%s: every seed gives a plan that is understood, tolerated, and quiet at the end',
  (profile) => {
    for (let seed = 1; seed <= SEEDS; seed++) {
      const plan = planOf(profile, seed, seed % 5 === 0 ? 7 : 4)
      expect(() => requireTolerated(plan)).not.toThrow()
      expect(plan).toMatchObject({
        name: profile,
        seconds: 60,
        strikeSeconds: 51,
        demands: profileDemands(profile),
      })
      expect(plan.steps.flatMap(faultsOf).length).toBeGreaterThan(10)
    }
  },
)

test.each(PROFILES)('%s: the seed decides all of it', (profile) => {
  expect(planOf(profile, 3)).toEqual(planOf(profile, 3))
  expect(planOf(profile, 3)).not.toEqual(planOf(profile, 4))
})

/** What has to be struck for an event to happen. */
const NEEDS: Readonly<Record<string, RegExp>> = {
  'view-change': /ProcessChaos (kill|pause|terminate) primary|partition/,
  'several-view-changes': /primary[\s\S]*primary/,
  'catch-up-by-messages': /ProcessChaos (kill|pause)|partition/,
  'state-transfer-with-rows': /ProcessChaos kill one|wipe-(database|both)/,
  'amnesiac-votes-again': /wipe-(votes|both)/,
  'power-cut-of-all': /power-loss all/,
  redo: /DatabaseChaos (kill|refuse)/,
  repair: /edit/,
  'database-reconnect': /DatabaseChaos refuse/,
  partition: /partition/,
  'datagrams-lost': /NetworkChaos loss/,
  'datagrams-delayed': /NetworkChaos delay/,
  'datagrams-duplicated': /duplicate/,
  'datagrams-reordered': /reorder/,
  'datagrams-corrupted': /corrupt/,
  'datagrams-replayed': /replay/,
}

test.each(PROFILES)('%s: what it demands is struck before the time can be over', (profile) => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    const plan = planOf(profile, seed)
    const [first] = plan.steps
    const core = first?.type === 'parallel' ? first.steps : [first]
    const played = core.flatMap((step) => {
      if (step === undefined) return []
      // Of what goes on beside the rest, the first step of the serial is the one that is played to its end.
      const steps = step.type === 'serial' && first?.type === 'parallel' ? step.steps.slice(0, 1) : [step]
      return steps.flatMap(faultsOf)
    })
    const words = played
      .map(({ strike, selection }) => `${strike.kind} ${strike.action} ${selection.mode}`)
      .join('\n')
    for (const demand of plan.demands) expect(words, demand).toMatch(NEEDS[demand] ?? /^$/)
  }
})
