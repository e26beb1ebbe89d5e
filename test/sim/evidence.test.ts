import { expect, test } from 'vitest'
import { type SimReport, simulate } from '../../chaos/sim/simulate.ts'
import { evidenceOf } from '../../protocol/evidence.ts'
import type { AccountableStatement, Evidence } from '../../protocol/messages.ts'
import { replicaId, ZERO_DIGEST } from '../../protocol/types.ts'
import { parseBehaviours } from '../../replica/byzantine/behaviour.ts'
import type { Effect } from '../../replica/core/effect.ts'

const SMALL = { clients: 4, requests: 40, replicas: 4 }
const SEEDS = [1, 2, 3, 4, 5, 6]

const lied = (text: string, seed: number): SimReport =>
  simulate({
    ...SMALL,
    seed,
    faults: ['loss', 'crash'],
    byzantine: { behaviours: parseBehaviours(text, { replicas: 4 }) },
  })

test.each(['equivocation', 'conflicting-votes'])('[EV3] who does it is accused in most runs: %s', (text) => {
  const reports = SEEDS.map((seed) => lied(text, seed))
  expect(reports.flatMap(({ failure }) => failure ?? [])).toEqual([])
  const accused = reports.filter(({ happenings }) => (happenings['liar accused'] ?? 0) > 0)
  expect(accused.length).toBeGreaterThan(SEEDS.length / 2)
})

/** [EV1] The run itself looks at everything that correct replicas sign: whatever they lost, nothing contradicts. */
test('[EV1] correct replicas that crash, lose their logs and are edited are accused by nobody', () => {
  for (const seed of SEEDS) {
    const faults = ['crash', 'power', 'lost-log', 'lost-database', 'tampered-rows'] as const
    const report = simulate({ ...SMALL, seed, faults })
    expect(report.failure).toBeNull()
    expect(report.happenings['liar accused']).toBeUndefined()
  }
})

/** Two statements in the name of replica 1, signed by nobody. */
function fabricated(): Evidence {
  const said = (digit: string): AccountableStatement => ({
    type: 'commit',
    view: 0,
    seq: 1,
    signer: replicaId(1),
    digests: [`${digit}${ZERO_DIGEST.slice(1)}` as typeof ZERO_DIGEST],
  })
  const claims = ['a', 'b'].map((digit) => ({ statement: said(digit), signature: new Uint8Array(64) }))
  const [one, other] = claims
  const evidence = one === undefined || other === undefined ? null : evidenceOf(one, other)
  if (evidence === null) throw new Error('no contradiction')
  return evidence
}

test('[EV2] fabricated evidence is refused, and kept by nobody', () => {
  const message = fabricated()
  const withEvidence = (effects: readonly Effect[]): readonly Effect[] =>
    effects.flatMap((effect) =>
      effect.type === 'send' && effect.message.type === 'status'
        ? [effect, { ...effect, message }]
        : [effect],
    )
  const effects = (replica: number, all: readonly Effect[]) => (replica === 0 ? withEvidence(all) : all)
  const report = simulate({ ...SMALL, seed: 1, faults: 'none', sabotage: { effects } })
  expect(report.failure).toBeNull()
  expect(report.happenings['rejected bad-signature']).toBeGreaterThan(0)
  expect(report.happenings['liar accused']).toBeUndefined()
})
