import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus'

/** The one source of chance of a run. Everything that is drawn is drawn in the order of the simulated events. */
export class Random {
  readonly #generator: { next(): number }

  constructor(seed: number) {
    this.#generator = xoroshiro128plus(seed | 0)
    // Neighbouring seeds begin alike; a few steps apart they do not.
    for (let i = 0; i < 8; i++) this.#generator.next()
  }

  /** In [0, 1). */
  float(): number {
    return (this.#generator.next() >>> 0) / 2 ** 32
  }

  /** A whole number from `min` to `max`, both included. */
  int(min: number, max: number): number {
    return min + Math.floor(this.float() * (max - min + 1))
  }

  chance(probability: number): boolean {
    return probability > 0 && this.float() < probability
  }

  between(min: number, max: number): number {
    return min + this.float() * (max - min)
  }

  /** Mostly near `min`, rarely near `max`: for magnitudes. */
  skewed(min: number, max: number): number {
    return min * (max / min) ** (this.float() * this.float())
  }

  /** Memoryless waiting time with this mean. */
  exponential(mean: number): number {
    return -Math.log(1 - this.float()) * mean
  }

  pick<T>(choices: readonly T[]): T {
    const choice = choices[this.int(0, choices.length - 1)]
    if (choice === undefined) throw new Error('nothing to pick from')
    return choice
  }

  shuffled<T>(items: readonly T[]): T[] {
    return items
      .map((item) => ({ item, at: this.float() }))
      .sort((a, b) => a.at - b.at)
      .map(({ item }) => item)
  }

  bytes(length: number): Buffer {
    const bytes = Buffer.allocUnsafe(length)
    for (let at = 0; at < length; at++) bytes[at] = this.#generator.next()
    return bytes
  }
}
