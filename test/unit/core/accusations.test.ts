import { beforeEach, describe, expect, test } from 'vitest'
import { evidenceOf, orderStatement } from '../../../protocol/evidence.ts'
import type {
  AccountableClaim,
  AccountableStatement,
  Batch,
  Checkpoint,
  Commit,
  Evidence,
  Header,
  Message,
  NewView,
  PrePrepare,
  Prepare,
  ViewChange,
} from '../../../protocol/messages.ts'
import { type Digest, replicaId, seq, view, ZERO_DIGEST } from '../../../protocol/types.ts'
import { Accusations } from '../../../replica/core/accusations.ts'
import type { Effect } from '../../../replica/core/effect.ts'
import { isSigned, sign, tampered } from '../../scenarios/parties.ts'
import { batchAt, EMPTY, effectsOf, orderingParts, rejectionsIn, viewChangeWith } from './parts-fixture.ts'

/** In accusations.ts. */
const CHECKS_MAX = 4
const ONE = batchAt(1)
const OTHER = batchAt(2)

let parts: ReturnType<typeof orderingParts>
let accusations: Accusations
/** What r2 signed for a state. */
let checkpoint: Checkpoint | undefined

/** r1 of four; r0 leads. */
function begin(evidence: readonly Evidence[] = []): void {
  parts = orderingParts(1, { k: 8 })
  checkpoint = undefined
  accusations = new Accusations({ ...parts, checkpoints: { signedBy: () => checkpoint }, evidence })
}
beforeEach(() => begin())

const claim = (statement: AccountableStatement): AccountableClaim => ({
  statement,
  signature: sign(statement),
})
const ordered = (
  type: 'pre-prepare' | 'prepare' | 'commit',
  signer: number,
  { digest }: { digest: Digest },
) => claim(orderStatement({ type, view: view(0), seq: seq(1), signer: replicaId(signer), digest }))
const header = (batch: Batch): Header => {
  const { signature } = ordered('pre-prepare', 0, batch)
  return { view: view(0), seq: seq(1), digest: batch.digest, signature }
}
const proposal = (batch: Batch): PrePrepare => ({ type: 'pre-prepare', header: header(batch), batch })
function vote<T extends 'prepare' | 'commit'>(type: T, from: number, batch: Batch) {
  const { signature } = ordered(type, from, batch)
  return { type, view: view(0), seq: seq(1), digest: batch.digest, replica: replicaId(from), signature }
}
function evidence(one: AccountableClaim, other: AccountableClaim): Evidence {
  const made = evidenceOf(one, other)
  if (made === null) throw new Error('no contradiction')
  return made
}

/** As the core does it: looked at, then taken. */
function hear(from: number, message: PrePrepare | Prepare | Commit): Effect[] {
  const { normalCase } = parts
  accusations.onOrdering(replicaId(from), message)
  if (message.type === 'pre-prepare') normalCase.onPrePrepare(replicaId(from), message)
  else if (message.type === 'prepare') normalCase.onPrepare(replicaId(from), message)
  else normalCase.onCommit(replicaId(from), message)
  return settle()
}

/** Verdicts on all that is asked for. */
function settle(): Effect[] {
  const effects = parts.outbox.drain()
  for (const { check, claims } of effectsOf(effects, 'verify')) {
    const valid = claims.map(isSigned)
    if (!accusations.onVerified(check, valid)) parts.normalCase.onVerified(check, valid)
  }
  return effectsOf(effects, 'verify').length === 0 ? effects : [...effects, ...settle()]
}

const kept = (effects: readonly Effect[]) => effectsOf(effects, 'keep-evidence').map((one) => one.evidence)
function sent(effects: readonly Effect[], type: Message['type']) {
  return effectsOf(effects, 'send').filter(({ message }) => message.type === type)
}

