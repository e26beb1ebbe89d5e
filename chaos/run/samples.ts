import { setTimeout as delay } from 'node:timers/promises'
import type { ReplicaReport } from '../../protocol/inspection.ts'

export type Reports = ReadonlyMap<number, ReplicaReport>
/** What replicas said of themselves at one time; whoever did not answer is absent. */
export type Sample = { readonly atMs: number; readonly reports: readonly ReplicaReport[] }

const EVERY_MS = 400

/** Looks at all replicas again and again, keeps what they said, and hands it on. */
export class Sampler {
  readonly #look: () => Promise<Reports>
  readonly #nowMs: () => number
  readonly #onSample: (sample: Sample) => void
  readonly #loop: Promise<void>
  #latest: Reports = new Map()
  #stopped = false

  constructor(args: {
    readonly look: () => Promise<Reports>
    readonly nowMs: () => number
    readonly onSample: (sample: Sample) => void
  }) {
    this.#look = args.look
    this.#nowMs = args.nowMs
    this.#onSample = args.onSample
    this.#loop = this.#run()
  }

  get latest(): Reports {
    return this.#latest
  }

  /** Rejects with what looking rejected with. */
  async stop(): Promise<void> {
    this.#stopped = true
    await this.#loop
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      this.#latest = await this.#look()
      this.#onSample({ atMs: Math.round(this.#nowMs()), reports: [...this.#latest.values()] })
      await delay(EVERY_MS)
    }
  }
}
