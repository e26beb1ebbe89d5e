/** Those of one simulated process. Setting one again replaces it. */
export class Timers<Name extends string> {
  readonly #ordinals = new Map<Name, number>()
  readonly #afterMs: (ms: number, work: () => void) => void
  readonly #onTimeout: (name: Name) => void
  #ordinal = 0

  constructor(args: {
    readonly afterMs: (ms: number, work: () => void) => void
    readonly onTimeout: (name: Name) => void
  }) {
    this.#afterMs = args.afterMs
    this.#onTimeout = args.onTimeout
  }

  get running(): readonly Name[] {
    return [...this.#ordinals.keys()]
  }

  set(name: Name, ms: number): void {
    this.#ordinal += 1
    const ordinal = this.#ordinal
    this.#ordinals.set(name, ordinal)
    this.#afterMs(ms, () => {
      if (this.#ordinals.get(name) !== ordinal) return
      this.#ordinals.delete(name)
      this.#onTimeout(name)
    })
  }

  clear(name: Name): void {
    this.#ordinals.delete(name)
  }
}
