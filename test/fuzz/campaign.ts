import { Finding, Tally, type Target } from './target.ts'

/** What all rounds together may leave behind: a world is let go of with its round. */
const GROWTH_BYTES_MAX = 48_000_000
const PROGRESS_EVERY_MS = 10_000

export type Progress = { readonly done: number; readonly perSecond: number; readonly heapBytes: number }

export type Report = {
  readonly done: number
  readonly seconds: number
  readonly tally: Tally
  /** The round that failed: its seed alone repeats it. */
  readonly failure: { readonly roundSeed: number; readonly inputs: number; readonly error: unknown } | null
}

/** Round after round, each from a seed of its own: the first is `seed`. Stops at the first failure. */
export function campaign(
  target: Target,
  args: {
    readonly seed: number
    readonly inputs: number
    readonly collectGarbage: () => void
    readonly onProgress: (progress: Progress) => void
  },
): Report {
  const tally = new Tally()
  const startedMs = performance.now()
  const secondsSince = () => (performance.now() - startedMs) / 1000
  let reportAtMs = startedMs + PROGRESS_EVERY_MS
  let firstHeapBytes: number | undefined
  let done = 0
  for (let round = 0; done < args.inputs; round++) {
    const seed = args.seed + round
    const inputs = Math.min(target.inputsPerRound, args.inputs - done)
    try {
      target.round({ seed, inputs, tally })
    } catch (error) {
      return { done, seconds: secondsSince(), tally, failure: { roundSeed: seed, inputs, error } }
    }
    done += inputs
    if (performance.now() < reportAtMs && done < args.inputs) continue
    reportAtMs = performance.now() + PROGRESS_EVERY_MS
    args.collectGarbage()
    const { heapUsed, external } = process.memoryUsage()
    const heapBytes = heapUsed + external
    firstHeapBytes ??= heapBytes
    args.onProgress({ done, perSecond: Math.round(done / secondsSince()), heapBytes })
    if (heapBytes - firstHeapBytes < GROWTH_BYTES_MAX) continue
    const error = new Finding(
      `${heapBytes - firstHeapBytes} bytes more are in use than after the first rounds`,
    )
    return { done, seconds: secondsSince(), tally, failure: { roundSeed: seed, inputs, error } }
  }
  return { done, seconds: secondsSince(), tally, failure: null }
}