describe('what contradicts itself here', () => {
  test('[EV3] two proposals of the primary for one place are kept, told to all, and not kept twice', () => {
    hear(0, proposal(ONE))
    const effects = hear(0, proposal(OTHER))
    const proof = evidence(ordered('pre-prepare', 0, ONE), ordered('pre-prepare', 0, OTHER))
    expect(kept(effects)).toEqual([proof])
    expect(sent(effects, 'evidence')).toEqual([{ type: 'send', to: [2, 3], message: proof }])
    expect(accusations.evidence).toEqual([proof])
    expect(kept(hear(0, proposal(batchAt(3))))).toEqual([])
  })

  test.each(['prepare', 'commit'] as const)('[EV1] two of one backup: %s', (type) => {
    hear(2, vote(type, 2, ONE))
    expect(kept(hear(2, vote(type, 2, OTHER)))).toEqual([
      evidence(ordered(type, 2, ONE), ordered(type, 2, OTHER)),
    ])
  })

  test('[EV1] a PREPARE and a COMMIT, and a proposal and a COMMIT, of different batches', () => {
    hear(2, vote('prepare', 2, ONE))
    expect(kept(hear(2, vote('commit', 2, OTHER)))).toHaveLength(1)
    hear(0, proposal(ONE))
    expect(kept(hear(0, vote('commit', 0, OTHER)))).toHaveLength(1)
    expect(accusations.evidence.map(({ accused }) => accused)).toEqual([0, 2])
  })

  test('[EV1] two states at one sequence number, whoever brings the second', () => {
    const state = (digit: string): Checkpoint => {
      const digests = [ZERO_DIGEST, digit.repeat(64) as Digest]
      const statement = { type: 'checkpoint' as const, view: 0, seq: 8, signer: replicaId(2), digests }
      const [stateRoot, chain] = digests as [Digest, Digest]
      const signature = sign(statement)
      return { type: 'checkpoint', seq: seq(8), stateRoot, chain, replica: replicaId(2), signature }
    }
    checkpoint = state('a')
    accusations.onCheckpoint(replicaId(3), state('a'))
    expect(settle()).toEqual([])
    accusations.onCheckpoint(replicaId(3), state('b'))
    expect(kept(settle()).map(({ accused }) => accused)).toEqual([2])
  })

  test('[EV3] certificates in VIEW-CHANGEs, headers of NEW-VIEWs and COMMITs in proofs are compared, too', () => {
    const bring: readonly ((from: ReturnType<typeof replicaId>) => void)[] = [
      (from) => {
        const prepared = [{ header: header(OTHER), prepares: [] }]
        const message: ViewChange = viewChangeWith(3, 1, prepared)
        accusations.onViewChange(from, message)
      },
      (from) => {
        const headers = [header(OTHER)]
        const named = { viewChanges: [], digest: ZERO_DIGEST, body: EMPTY, signature: EMPTY }
        const message: NewView = { type: 'new-view', view: view(0), headers, replica: replicaId(0), ...named }
        accusations.onNewView(from, message)
      },
      (from) => {
        const { digest } = OTHER
        const commits = [vote('commit', 0, OTHER)]
        const at = { seq: seq(1), view: view(0), batch: null, last: true }
        accusations.onCommitted(from, { type: 'committed', digest, commits, ...at })
      },
    ]
    for (const brought of bring) {
      begin()
      hear(0, proposal(ONE))
      brought(replicaId(3))
      expect(kept(settle()).map(({ accused }) => accused)).toEqual([0])
    }
  })
})

describe('what is shown to others', () => {
  test('[EV3] a vote for another batch: its sender is shown the proposal, the others the vote', () => {
    hear(0, proposal(ONE))
    const effects = hear(2, vote('prepare', 2, OTHER))
    expect(kept(effects)).toEqual([])
    expect(sent(effects, 'testimony')).toEqual([
      { type: 'send', to: [2], message: { type: 'testimony', claim: ordered('pre-prepare', 0, ONE) } },
      { type: 'send', to: [0, 3], message: { type: 'testimony', claim: ordered('prepare', 2, OTHER) } },
    ])
    // Once between two ticks.
    expect(sent(hear(2, vote('commit', 2, OTHER)), 'testimony')).toEqual([])
  })

  test('[EV3] a vote that its sender did not sign is shown to nobody, and refused', () => {
    hear(0, proposal(ONE))
    const forged = { ...vote('prepare', 2, OTHER), signature: tampered(EMPTY) }
    const effects = hear(2, forged)
    expect(sent(effects, 'testimony').map(({ to }) => to)).toEqual([[2]])
    expect(rejectionsIn(effects)).toContain('bad-signature')
  })

  test('[EV3] whoever is shown another proposal than its own has the proof', () => {
    hear(0, proposal(ONE))
    accusations.onTestimony(replicaId(2), { type: 'testimony', claim: ordered('pre-prepare', 0, ONE) })
    expect(settle()).toEqual([])
    accusations.onTestimony(replicaId(2), { type: 'testimony', claim: ordered('pre-prepare', 0, OTHER) })
    expect(kept(settle())).toHaveLength(1)
  })

  test('[EV3] agreement costs nothing: neither a signature nor a message', () => {
    hear(0, proposal(ONE))
    for (const from of [2, 3]) hear(from, vote('prepare', from, ONE))
    for (const from of [0, 2, 3, 0, 2]) {
      accusations.onOrdering(replicaId(from), vote('commit', from, ONE))
      expect(parts.outbox.drain()).toEqual([])
    }
  })
})

