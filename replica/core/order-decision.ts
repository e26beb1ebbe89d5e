import type { PreparedCertificate, ViewChange } from '../../protocol/messages.ts'
import { type CoreConfig, primaryOf } from './config.ts'
import type { CheckId, Claim } from './effect.ts'
import type { Outbox } from './outbox.ts'
import { type Order, orderOf } from './view-order.ts'

type Run = {
  readonly viewChanges: readonly ViewChange[]
  readonly refuted: Set<PreparedCertificate>
  readonly done: (order: Order) => void
}

/**
 * [VC2] Finds the O of some VIEW-CHANGEs: verifies the certificates that would be chosen, falls back on the next best
 * where one does not hold, and verifies none twice.
 */
export class OrderDecision {
  readonly #config: CoreConfig
  readonly #outbox: Outbox
  /** By object: a VIEW-CHANGE is kept as it was decoded. */
  readonly #verified = new WeakSet<PreparedCertificate>()
  readonly #pending = new Map<
    CheckId,
    { readonly run: Run; readonly certificates: readonly PreparedCertificate[] }
  >()

  constructor({ config, outbox }: { config: CoreConfig; outbox: Outbox }) {
    this.#config = config
    this.#outbox = outbox
  }

  /** Of this replica's own making, or out of its own log. */
  trust(certificates: readonly PreparedCertificate[]): void {
    for (const certificate of certificates) this.#verified.add(certificate)
  }

  decide(viewChanges: readonly ViewChange[], done: (order: Order) => void): void {
    this.#go({ viewChanges, refuted: new Set(), done })
  }

  #go(run: Run): void {
    const { quorum, logWindow: window } = this.#config
    const isRefuted = (certificate: PreparedCertificate) => run.refuted.has(certificate)
    const order = orderOf(run.viewChanges, { quorum, window, isRefuted })
    const certificates = order.entries.flatMap(({ certificate }) =>
      certificate === null || this.#verified.has(certificate) ? [] : [certificate],
    )
    if (certificates.length === 0) return run.done(order)
    const check = this.#outbox.verify(certificates.flatMap((one) => this.#claimsOf(one)))
    this.#pending.set(check, { run, certificates })
  }

  #claimsOf({ header, prepares }: PreparedCertificate): Claim[] {
    const { view, seq, digest, signature } = header
    const signer = primaryOf(view, this.#config.quorum)
    return [
      { statement: { type: 'pre-prepare', view, seq, signer, digests: [digest] }, signature },
      ...prepares.map(
        (vote): Claim => ({
          statement: { type: 'prepare', view, seq, signer: vote.replica, digests: [digest] },
          signature: vote.signature,
        }),
      ),
    ]
  }

  onVerified(check: CheckId, valid: readonly boolean[]): boolean {
    const pending = this.#pending.get(check)
    if (pending === undefined) return false
    this.#pending.delete(check)
    const { run, certificates } = pending
    let at = 0
    for (const certificate of certificates) {
      const verdicts = valid.slice(at, at + 1 + certificate.prepares.length)
      at += verdicts.length
      if (verdicts.every((verdict) => verdict)) this.#verified.add(certificate)
      else run.refuted.add(certificate)
    }
    this.#go(run)
    return true
  }
}
