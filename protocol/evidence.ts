import type { AccountableClaim, AccountableStatement, AccountableType, Evidence } from './messages.ts'
import type { Seq, View } from './types.ts'

/** The place of each type in evidence; ordering votes come first. */
const ORDER: Readonly<Record<AccountableType, number>> = {
  'pre-prepare': 0,
  prepare: 1,
  commit: 2,
  checkpoint: 3,
}

/** [EV1] In how far two statements are about one thing: what a correct replica signs there, it signs for one digest. */
const placeOf = ({ type, view, seq, signer }: AccountableStatement): string =>
  type === 'checkpoint' ? `${signer} checkpoint ${seq}` : `${signer} order ${view} ${seq}`

/** [EV1] Whether no correct replica signs both. Looks at no signature. */
export const areContradictory = (one: AccountableStatement, other: AccountableStatement): boolean =>
  placeOf(one) === placeOf(other) && one.digests.join() !== other.digests.join()

/** [EV1] In an order of their own, whoever found them: one pair has one form. Null: they do not contradict each other. */
export function evidenceOf(one: AccountableClaim, other: AccountableClaim): Evidence | null {
  if (!areContradictory(one.statement, other.statement)) return null
  const claims = isFirst(one.statement, other.statement) ? ([one, other] as const) : ([other, one] as const)
  return { type: 'evidence', accused: one.statement.signer, claims }
}

function isFirst(one: AccountableStatement, other: AccountableStatement): boolean {
  if (one.type !== other.type) return ORDER[one.type] < ORDER[other.type]
  return one.digests.join() < other.digests.join()
}

const NAMES: Readonly<Record<AccountableType, string>> = {
  'pre-prepare': 'PRE-PREPARE',
  prepare: 'PREPARE',
  commit: 'COMMIT',
  checkpoint: 'CHECKPOINT',
}

/** `two PRE-PREPAREs for view 3 seq 17`, `a PREPARE and a COMMIT of different batches for view 3 seq 17` */
export function describeEvidence({ claims }: Pick<Evidence, 'claims'>): string {
  const [{ statement: one }, { statement: other }] = claims
  const what =
    one.type === other.type
      ? `two ${NAMES[one.type]}s`
      : `a ${NAMES[one.type]} and a ${NAMES[other.type]} of different batches`
  return `${what} for ${one.type === 'checkpoint' ? '' : `view ${one.view} `}seq ${one.seq}`
}

/** A claim's statement of the order. */
export const orderStatement = (of: {
  readonly type: 'pre-prepare' | 'prepare' | 'commit'
  readonly view: View
  readonly seq: Seq
  readonly signer: AccountableStatement['signer']
  readonly digest: AccountableStatement['digests'][number]
}): AccountableStatement => ({
  type: of.type,
  view: of.view,
  seq: of.seq,
  signer: of.signer,
  digests: [of.digest],
})
