import type { Batch, MessageType } from '../../protocol/messages.ts'
import type { Observation } from '../core/effect.ts'

/** Counts for `status` and `bench`, since the start of the process. */
export class Meters {
  readonly committed: Record<string, number> = { votes: 0, proof: 0, words: 0, log: 0 }
  readonly counters: Record<string, number> = {}
  readonly sent: Partial<Record<MessageType, number>> = {}
  readonly viewChanges = { started: 0, entered: 0 }
  batches = 0
  operations = 0

  count(reason: string, by = 1): void {
    this.counters[reason] = (this.counters[reason] ?? 0) + by
  }

  sending(type: MessageType): void {
    this.sent[type] = (this.sent[type] ?? 0) + 1
  }

  observe(what: Observation): void {
    switch (what.kind) {
      case 'committed':
        this.committed[what.how] = (this.committed[what.how] ?? 0) + 1
        break
      case 'rejected':
        this.count(`rejected-${what.code}`)
        break
      case 'view-change-started':
        this.viewChanges.started += 1
        break
      case 'view-entered':
        this.viewChanges.entered += 1
        break
      case 'tampered':
      case 'repaired':
        this.count(`${what.kind}-rows`, what.rows.length)
        break
      case 'evidence':
        this.count(what.kind)
        break
      case 'transfer-installed':
      case 'transfer-source-replaced':
        this.count(what.kind)
        break
    }
  }

  executing(batch: Batch): void {
    this.batches += 1
    for (const { operations } of batch.requests) this.operations += operations.length
  }
}
