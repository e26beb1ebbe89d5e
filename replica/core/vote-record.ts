import type { Batch, Header, Vote } from '../../protocol/messages.ts'
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

/** A committed batch as the vote log serves it, for redo and for peers [CP5] [D4]. */
export type CommittedEntry = {
  readonly seq: Seq
  readonly view: View
  readonly digest: Digest
  readonly commits: readonly Vote[]
  readonly batch: Batch
}

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
  }
}

/** [D1] The one function that decides what is a vote: durable before anything that depends on it is sent. */
export function isVote(record: VoteRecord): boolean {
  switch (record.kind) {
    case 'pre-prepare':
    case 'prepared':
    case 'checkpoint':
    case 'stable':
      return true
    case 'committed':
    case 'batch':
      return false
  }
}
