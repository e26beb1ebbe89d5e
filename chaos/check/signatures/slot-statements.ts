import type { Header, Request, Vote } from '../../../protocol/messages.ts'
import type { Digest, PrincipalId, Seq } from '../../../protocol/types.ts'
import type { AgreedSlot } from '../logs/agreed-log.ts'
import type { Ballot } from '../logs/slot-evidence.ts'
import type { SignedStatement } from './pool.ts'

/** What every signature about one sequence number says, in an order that `verdictsOf` knows. */
export function statementsOf({ seq, batch, evidence }: AgreedSlot, replicas: number): SignedStatement[] {
  const statements: SignedStatement[] = []
  for (const request of batch?.requests ?? []) statements.push(ofRequest(request))
  for (const header of evidence.headers) statements.push(ofHeader(header, replicas))
  for (const ballot of evidence.prepares) pushVotes(statements, { type: 'prepare', seq, ballot })
  for (const ballot of evidence.commits) pushVotes(statements, { type: 'commit', seq, ballot })
  return statements
}

const ofRequest = ({ client, digest, signature }: Request): SignedStatement => ({
  statement: { type: 'request', view: 0, seq: 0, signer: client, digests: [digest] },
  signature,
})

const ofHeader = ({ view, seq, digest, signature }: Header, replicas: number): SignedStatement => ({
  statement: { type: 'pre-prepare', view, seq, signer: (view % replicas) as PrincipalId, digests: [digest] },
  signature,
})

function pushVotes(
  into: SignedStatement[],
  {
    type,
    seq,
    ballot: { view, digest, votes },
  }: { readonly type: 'prepare' | 'commit'; readonly seq: Seq; readonly ballot: Ballot },
): void {
  for (const { replica, signature } of votes) {
    into.push({ statement: { type, view, seq, signer: replica, digests: [digest] }, signature })
  }
}

export type JudgedBallot = {
  readonly digest: Digest
  readonly view: number
  readonly valid: readonly Vote[]
  readonly invalid: readonly Vote[]
}
export type SlotVerdicts = {
  /** Requests of the batch whose signature does not hold. */
  readonly unsigned: readonly Request[]
  readonly badHeaders: readonly Header[]
  readonly prepares: readonly JudgedBallot[]
  readonly commits: readonly JudgedBallot[]
}

/** `valid` has a byte for each of `statementsOf` the slot. */
export function verdictsOf({ batch, evidence }: AgreedSlot, valid: Uint8Array): SlotVerdicts {
  let at = 0
  const holds = () => valid[at++] === 1
  const unsigned = (batch?.requests ?? []).filter(() => !holds())
  const badHeaders = evidence.headers.filter(() => !holds())
  const judge = ({ digest, view, votes }: Ballot): JudgedBallot => {
    const good: Vote[] = []
    const bad: Vote[] = []
    for (const vote of votes) (holds() ? good : bad).push(vote)
    return { digest, view, valid: good, invalid: bad }
  }
  const prepares = evidence.prepares.map(judge)
  return { unsigned, badHeaders, prepares, commits: evidence.commits.map(judge) }
}
