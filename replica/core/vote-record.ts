import type { Batch, Header, NewView, ViewChange, Vote } from '../../protocol/messages.ts'
import type { Digest, Seq, View } from '../../protocol/types.ts'

/**
 * What the vote log keeps [D1]. A record's kind decides whether something visible waits for it: see `isVote`.
 * `prepares` are q-1 and `commits` q signatures as received; a committed mark learnt from f+1 words has none.
 */
export type VoteRecord =
  | { readonly kind: 'pre-prepare'; readonly header: Header; readonly batch: Batch }
  | { readonly kind: 'prepared'; readonly header: Header; readonly prepares: readonly Vote[] }
  | {
      readonly kind: 'committed'
      readonly seq: Seq
      readonly view: View
      readonly digest: Digest
      readonly commits: readonly Vote[]
    }
  | { readonly kind: 'batch'; readonly seq: Seq; readonly batch: Batch }
  | {
      readonly kind: 'checkpoint'
      readonly seq: Seq
      readonly stateRoot: Digest
      readonly chain: Digest
      readonly signature: Uint8Array
    }
  | {
      readonly kind: 'stable'
      readonly seq: Seq
      readonly stateRoot: Digest
      readonly chain: Digest
      readonly checkpoints: readonly Vote[]
    }
  /** An own VIEW-CHANGE: no vote below its view any more, also after a restart [VC3]. */
  | { readonly kind: 'view-change'; readonly message: ViewChange }
  /** A verified NEW-VIEW with the VIEW-CHANGEs that it names: from here on votes in its view [VC3]. */
  | {
      readonly kind: 'new-view'
      readonly message: NewView
      readonly viewChanges: readonly ViewChange[]
    }
  /** [D5] The first record of a log that replaces a lost one: nothing is known of earlier votes. */
  | { readonly kind: 'amnesia' }
  /** [D5] Votes again: under this incarnation, in `view` and above. */
  | { readonly kind: 'recovered'; readonly incarnation: number; readonly view: View }

/** A committed batch as the vote log serves it, for redo and for peers [CP5] [D4]. */
export type CommittedEntry = {
  readonly seq: Seq
  readonly view: View
  readonly digest: Digest
  readonly commits: readonly Vote[]
  readonly batch: Batch
}

/** 0 for a record that is about no seq. */
export function seqOfRecord(record: VoteRecord): Seq {
  switch (record.kind) {
    case 'pre-prepare':
    case 'prepared':
      return record.header.seq
    case 'committed':
    case 'batch':
    case 'checkpoint':
    case 'stable':
      return record.seq
    case 'view-change':
    case 'new-view':
    case 'amnesia':
    case 'recovered':
      return 0 as Seq
  }
}

/**
 * Records that say something of the replica as a whole, not of a seq: the newest of each kind stays in force however
 * far the log is cut.
 */
export function isStanding(record: VoteRecord): boolean {
  switch (record.kind) {
    case 'view-change':
    case 'new-view':
    case 'amnesia':
    case 'recovered':
      return true
    case 'pre-prepare':
    case 'prepared':
    case 'committed':
    case 'batch':
    case 'checkpoint':
    case 'stable':
      return false
  }
}

/** [D1] The one function that decides what is a vote: durable before anything that depends on it is sent. */
export function isVote(record: VoteRecord): boolean {
  switch (record.kind) {
    case 'pre-prepare':
    case 'prepared':
    case 'checkpoint':
    case 'stable':
    case 'view-change':
    case 'new-view':
    case 'amnesia':
    case 'recovered':
      return true
    case 'committed':
    case 'batch':
      return false
  }
}
