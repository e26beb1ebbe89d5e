import { orderStatement } from '../../protocol/evidence.ts'
import type { AccountableClaim, AccountableType, Header, Vote } from '../../protocol/messages.ts'
import type { Digest, ReplicaId, Seq, View } from '../../protocol/types.ts'
import type { Slot } from './slot.ts'

export const claimOfHeader = (
  { view, seq, digest, signature }: Header,
  signer: ReplicaId,
): AccountableClaim => ({
  statement: orderStatement({ type: 'pre-prepare', view, seq, signer, digest }),
  signature,
})

type Other = {
  readonly signer: ReplicaId
  readonly view: View
  readonly digest: Digest
  readonly isPrimary: boolean
  readonly isCurrent: boolean
}

/**
 * [EV3] What is in `slot` of `signer` in that view for another batch: in the view that was entered last everything that it
 * said, of earlier ones what the prepared certificate shows. Of COMMITs and of PREPAREs that wait nothing is verified.
 */
export function orderedBy(slot: Slot, other: Other): AccountableClaim | null {
  const { certificate, seq } = slot
  return (
    (other.isCurrent ? inVoting(slot, other) : null) ??
    (certificate?.header.view === other.view ? inCertificate(certificate, seq, other) : null)
  )
}

function inVoting(
  { voting, seq }: Slot,
  { signer, view, digest, isPrimary }: Other,
): AccountableClaim | null {
  const header = isPrimary ? (voting.accepted?.header ?? voting.expected) : null
  if (header !== null && header.digest !== digest) return claimOfHeader(header, signer)
  const prepare = voting.prepares.of(signer) ?? voting.staged.get(signer)
  if (prepare !== undefined && prepare.digest !== digest) {
    return claimOfVote('prepare', prepare, { view, seq, digest: prepare.digest })
  }
  const commit = voting.commits.of(signer)
  if (commit !== undefined && commit.digest !== digest) {
    return claimOfVote('commit', commit, { view, seq, digest: commit.digest })
  }
  return null
}

function inCertificate(
  { header, prepares }: NonNullable<Slot['certificate']>,
  seq: Seq,
  { signer, view, digest, isPrimary }: Other,
): AccountableClaim | null {
  if (header.digest === digest) return null
  if (isPrimary) return claimOfHeader(header, signer)
  const prepare = prepares.find(({ replica }) => replica === signer)
  return prepare === undefined ? null : claimOfVote('prepare', prepare, { view, seq, digest: header.digest })
}

const claimOfVote = (
  type: Extract<AccountableType, 'prepare' | 'commit'>,
  { replica, signature }: Vote,
  at: { readonly view: View; readonly seq: Seq; readonly digest: Digest },
): AccountableClaim => ({ statement: orderStatement({ type, ...at, signer: replica }), signature })
