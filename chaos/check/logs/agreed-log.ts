import { type Genesis, logWindowOf } from '../../../protocol/config.ts'
import type { Batch } from '../../../protocol/messages.ts'
import { NULL_BATCH } from '../../../protocol/signing.ts'
import type { Digest, Seq } from '../../../protocol/types.ts'
import type { LogDamage } from '../../../replica/runtime/vote-log/offline-scan.ts'
import { LogCursor } from './log-cursor.ts'
import type { LogSource } from './log-sources.ts'
import type { LoggedRecord } from './logged-record.ts'
import { SlotEvidence } from './slot-evidence.ts'

/** One sequence number that was decided, as far as logs and databases say. */
export type AgreedSlot = {
  readonly seq: Seq
  readonly digest: Digest
  /** Null: no log has the batch of that digest. */
  readonly batch: Batch | null
  readonly evidence: SlotEvidence
}

export type AgreedLogOptions = {
  readonly genesis: Genesis
  /** Every record of every log, in the order of that log. */
  readonly onRecord: (record: LoggedRecord, source: LogSource) => void
  readonly onDamage: (damage: LogDamage, source: LogSource) => void
  /** What a log says of a number that was yielded already: what is written late. */
  readonly onLate: (record: LoggedRecord, source: LogSource) => void
  /** What databases executed there: an executed batch was committed, also where every log lost the mark. */
  readonly executedAt: (seq: Seq) => Digest | undefined
}

/** Windows that a log is read ahead of what is decided: what it says of a number lies that close together. */
const WINDOWS_AHEAD = 3

/**
 * Reads all logs side by side and yields, in order, each sequence number that one of them marks committed or that a
 * database executed. Memory is bounded by the windows ahead, however long the logs are.
 */
export async function* agreedLog(
  sources: readonly LogSource[],
  options: AgreedLogOptions,
): AsyncGenerator<AgreedSlot> {
  const { genesis, onDamage, onRecord, onLate } = options
  const cursors = sources.map((source) => new LogCursor(source, { genesis, onDamage }))
  const slots = new Map<number, SlotEvidence>()
  const window = logWindowOf(genesis.parameters)
  let next = 1
  const visit = (record: LoggedRecord, source: LogSource) => {
    onRecord(record, source)
    const seq = slotOf(record)
    if (seq === null) return
    if (seq < next) return onLate(record, source)
    let slot = slots.get(seq)
    if (slot === undefined) {
      slot = new SlotEvidence(seq)
      slots.set(seq, slot)
    }
    slot.add(record, source.replica)
  }
  for (;;) {
    for (const cursor of cursors) await cursor.readUntil(next + WINDOWS_AHEAD * window, visit)
    if (slots.size === 0 && cursors.every(({ isEnded }) => isEnded)) return
    // Where the logs begin late there is nothing before.
    if (slots.size > 0) next = Math.max(next, Math.min(...slots.keys()))
    for (const end = next + window; next < end; next++) {
      const slot = slots.get(next)
      slots.delete(next)
      const decided = slot === undefined ? undefined : decide(slot, options)
      if (decided !== undefined) yield decided
    }
  }
}

/** The sequence number whose batch a record is about; null for one about something else. */
function slotOf(record: LoggedRecord): Seq | null {
  switch (record.kind) {
    case 'body':
    case 'committed':
      return record.seq
    case 'prepared':
      return record.header.seq
    default:
      return null
  }
}

function decide(evidence: SlotEvidence, { executedAt }: AgreedLogOptions): AgreedSlot | undefined {
  const { seq, marks } = evidence
  const digest = marks.size === 1 ? [...marks.keys()][0] : disputed(evidence, executedAt(seq))
  if (digest === undefined) return undefined
  const batch = digest === NULL_BATCH.digest ? NULL_BATCH : (evidence.bodyOf(digest) ?? null)
  return { seq, digest, batch, evidence }
}

/** Where logs differ, what most of them mark; where none marks anything, what was executed. */
function disputed({ marks }: SlotEvidence, executed: Digest | undefined): Digest | undefined {
  const [most] = [...marks].sort(
    ([a, ofA], [b, ofB]) => ofB.size - ofA.size || Number(b === executed) - Number(a === executed),
  )
  return most?.[0] ?? executed
}
