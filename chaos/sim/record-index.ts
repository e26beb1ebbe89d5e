import type { Batch } from '../../protocol/messages.ts'
import { NULL_BATCH } from '../../protocol/signing.ts'
import type { Digest, Seq } from '../../protocol/types.ts'
import { type CommittedEntry, seqOfRecord, type VoteRecord } from '../../replica/core/vote-record.ts'

export type RecordOf<Kind extends VoteRecord['kind']> = Extract<VoteRecord, { kind: Kind }>

type Noted = { readonly record: VoteRecord; readonly ordinal: number }

/** What a simulated log holds, by sequence number; what is about no seq stands at 0. */
export class RecordIndex {
  readonly #noted = new Map<Seq, Noted[]>()
  /** No crash takes records up to here back. */
  #durable = 0
  #newestStable = 0 as Seq
  #unsynced: Noted[] = []

  add(noted: Noted): void {
    const seq = seqOfRecord(noted.record)
    const others = this.#noted.get(seq)
    if (others === undefined) this.#noted.set(seq, [noted])
    else others.push(noted)
    this.#unsynced.push(noted)
  }

  noteDurable(ordinal: number): void {
    this.#durable = ordinal
    const durable = this.#unsynced.filter((noted) => noted.ordinal <= ordinal)
    this.#unsynced = this.#unsynced.slice(durable.length)
    for (const { record } of durable) {
      if (record.kind === 'stable' && record.seq > this.#newestStable) this.#newestStable = record.seq
    }
  }

  remove(record: VoteRecord): void {
    const seq = seqOfRecord(record)
    const others = this.#noted.get(seq)?.filter((noted) => noted.record !== record) ?? []
    if (others.length === 0) this.#noted.delete(seq)
    else this.#noted.set(seq, others)
  }

  /** That is durable; 0: none. */
  get newestStable(): Seq {
    return this.#newestStable
  }

  /** The newest durable record of this kind, of `view` where given. */
  durable<Kind extends VoteRecord['kind']>(kind: Kind, seq: Seq, view?: number): RecordOf<Kind> | undefined {
    const found = this.#noted
      .get(seq)
      ?.findLast(
        ({ record, ordinal }) =>
          ordinal <= this.#durable &&
          record.kind === kind &&
          (view === undefined || viewOfRecord(record) === view),
      )
    return found?.record as RecordOf<Kind> | undefined
  }

  /** Nobody logs the null batch: its digest says all of it. */
  durableBody(seq: Seq, digest: Digest): boolean {
    if (digest === NULL_BATCH.digest) return true
    const noted = this.#noted.get(seq) ?? []
    return noted.some(({ record, ordinal }) => ordinal <= this.#durable && bodyOf(record)?.digest === digest)
  }

  /** As the vote log reads: the newest mark with a proof, else the newest, and the batch that it names. */
  entryAt(seq: Seq): CommittedEntry | undefined {
    const records = (this.#noted.get(seq) ?? []).map(({ record }) => record)
    const marks = records.filter((record) => record.kind === 'committed')
    const mark = marks.findLast(({ commits }) => commits.length > 0) ?? marks.at(-1)
    if (mark === undefined) return undefined
    const logged = records.map(bodyOf).findLast((body) => body?.digest === mark.digest)
    const batch = mark.digest === NULL_BATCH.digest ? NULL_BATCH : logged
    if (batch === undefined) return undefined
    return { seq, view: mark.view, digest: mark.digest, commits: mark.commits, batch }
  }
}

const bodyOf = (record: VoteRecord): Batch | undefined =>
  record.kind === 'pre-prepare' || record.kind === 'batch' ? record.batch : undefined

function viewOfRecord(record: VoteRecord): number | undefined {
  switch (record.kind) {
    case 'pre-prepare':
    case 'prepared':
      return record.header.view
    case 'committed':
    case 'recovered':
      return record.view
    case 'view-change':
      return record.message.newView
    case 'new-view':
      return record.message.view
    case 'batch':
    case 'checkpoint':
    case 'stable':
    case 'amnesia':
      return undefined
  }
}
