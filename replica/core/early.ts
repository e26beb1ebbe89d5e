import type { Commit, PrePrepare, Prepare } from '../../protocol/messages.ts'
import type { ReplicaId, View } from '../../protocol/types.ts'

export type Ordering = PrePrepare | Prepare | Commit

/** Bytes of requests, their authenticators included, in one sender's early PRE-PREPAREs. */
const BYTES_MAX = 4_000_000

export const viewOf = (message: Ordering): View =>
  message.type === 'pre-prepare' ? message.header.view : message.view

/**
 * [NC4] What peers that were faster into a view already said in it: of each sender one view, the highest, so that the
 * slowest replica need not wait for everything to be said again. Bounded by `perSenderMax` messages.
 */
export class Early {
  readonly #perSenderMax: number
  readonly #bySender = new Map<ReplicaId, { view: View; messages: Ordering[]; bytes: number }>()

  constructor(perSenderMax: number) {
    this.#perSenderMax = perSenderMax
  }

  keep(from: ReplicaId, message: Ordering): void {
    const view = viewOf(message)
    let kept = this.#bySender.get(from)
    if (kept === undefined || kept.view < view) {
      kept = { view, messages: [], bytes: 0 }
      this.#bySender.set(from, kept)
    }
    if (kept.view !== view || kept.messages.length >= this.#perSenderMax) return
    const bytes = bytesOf(message)
    if (kept.bytes + bytes > BYTES_MAX) return
    kept.bytes += bytes
    kept.messages.push(message)
  }

  /** What was said in `view`, which was just entered; of lower views nothing is kept. */
  take(view: View): { readonly from: ReplicaId; readonly message: Ordering }[] {
    const taken: { from: ReplicaId; message: Ordering }[] = []
    for (const [from, kept] of this.#bySender) {
      if (kept.view > view) continue
      this.#bySender.delete(from)
      if (kept.view === view) for (const message of kept.messages) taken.push({ from, message })
    }
    return taken
  }
}

const bytesOf = (message: Ordering): number =>
  message.type === 'pre-prepare'
    ? message.batch.requests.reduce(
        (sum, { body, signature, macs }) =>
          sum + body.length + signature.length + macs.reduce((bytes, mac) => bytes + mac.length, 0),
        0,
      )
    : 0
