import type { LedgerEntry } from '../../protocol/messages.ts'
import type { Digest, Seq } from '../../protocol/types.ts'
import type { NamedState } from './checkpoint-votes.ts'
import type { CoreCrypto } from './config.ts'
import { bytesOfEntry } from './state-source.ts'

/** Answers on their way into the database. */
const STAGING_MAX = 2

export type TakenEntries =
  | { readonly kind: 'wrong' }
  | { readonly kind: 'unasked' }
  | { readonly kind: 'taken'; readonly entries: readonly LedgerEntry[]; readonly bytes: number }

/** [CP4] The missing end of the history, newest first: each entry is checked against the link that the one above names. */
export class HistoryFetch {
  readonly #crypto: Pick<CoreCrypto, 'chainDigest'>
  /** The entry wanted next, and its chain. */
  #seq: Seq
  #chain: Digest
  #isComplete: boolean
  #asked: { readonly upTo: Seq; isOld: boolean } | null = null
  #staging = 0

  constructor(crypto: Pick<CoreCrypto, 'chainDigest'>, target: NamedState, isWanted: boolean) {
    this.#crypto = crypto
    this.#seq = target.seq
    this.#chain = target.chain
    this.#isComplete = !isWanted
  }

  get isDone(): boolean {
    return this.#isComplete && this.#staging === 0
  }

  get isWaiting(): boolean {
    return this.#asked !== null
  }

  /** It went down to genesis and did not meet what is here: the two have not even that in common. */
  get isForeign(): boolean {
    return !this.#isComplete && this.#seq === 0 && this.#staging === 0
  }

  /** The seq to ask for, and below; undefined when enough is under way. */
  next(): Seq | undefined {
    if (this.#isComplete || this.#asked !== null || this.#seq === 0) return undefined
    if (this.#staging >= STAGING_MAX) return undefined
    this.#asked = { upTo: this.#seq, isOld: false }
    return this.#seq
  }

  take(upTo: Seq, entries: readonly LedgerEntry[]): TakenEntries {
    if (this.#asked?.upTo !== upTo) return { kind: 'unasked' }
    let seq = this.#seq
    let chain = this.#chain
    for (const entry of entries) {
      if (seq === 0 || entry.seq !== seq || this.#crypto.chainDigest(entry) !== chain)
        return { kind: 'wrong' }
      seq = (seq - 1) as Seq
      chain = entry.previous
    }
    if (entries.length === 0) return { kind: 'wrong' }
    this.#seq = seq
    this.#chain = chain
    this.#asked = null
    this.#staging += 1
    return { kind: 'taken', entries, bytes: entries.reduce((sum, entry) => sum + bytesOfEntry(entry), 0) }
  }

  onStaged(isComplete: boolean): void {
    this.#staging -= 1
    if (!isComplete) return
    this.#isComplete = true
    this.#asked = null
  }

  askAgain(): void {
    this.#asked = null
  }

  /** Whether what was asked for before the last call has not come. */
  isOverdue(): boolean {
    const overdue = this.#asked?.isOld === true
    if (this.#asked !== null) this.#asked.isOld = true
    return overdue
  }
}
