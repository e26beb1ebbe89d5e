import type { Batch } from '../../protocol/messages.ts'
import { type LogPosition, logPosition, type Seq } from '../../protocol/types.ts'
import { type CommittedEntry, isVote, seqOfRecord, type VoteRecord } from '../../replica/core/vote-record.ts'

/** A vote log in memory: what is not durable goes with a crash. */
export class Disk {
  #records: VoteRecord[] = []
  #durable = 0
  /** Records before this process' first: its positions count from there. */
  #base = 0

  append(position: LogPosition, record: VoteRecord): void {
    this.#records.push(record)
    if (this.#records.length - this.#base !== position) throw new Error(`position ${position} out of order`)
  }

  get pending(): number {
    return this.#records.length - this.#durable
  }

  /** Makes the next `count` records durable; returns the position of the last. */
  persist(count: number): LogPosition {
    this.#durable = Math.min(this.#durable + count, this.#records.length)
    return logPosition(this.#durable - this.#base)
  }

  /** `lostMarks`: how many records at the end, none of them a vote, a power cut takes too, synced or not. */
  crash(lostMarks = 0): void {
    this.#records.length = this.#durable
    for (let lost = 0; lost < lostMarks; lost++) {
      const last = this.#records.pop()
      if (last === undefined || isVote(last)) throw new Error(`only marks can be lost, not ${last?.kind}`)
    }
    this.#durable = this.#records.length
    this.#base = this.#durable
  }

  get durable(): readonly VoteRecord[] {
    return this.#records.slice(0, this.#durable)
  }

  get all(): readonly VoteRecord[] {
    return this.#records
  }

  /** What a replica starts from, as the real log gives it: above the newest stable checkpoint, and that. */
  recovered(): VoteRecord[] {
    const stable = this.durable.reduce((low, r) => (r.kind === 'stable' ? Math.max(low, r.seq) : low), 0)
    return this.durable.filter((record) => {
      const isCheckpoint = record.kind === 'stable' || record.kind === 'checkpoint'
      const seq = seqOfRecord(record)
      return seq > stable || (seq === stable && isCheckpoint)
    })
  }

  /** As the real log reads: consecutive entries with mark and body, at least one, then as many as fit. */
  readCommitted(range: { after: Seq; upTo: Seq; bytesMax: number }): CommittedEntry[] {
    const entries: CommittedEntry[] = []
    let bytes = 0
    for (let seq = range.after + 1; seq <= range.upTo; seq++) {
      const entry = this.#entry(seq as Seq)
      if (entry === undefined) break
      bytes += entry.batch.requests.reduce((sum, { body }) => sum + body.length, 0)
      if (entries.length > 0 && bytes > range.bytesMax) break
      entries.push(entry)
    }
    return entries
  }

  #entry(seq: Seq): CommittedEntry | undefined {
    const marks = this.#records.filter((r) => r.kind === 'committed').filter((r) => r.seq === seq)
    const mark = marks.findLast(({ commits }) => commits.length > 0) ?? marks.at(-1)
    if (mark === undefined) return undefined
    const { view, digest, commits } = mark
    for (const record of this.#records) {
      const batch = bodyOf(record, seq)
      if (batch?.digest === digest) return { seq, view, digest, commits, batch }
    }
    return undefined
  }
}

function bodyOf(record: VoteRecord, seq: Seq): Batch | undefined {
  if (seqOfRecord(record) !== seq) return undefined
  return record.kind === 'pre-prepare' || record.kind === 'batch' ? record.batch : undefined
}
