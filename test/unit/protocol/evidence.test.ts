import { describe, expect, test } from 'vitest'
import { decodeMessage, encodeMessage, isMalformed } from '../../../protocol/codec.ts'
import { sodiumVerifier } from '../../../protocol/crypto.ts'
import { describeEvidence, evidenceOf } from '../../../protocol/evidence.ts'
import { formatEvidence, parseEvidence } from '../../../protocol/evidence-file.ts'
import type { AccountableClaim, Evidence } from '../../../protocol/messages.ts'
import { checkpointed, claim, evidence, GENESIS, ordered, publicKeyOf } from './evidence-fixture.ts'

const verify = (text: string) => parseEvidence(text, GENESIS, sodiumVerifier)
const written = (one: AccountableClaim, other: AccountableClaim) =>
  formatEvidence(evidence(one, other), GENESIS)
/** A file, changed by somebody. */
function edited(change: (file: ReturnType<typeof JSON.parse>) => void, of = PROOF): string {
  const file = JSON.parse(of)
  change(file)
  return JSON.stringify(file)
}
const refusal = (text: string): string => {
  const read = verify(text)
  return 'refused' in read ? read.refused : 'accepted'
}

const PROOF = written(claim(ordered('pre-prepare', 'a')), claim(ordered('pre-prepare', 'b')))

const PAIRS: readonly [string, AccountableClaim, AccountableClaim][] = [
  ['two PRE-PREPAREs', claim(ordered('pre-prepare', 'a')), claim(ordered('pre-prepare', 'b'))],
  ['two PREPAREs', claim(ordered('prepare', 'a')), claim(ordered('prepare', 'b'))],
  ['two COMMITs', claim(ordered('commit', 'a')), claim(ordered('commit', 'b'))],
  [
    'a PRE-PREPARE and a PREPARE of different batches',
    claim(ordered('pre-prepare', 'a')),
    claim(ordered('prepare', 'b')),
  ],
  [
    'a PRE-PREPARE and a COMMIT of different batches',
    claim(ordered('pre-prepare', 'a')),
    claim(ordered('commit', 'b')),
  ],
  [
    'a PREPARE and a COMMIT of different batches',
    claim(ordered('prepare', 'a')),
    claim(ordered('commit', 'b')),
  ],
  ['two CHECKPOINTs', claim(checkpointed('a', 'c')), claim(checkpointed('b', 'c'))],
  ['two CHECKPOINTs', claim(checkpointed('a', 'c')), claim(checkpointed('a', 'd'))],
]

describe.each(PAIRS)('%s', (what, one, other) => {
  test('[EV1] contradict each other, in one form whichever came first', () => {
    expect(evidenceOf(one, other)).toEqual(evidenceOf(other, one))
    expect(describeEvidence(evidence(one, other))).toContain(`${what} for `)
  })

  test('[EV2] hold as a file, which reads back, and as a message', () => {
    const made = evidence(one, other)
    expect(verify(formatEvidence(made, GENESIS))).toEqual(made)
    expect(decodeMessage(encodeMessage(made))).toEqual(made)
  })

  test('[EV2] refused: another signed the one, or the other', () => {
    for (const forged of [
      written(claim(one.statement, { by: 1 }), other),
      written(one, claim(other.statement, { by: 1 })),
    ]) {
      expect(refusal(forged)).toMatch(/replica 2 did not sign its (first|second) statement/)
    }
  })

  test('[EV2] refused: signed in another cluster', () => {
    const elsewhere = claim(other.statement, { clusterId: '0b'.repeat(16) })
    expect(refusal(written(one, elsewhere))).toContain('did not sign')
  })
})

