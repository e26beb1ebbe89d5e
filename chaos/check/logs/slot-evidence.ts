import { decodeBatch, isMalformed } from '../../../protocol/codec.ts'
import type { Batch, Header, Vote } from '../../../protocol/messages.ts'
import { NULL_BATCH } from '../../../protocol/signing.ts'
import type { Digest, Seq, View } from '../../../protocol/types.ts'
import type { LoggedRecord } from './logged-record.ts'

/** Votes of one kind for one digest in one view, each signature once. */
export type Ballot = { readonly view: View; readonly digest: Digest; readonly votes: Vote[] }

/** All that the logs say about one sequence number. */
export class SlotEvidence {
  readonly seq: Seq
  /** Whose logs mark which batch committed. */
  readonly marks = new Map<Digest, Set<number>>()
  readonly headers: Header[] = []
  readonly prepares: Ballot[] = []
  readonly commits: Ballot[] = []
  readonly #bodies: Uint8Array[] = []

  constructor(seq: Seq) {
    this.seq = seq
  }

  /** Undefined when this record is about something else than a batch. */
  add(record: LoggedRecord, replica: number): void {
    switch (record.kind) {
      case 'body':
        if (record.header !== null) this.#addHeader(record.header)
        this.#addBody(record.bytes)
        break
      case 'prepared':
        this.#addHeader(record.header)
        addVotes(this.prepares, record.header, record.prepares)
        break
      case 'committed':
        this.#mark(record.digest, replica)
        addVotes(this.commits, record, record.commits)
        break
      default:
        break
    }
  }

  /** The batch of that digest, when a log has it. */
  bodyOf(digest: Digest): Batch | undefined {
    if (digest === NULL_BATCH.digest) return NULL_BATCH
    for (const bytes of this.#bodies) {
      const batch = decodeBatch(bytes)
      if (!isMalformed(batch) && batch.digest === digest) return batch
    }
    return undefined
  }

  #mark(digest: Digest, replica: number): void {
    const known = this.marks.get(digest)
    if (known === undefined) this.marks.set(digest, new Set([replica]))
    else known.add(replica)
  }

  #addHeader(header: Header): void {
    const isKnown = this.headers.some(
      ({ view, digest, signature }) =>
        view === header.view && digest === header.digest && equal(signature, header.signature),
    )
    if (!isKnown) this.headers.push(header)
  }

  #addBody(bytes: Uint8Array): void {
    if (!this.#bodies.some((known) => equal(known, bytes))) this.#bodies.push(bytes)
  }
}

function addVotes(
  ballots: Ballot[],
  { view, digest }: { readonly view: View; readonly digest: Digest },
  votes: readonly Vote[],
): void {
  let ballot = ballots.find((one) => one.view === view && one.digest === digest)
  if (ballot === undefined) {
    ballot = { view, digest, votes: [] }
    ballots.push(ballot)
  }
  const known = ballot.votes
  for (const vote of votes) {
    const isKnown = known.some(
      ({ replica, signature }) => replica === vote.replica && equal(signature, vote.signature),
    )
    if (!isKnown) known.push(vote)
  }
}

const equal = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0
