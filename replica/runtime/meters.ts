import type { Batch } from '../../protocol/messages.ts'
import type { Observation } from '../core/effect.ts'

/** Counts for `status` and `bench`, since the start of the process. */
export class Meters {
  readonly committed: Record<string, number> = { votes: 0, proof: 0, words: 0, log: 0 }
  readonly counters: Record<string, number> = {}
  batches = 0
  operations = 0

  count(reason: string): void {
    this.counters[reason] = (this.counters[reason] ?? 0) + 1
  }

  observe(what: Observation): void {
    if (what.kind === 'committed') this.committed[what.how] = (this.committed[what.how] ?? 0) + 1
    if (what.kind === 'rejected') this.count(`rejected-${what.code}`)
  }

  executing(batch: Batch): void {
    this.batches += 1
    for (const { operations } of batch.requests) this.operations += operations.length
  }
}