describe('no evidence', () => {
  const SAME: readonly [string, AccountableClaim, AccountableClaim][] = [
    ['one statement twice', claim(ordered('commit', 'a')), claim(ordered('commit', 'a'))],
    ['a PREPARE and a COMMIT of one batch', claim(ordered('prepare', 'a')), claim(ordered('commit', 'a'))],
    ['another view', claim(ordered('commit', 'a')), claim(ordered('commit', 'b', { view: 4 }))],
    ['another seq', claim(ordered('commit', 'a')), claim(ordered('commit', 'b', { seq: 18 }))],
    ['another signer', claim(ordered('commit', 'a')), claim(ordered('commit', 'b', { signer: 1 }))],
    ['one state twice', claim(checkpointed('a', 'c')), claim(checkpointed('a', 'c'))],
    ['states at two places', claim(checkpointed('a', 'c')), claim(checkpointed('b', 'c', 17))],
    [
      'a state and a vote',
      claim(checkpointed('a', 'c')),
      claim(ordered('commit', 'b', { view: 0, seq: 16 })),
    ],
  ]
  test.each(SAME)('[EV1] %s', (_, one, other) => {
    expect(evidenceOf(one, other)).toBeNull()
  })

  test('[EV1] a file and a message with such a pair are refused', () => {
    const [first] = JSON.parse(PROOF).statements
    expect(refusal(edited((file) => (file.statements = [first, first])))).toContain(
      'do not contradict each other',
    )
    const [one] = evidence(claim(ordered('commit', 'a')), claim(ordered('commit', 'b'))).claims
    const twice: Evidence = { type: 'evidence', accused: one.statement.signer, claims: [one, one] }
    expect(isMalformed(decodeMessage(encodeMessage(twice)))).toBe(true)
  })

  test('[EV1] a message in another order than its own is refused: one pair has one form', () => {
    const { claims, ...rest } = evidence(claim(ordered('commit', 'a')), claim(ordered('commit', 'b')))
    const turned: Evidence = { ...rest, claims: [claims[1], claims[0]] }
    expect(isMalformed(decodeMessage(encodeMessage(turned)))).toBe(true)
  })
})

describe('[EV2] a file proves nothing', () => {
  const CHANGES: readonly [string, (file: ReturnType<typeof JSON.parse>) => void, string | RegExp][] = [
    ['about another cluster', (file) => (file.clusterId = '0b'.repeat(16)), 'it is about cluster 0b0b'],
    [
      'with a key of its own',
      (file) => (file.publicKey = publicKeyOf(1)),
      'not the one that genesis names for replica 2',
    ],
    ['about a replica that genesis has not', (file) => (file.accused = 4), 'genesis has no replica 4'],
    [
      'about another replica',
      (file) => {
        file.accused = 1
        file.publicKey = publicKeyOf(1)
      },
      'replica 1 did not sign',
    ],
    [
      'with another view',
      (file) => {
        for (const statement of file.statements) statement.view = 4
      },
      'did not sign',
    ],
    [
      'with another seq',
      (file) => {
        for (const statement of file.statements) statement.seq = 18
      },
      'did not sign',
    ],
    ['with a digest changed', (file) => (file.statements[0].digest = '0'.repeat(64)), 'did not sign'],
    [
      'with a signature changed',
      (file) => (file.statements[1].signature = '0'.repeat(128)),
      'did not sign its second statement',
    ],
    [
      'with a type changed',
      (file) => {
        for (const statement of file.statements) statement.type = 'prepare'
      },
      'did not sign',
    ],
    ['with something added', (file) => (file.note = 'true'), /it is no evidence: /],
    ['with one statement', (file) => file.statements.pop(), /it is no evidence: statements/],
    ['of a later version', (file) => (file.version = 2), 'reads evidence of version 1'],
  ]
  test.each(CHANGES)('%s', (_, change, why) => {
    expect(refusal(edited(change))).toMatch(why)
  })

  test('that is not JSON', () => {
    expect(refusal('{')).toMatch(/^it is not JSON: /)
    expect(refusal('[]')).toMatch(/^it is no evidence: /)
  })
})
