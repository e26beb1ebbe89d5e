import type { Batch, Commit, Header, Prepare, PreparedCertificate, Vote } from '../../protocol/messages.ts'
import type { Digest, LogPosition, ReplicaId, Seq, View } from '../../protocol/types.ts'
import { Certificate } from './certificate.ts'

/** `at`: where its record is in the vote log; nothing that depends on it is sent before that is durable [D1]. */
export type Accepted = { readonly header: Header; readonly batch: Batch; readonly at: LogPosition }

export type CommittedMark = { readonly view: View; readonly digest: Digest }

/** Batches of one slot that are kept over the views that did not commit it. */
const BODIES_MAX = 16

/** What this replica knows of one sequence number: what outlives views, and its voting in the current one. */
export class Slot {
  readonly seq: Seq
  /** [VC1] The prepared certificate of the highest view: it stays until one of a higher view replaces it. */
  certificate: PreparedCertificate | null = null
  committed: CommittedMark | null = null
  /** Bodies that were accepted here or fetched, in whatever view. */
  readonly #bodies = new Map<Digest, Batch>()
  voting = new SlotVoting()

  constructor(seq: Seq) {
    this.seq = seq
  }

  body(digest: Digest): Batch | undefined {
    return this.#bodies.get(digest)
  }

  keepBody(batch: Batch): void {
    this.#bodies.set(batch.digest, batch)
  }

  /**
   * Another view: votes start again. Bodies stay: somebody may hold a certificate that this replica's PREPARE is in,
   * and name the batch in a later O when nobody else has it. One over the bound goes, oldest first, unless it is needed.
   */
  enterView(header: Header | null): void {
    this.voting = new SlotVoting()
    this.voting.expected = header
    const needed = [this.certificate?.header.digest, this.committed?.digest, header?.digest]
    for (const digest of this.#bodies.keys()) {
      if (this.#bodies.size <= BODIES_MAX) break
      if (!needed.includes(digest)) this.#bodies.delete(digest)
    }
  }
}

/** One slot's voting in the current view. */
export class SlotVoting {
  /** [VC2] What the NEW-VIEW put here; its body may still be missing. */
  expected: Header | null = null
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
  /** This replica's own votes, signed once. */
  ownPrepare: Prepare | null = null
  ownCommit: Commit | null = null
}
