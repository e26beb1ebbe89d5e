import type { Header, NewView, ViewChange } from '../../../protocol/messages.ts'
import type { ReplicaId, Seq, View } from '../../../protocol/types.ts'
import { headerOf, instead, type Liar, otherThan, type Part } from '../liar.ts'

const withHeaders = (
  liar: Liar,
  change: (headers: readonly Header[], view: View) => readonly Header[],
): Part =>
  instead((message) => {
    if (message.type !== 'new-view' || message.replica !== liar.config.self) return [message]
    return [liar.crypto.newView({ ...message, headers: change(message.headers, message.view) })]
  })

export const newViewOmit = (liar: Liar): Part => withHeaders(liar, (headers) => headers.slice(0, -1))

export const newViewNull = (liar: Liar): Part =>
  withHeaders(liar, (headers, view) =>
    headers.map(({ seq }) => headerOf(liar, { view, seq, digest: liar.crypto.batchDigest([]) })),
  )

export const newViewAdd = (liar: Liar): Part =>
  withHeaders(liar, (headers, view) => {
    const last = headers.at(-1)
    const digest = otherThan(last?.digest ?? liar.crypto.batchDigest([]))
    return [...headers, headerOf(liar, { view, seq: ((last?.seq ?? 0) + 1) as Seq, digest })]
  })

/** Far beyond every view that q replicas ask for: nobody follows there [VC5]. */
const VIEWS_AHEAD = 1_000

/**
 * [VC2] Behind its own VIEW-CHANGE: another one, in which nothing is prepared, and a NEW-VIEW that names it in the name of
 * q replicas, so that O is empty; for its next view, or for one far ahead.
 */
export const newViewForged = (liar: Liar): Part =>
  instead((message) =>
    message.type === 'view-change' && message.replica === liar.config.self
      ? [message, ...forgedFor(message, liar)]
      : [message],
  )

function forgedFor(message: ViewChange, { config, crypto }: Liar): readonly [ViewChange, NewView] {
  const { self, quorum } = config
  const { newView, lowWaterMark, incarnation, checkpoints } = message
  const ahead = newView % 2 === 0 ? 0 : VIEWS_AHEAD * quorum.n
  const view = (newView + ahead + ((self - newView) % quorum.n) + quorum.n) as View
  const viewChange = crypto.viewChange({
    newView: view,
    lowWaterMark,
    incarnation,
    checkpoints,
    prepared: [],
  })
  const viewChanges = Array.from({ length: quorum.quorum }, (_, index) => ({
    replica: ((self + index) % quorum.n) as ReplicaId,
    digest: viewChange.digest,
  }))
  return [viewChange, crypto.newView({ view, viewChanges, headers: [] })]
}
