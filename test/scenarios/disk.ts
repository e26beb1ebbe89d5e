import type { Batch } from '../../protocol/messages.ts'
import { NULL_BATCH } from '../../protocol/signing.ts'
import { type Digest, type LogPosition, logPosition, type Seq } from '../../protocol/types.ts'
import {
  type CommittedEntry,
  isStanding,
  isVote,
  seqOfRecord,
  type VoteRecord,
} from '../../replica/core/vote-record.ts'
import { wantedRecords } from '../../replica/runtime/vote-log/wanted-records.ts'

/** A vote log in memory: what is not durable goes with a crash. */
export class Disk {
  #records: VoteRecord[] = []
  #durable = 0
  /** Of the newest record of this process. */
  #position = 0
  #cutUpTo = 0 as Seq
  /** Asked for while records were on their way to the disk. */
  #wantedCut = 0 as Seq

  append(position: LogPosition, record: VoteRecord): void {
    this.#records.push(record)
    this.#position += 1
    if (this.#position !== position) throw new Error(`position ${position} out of order`)
  }

  get pending(): number {
    return this.#records.length - this.#durable
  }

  /** Makes the next `count` records durable; returns the position of the last. */
  persist(count: number): LogPosition {
    this.#durable = Math.min(this.#durable + count, this.#records.length)
    if (this.pending === 0) this.#forget(this.#wantedCut)
    return logPosition(this.#position - this.pending)
  }

  /** `lostMarks`: how many records at the end, none of them a vote, a power cut takes too, synced or not. */
  crash(lostMarks = 0): void {
    this.#records.length = this.#durable
    for (let lost = 0; lost < lostMarks; lost++) {
      const last = this.#records.pop()
      if (last === undefined || isVote(last)) throw new Error(`only marks can be lost, not ${last?.kind}`)
    }
    this.#durable = this.#records.length
    this.#position = 0
    this.#wantedCut = 0 as Seq
  }

  /** [D5] The log is gone; the one that replaces it says so first. */
  wipe(): void {
    this.#records = [{ kind: 'amnesia' }]
    this.#durable = 1
    this.#cutUpTo = 0 as Seq
  }

  /** [CP1] Once all that was appended is durable: the stable checkpoint's record is what stands for the rest. */
  cut(upTo: Seq): void {
    if (upTo > this.#wantedCut) this.#wantedCut = upTo
    if (this.pending === 0) this.#forget(this.#wantedCut)
  }

  /** [CP1] [D4] What is at or below `upTo` and below the stable checkpoint goes, but for the standing records. */
  #forget(upTo: Seq): void {
    if (upTo <= this.#cutUpTo) return
    const durable = this.durable
    const stable = durable.reduce((low, r) => (r.kind === 'stable' ? Math.max(low, r.seq) : low), 0)
    if (upTo > stable) throw new Error(`cut up to ${upTo}, and ${stable} is stable on the disk`)
    const kept = durable.filter((record) => {
      const seq = seqOfRecord(record)
      return isStanding(record) ? isNewest(record, durable) : seq > upTo || seq >= stable
    })
    this.#records = [...kept, ...this.#records.slice(this.#durable)]
    this.#durable = kept.length
    this.#cutUpTo = upTo
  }

  /** Committed batches above this are here. */
  get servedFrom(): Seq {
    return this.#cutUpTo
  }

  get durable(): readonly VoteRecord[] {
    return this.#records.slice(0, this.#durable)
  }

  get all(): readonly VoteRecord[] {
    return this.#records
  }

  /** What a replica starts from, as the real log gives it. */
  recovered(): VoteRecord[] {
    return wantedRecords(this.durable)
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
    if (seq <= this.#cutUpTo) return undefined
    const marks = this.#records.filter((r) => r.kind === 'committed').filter((r) => r.seq === seq)
    const mark = marks.findLast(({ commits }) => commits.length > 0) ?? marks.at(-1)
    if (mark === undefined) return undefined
    const { view, digest, commits } = mark
    const batch = bodyIn(this.#records, { seq, digest })
    return batch === undefined ? undefined : { seq, view, digest, commits, batch }
  }
}

const isNewest = (record: VoteRecord, records: readonly VoteRecord[]): boolean =>
  records.findLast(({ kind }) => kind === record.kind) === record

/** The body of that digest at `seq`, if a record has it; nobody logs the null batch. */
export function bodyIn(
  records: readonly VoteRecord[],
  { seq, digest }: { readonly seq: Seq; readonly digest: Digest },
): Batch | undefined {
  if (digest === NULL_BATCH.digest) return NULL_BATCH
  for (const record of records) {
    if (seqOfRecord(record) !== seq) continue
    if ((record.kind === 'pre-prepare' || record.kind === 'batch') && record.batch.digest === digest) {
      return record.batch
    }
  }
  return undefined
}
