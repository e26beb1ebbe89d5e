import type { Seq } from '../../../protocol/types.ts'
import { isStanding, seqOfRecord, type VoteRecord } from '../../core/vote-record.ts'
import type { Frame, FrameHead } from './frames.ts'
import { decodeRecord, isStandingType, RECORD_TYPE } from './record-codec.ts'
import { corruptAt } from './vote-log-error.ts'

/** A standing record, ready to be framed again. */
export type Standing = { readonly head: FrameHead; readonly payload: Uint8Array }
/** The newest of each type. */
export type StandingByType = Map<number, Standing>

/**
 * What a replica starts from: all above the newest stable checkpoint, that checkpoint and its own CHECKPOINT for it,
 * and the standing records in force; in log order.
 */
export class WantedRecords {
  readonly standing: StandingByType = new Map()
  readonly #newestStable: Seq
  readonly #found: { readonly ordinal: number; readonly record: VoteRecord }[] = []
  /** Copies of one record carry its ordinal. */
  readonly #standingFound = new Map<number, { readonly ordinal: number; readonly record: VoteRecord }>()

  constructor(newestStable: Seq) {
    this.#newestStable = newestStable
  }

  /** @throws VoteLogError 'corrupt' */
  take(path: string, frame: Frame, payload: () => Buffer): void {
    const { ordinal, type, seq } = frame
    if (isStandingType(type)) {
      if ((this.#standingFound.get(type)?.ordinal ?? 0) >= ordinal) return
      const bytes = Uint8Array.from(payload())
      this.standing.set(type, { head: frame, payload: bytes })
      this.#standingFound.set(type, { ordinal, record: decoded(path, frame, bytes) })
    } else if (isAtOrAbove(this.#newestStable, { seq, isCheckpoint: isCheckpointType(type) })) {
      // A copy: the record keeps views of it, and these should not keep a whole segment.
      this.#found.push({ ordinal, record: decoded(path, frame, Uint8Array.from(payload())) })
    }
  }

  get records(): VoteRecord[] {
    return [...this.#found, ...this.#standingFound.values()]
      .sort((a, b) => a.ordinal - b.ordinal)
      .map(({ record }) => record)
  }
}

function decoded(path: string, frame: Frame, payload: Uint8Array): VoteRecord {
  const record = decodeRecord(payload)
  if (record === undefined)
    throw corruptAt(path, frame.offset, `record ${frame.ordinal} is not one of this format`)
  return record
}

const isCheckpointType = (type: number): boolean =>
  type === RECORD_TYPE.stable || type === RECORD_TYPE.checkpoint

const isAtOrAbove = (
  stable: Seq,
  { seq, isCheckpoint }: { readonly seq: number; readonly isCheckpoint: boolean },
): boolean => seq > stable || (seq === stable && isCheckpoint)

/** The same of records that are in memory: for imitations of a vote log. */
export function wantedRecords(records: readonly VoteRecord[]): VoteRecord[] {
  const stable = records.reduce(
    (newest, record) => (record.kind === 'stable' && record.seq > newest ? record.seq : newest),
    0 as Seq,
  )
  const standing = new Map(records.filter(isStanding).map((record) => [record.kind, record]))
  return records.filter((record) => {
    if (isStanding(record)) return standing.get(record.kind) === record
    const isCheckpoint = record.kind === 'stable' || record.kind === 'checkpoint'
    return isAtOrAbove(stable, { seq: seqOfRecord(record), isCheckpoint })
  })
}
