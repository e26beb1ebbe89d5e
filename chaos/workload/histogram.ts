/** Buckets per power of two: a value is told to within 1/64. */
const SUB_BUCKETS = 64
const SUB_BITS = 6
const BUCKETS = (53 - SUB_BITS + 1) * SUB_BUCKETS

/** Counts of whole numbers from 0 up, exact below 128 and to 1.6% above, in constant memory. */
export class Histogram {
  readonly #counts = new Float64Array(BUCKETS)
  #total = 0
  #max = 0

  add(value: number): void {
    const whole = Math.max(0, Math.round(value))
    const bucket = bucketOf(whole)
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1
    this.#total += 1
    if (whole > this.#max) this.#max = whole
  }

  addAll(other: Histogram): void {
    for (const [bucket, count] of other.#counts.entries()) {
      this.#counts[bucket] = (this.#counts[bucket] ?? 0) + count
    }
    this.#total += other.#total
    this.#max = Math.max(this.#max, other.#max)
  }

  get total(): number {
    return this.#total
  }

  /** Exact; 0 when there is nothing. */
  get max(): number {
    return this.#max
  }

  /** The value that `share` (0 to 1) of all values are at or below; 0 when there is nothing. */
  quantile(share: number): number {
    const wanted = Math.max(1, Math.ceil(share * this.#total))
    let seen = 0
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      seen += this.#counts[bucket] ?? 0
      if (seen >= wanted) return Math.min(this.#max, upperBound(bucket))
    }
    return this.#max
  }
}

function bucketOf(value: number): number {
  if (value < 2 * SUB_BUCKETS) return value
  const exponent = Math.floor(Math.log2(value)) - SUB_BITS
  return exponent * SUB_BUCKETS + Math.floor(value / 2 ** exponent)
}

function upperBound(bucket: number): number {
  if (bucket < 2 * SUB_BUCKETS) return bucket
  const exponent = Math.floor(bucket / SUB_BUCKETS) - 1
  const mantissa = bucket - exponent * SUB_BUCKETS
  return (mantissa + 1) * 2 ** exponent - 1
}
