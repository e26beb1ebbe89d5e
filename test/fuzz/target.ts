/** What a campaign throws inputs at. */
export type Target = {
  /** Inputs that one world, one pool of samples, takes before a fresh one. */
  readonly inputsPerRound: number
  /**
   * Throws `inputs` at a fresh world that follows from `seed` alone.
   *
   * @throws Finding, or whatever production code threw, when a property does not hold
   */
  round(args: { readonly seed: number; readonly inputs: number; readonly tally: Tally }): void
}

/** A property that did not hold. */
export class Finding extends Error {
  override name = 'Finding'
}

/** What inputs came to, by name: a campaign in which nothing decoded tested less than its name says. */
export class Tally {
  readonly counts = new Map<string, number>()

  count(what: string, times = 1): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + times)
  }

  get(what: string): number {
    return this.counts.get(what) ?? 0
  }
}

export function must(condition: boolean, otherwise: string): void {
  if (!condition) throw new Finding(otherwise)
}

/** The fewest bytes that still fail: cuts pieces out, from halves down to single bytes, while that holds. */
export function shrunk(bytes: Uint8Array, fails: (bytes: Uint8Array) => boolean): Uint8Array {
  let smallest = bytes
  for (let piece = Math.ceil(bytes.length / 2); piece >= 1; piece = piece === 1 ? 0 : Math.ceil(piece / 2)) {
    for (let at = 0; at < smallest.length; ) {
      const shorter = Buffer.concat([smallest.subarray(0, at), smallest.subarray(at + piece)])
      if (fails(shorter)) smallest = shorter
      else at += piece
    }
  }
  return smallest
}
