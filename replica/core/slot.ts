import type { Batch, Commit, Header, Prepare, Vote } from '../../protocol/messages.ts'
import type { Digest, LogPosition, ReplicaId, Seq, View } from '../../protocol/types.ts'
import { Certificate } from './certificate.ts'

/** `at`: where its record is in the vote log; nothing that depends on it is sent before that is durable [D1]. */
export type Accepted = { readonly header: Header; readonly batch: Batch; readonly at: LogPosition }

export type CommittedMark = { readonly view: View; readonly digest: Digest }

/** What this replica knows of one sequence number in the current view. */
export class Slot {
  readonly seq: Seq
  /** The accepted PRE-PREPARE [NC3]. */
  accepted: Accepted | null = null
  /** The PRE-PREPARE whose signatures are being verified. */
  checking: Digest | null = null
  /** PREPAREs not verified yet, one per sender [AU2]. */
  readonly staged = new Map<ReplicaId, Vote & { readonly digest: Digest }>()
  /** Senders whose staged PREPARE is being verified. */
  readonly verifying = new Set<ReplicaId>()
  /** Verified PREPAREs of distinct backups, this replica's own included. */
  readonly prepares = new Certificate()
  /** COMMITs, on the channel's word [AU2]. */
  readonly commits = new Certificate()
  /** Where the prepared record is in the vote log. */
  preparedAt: LogPosition | null = null
  committed: CommittedMark | null = null
  /** This replica's own votes, signed once. */
  ownPrepare: Prepare | null = null
  ownCommit: Commit | null = null

  constructor(seq: Seq) {
    this.seq = seq
  }
}