describe('what others bring', () => {
  const PROOF = evidence(ordered('prepare', 2, ONE), ordered('prepare', 2, OTHER))

  test('[EV3] it is verified, kept and handed on, but not back', () => {
    accusations.onEvidence(replicaId(3), PROOF)
    const effects = settle()
    expect(effectsOf(effects, 'verify').map(({ claims }) => claims)).toEqual([PROOF.claims])
    expect(kept(effects)).toEqual([PROOF])
    expect(sent(effects, 'evidence').map(({ to }) => to)).toEqual([[0, 2]])
  })

  test('[EV2] one that the accused did not sign counts against who brings it', () => {
    const [one, other] = PROOF.claims
    accusations.onEvidence(replicaId(3), {
      ...PROOF,
      claims: [one, { ...other, signature: one.signature }],
    })
    const effects = settle()
    expect(rejectionsIn(effects)).toEqual(['bad-signature'])
    expect(kept(effects)).toEqual([])
    expect(sent(effects, 'evidence')).toEqual([])
  })

  test('[EV1] two statements that do not contradict each other, or of two signers, are refused unverified', () => {
    const same: Evidence = { ...PROOF, claims: [PROOF.claims[0], PROOF.claims[0]] }
    const two: Evidence = { ...PROOF, claims: [PROOF.claims[0], ordered('prepare', 3, OTHER)] }
    const stranger: Evidence = { ...PROOF, accused: replicaId(7) }
    for (const refused of [same, two, stranger]) {
      accusations.onEvidence(replicaId(3), refused)
      const effects = settle()
      expect(rejectionsIn(effects)).toEqual(['out-of-bounds'])
      expect(effectsOf(effects, 'verify')).toEqual([])
    }
  })

  test('[EV3] a peer has so much verified, and no more before the next tick', () => {
    const forge = () => {
      const [one, other] = PROOF.claims
      accusations.onEvidence(replicaId(3), { ...PROOF, claims: [one, { ...other, signature: EMPTY }] })
      return effectsOf(settle(), 'verify').length
    }
    expect(Array.from({ length: CHECKS_MAX + 2 }, forge)).toEqual([1, 1, 1, 1, 0, 0])
    // It takes nothing from others.
    accusations.onEvidence(replicaId(0), PROOF)
    expect(kept(settle())).toEqual([PROOF])
    begin()
    Array.from({ length: CHECKS_MAX }, forge)
    accusations.onTick()
    expect(forge()).toBe(1)
  })

  test('[EV3] what was kept before a restart is not verified again, and handed to whoever comes', () => {
    begin([PROOF])
    expect(accusations.evidence).toEqual([PROOF])
    accusations.onEvidence(replicaId(3), PROOF)
    expect(settle()).toEqual([])
    accusations.onSessionUp(replicaId(0))
    expect(settle()).toEqual([{ type: 'send', to: [0], message: PROOF }])
  })

  test('[EV4] who is accused is heard as before', () => {
    begin([evidence(ordered('pre-prepare', 0, ONE), ordered('pre-prepare', 0, OTHER))])
    const effects = hear(0, proposal(ONE))
    expect(sent(effects, 'prepare')).toHaveLength(1)
    expect(rejectionsIn(effects)).toEqual([])
  })
})
