/** Seqs, both ends included; empty where `to` lies below `from`. */
export type SeqRange = { readonly from: number; readonly to: number }

/**
 * [CP6] Whose turn it is among the seqs of a history that grows while one goes round it. A look reads up to the same
 * share of what there is by then, so that a round takes 1 / share looks however fast the history grows: a row that was
 * read in one look is read again within as many. Turns that chase the end would never come back to the beginning.
 */
export class HistoryRound {
  #covered = 0
  #below = 0

  next({ lastExecuted, share }: { readonly lastExecuted: number; readonly share: number }): SeqRange {
    const from = this.#below + 1
    const covered = this.#covered + share
    if (covered >= 1) {
      this.#covered = 0
      this.#below = 0
      return { from, to: lastExecuted }
    }
    this.#covered = covered
    this.#below = Math.max(this.#below, Math.floor(covered * lastExecuted))
    return { from, to: this.#below }
  }
}
