import { quorumOf } from '../../../protocol/quorum.ts'
import type { Digest } from '../../../protocol/types.ts'
import type { PropertyReport } from '../finding.ts'
import type { AgreedSlot } from '../logs/agreed-log.ts'
import type { JudgedBallot, SlotVerdicts } from '../signatures/slot-statements.ts'
import { replicasNamed, short, Tally } from '../tally.ts'
import type { ProvenState } from './checkpoints.ts'

type Open = { readonly seq: number; readonly digest: Digest; readonly words: readonly number[] }

/**
 * Each committed batch has q valid COMMITs of one view over the union of the logs, or the word of f+1 replicas that did not
 * lose their logs, or it lies under a CHECKPOINT that q signed and whose chain is the databases'.
 */
export class ProofCheck {
  readonly tally = new Tally('proof')
  readonly #quorum: number
  readonly #weak: number
  readonly #allowByzantine: boolean
  /** Without q COMMITs: what else proves them is known at the end. */
  readonly #open: Open[] = []
  readonly #counts = { commits: 0, words: 0, checkpoint: 0, invalidCommits: 0 }

  constructor({
    replicas,
    allowByzantine,
  }: {
    readonly replicas: number
    readonly allowByzantine: boolean
  }) {
    const { quorum, weak } = quorumOf(replicas)
    this.#quorum = quorum
    this.#weak = weak
    this.#allowByzantine = allowByzantine
  }

  /** `executedBy`: whose databases have this batch. Returns whether q COMMITs prove it. */
  onSlot(
    { seq, digest, evidence }: AgreedSlot,
    verdicts: SlotVerdicts,
    executedBy: readonly number[],
  ): boolean {
    this.tally.looked(seq)
    this.#badSignatures(seq, verdicts)
    const isProven = verdicts.commits.some((ballot) => ballot.digest === digest && this.#isQuorum(ballot))
    if (isProven) this.#counts.commits += 1
    else {
      // An executed batch was committed: a replica's database is its word as much as its log is.
      const words = new Set([...(evidence.marks.get(digest) ?? []), ...executedBy])
      this.#open.push({ seq, digest, words: [...words] })
    }
    return isProven
  }

  /** A batch that databases executed and of which no log knows. */
  onUnlogged(seq: number, digest: Digest, executedBy: readonly number[]): void {
    this.tally.looked(seq)
    this.#open.push({ seq, digest, words: executedBy })
  }

  #isQuorum({ valid }: JudgedBallot): boolean {
    return new Set(valid.map(({ replica }) => replica)).size >= this.#quorum
  }

  /** A log holds what its replica verified; COMMITs alone are taken on the channel's word [NC4]. */
  #badSignatures(seq: number, { badHeaders, prepares, commits }: SlotVerdicts): void {
    for (const { view, digest } of badHeaders) {
      this.tally.found({
        what: `seq ${seq}: a log holds a PRE-PREPARE of view ${view} for batch ${short(digest)} that its primary did not sign`,
        seq,
      })
    }
    this.#badVotes('PREPARE', seq, prepares)
    const forged = commits.filter(({ invalid }) => invalid.length > 0)
    this.#counts.invalidCommits += forged.reduce((count, { invalid }) => count + invalid.length, 0)
    if (!this.#allowByzantine) this.#badVotes('COMMIT', seq, forged)
  }

  #badVotes(name: string, seq: number, ballots: readonly JudgedBallot[]): void {
    for (const { view, digest, invalid } of ballots) {
      if (invalid.length === 0) continue
      const replicas = invalid.map(({ replica }) => Number(replica))
      this.tally.found({
        what: `seq ${seq}: a log holds a ${name} of view ${view} for batch ${short(digest)} that ${replicasNamed(replicas)} did not sign`,
        seq,
        replicas,
      })
    }
  }

  /** The first of two contradicting proofs is as proven as the second: more than f lied. */
  onProvenStates(states: readonly ProvenState[]): void {
    for (const [seq, same] of Map.groupBy(states, (state) => state.seq)) {
      if (same.length < 2) continue
      this.tally.found({
        what: `seq ${seq}: ${same.length} different states are proven by CHECKPOINTs`,
        seq,
        details: same.map(
          ({ stateRoot, chain, signers }) =>
            `state ${short(stateRoot)}, chain ${short(chain)}: signed by ${replicasNamed(signers)}`,
        ),
      })
    }
  }

  /**
   * `covered`: up to where the databases' chain is that of a proven CHECKPOINT. `amnesiac`: replicas whose log was lost and
   * that do not vote yet. `isWhole`: every replica's log was there and readable.
   */
  finish(args: {
    readonly covered: { readonly seq: number; readonly batchAt: (seq: number) => Digest | undefined }
    readonly amnesiac: ReadonlySet<number>
    readonly whyNotWhole: string | null
  }): void {
    const unread: number[] = []
    for (const { seq, digest, words } of this.#open) {
      if (words.filter((replica) => !args.amnesiac.has(replica)).length >= this.#weak) {
        this.#counts.words += 1
      } else if (seq <= args.covered.seq && args.covered.batchAt(seq) === digest) {
        this.#counts.checkpoint += 1
      } else if (args.whyNotWhole !== null) {
        unread.push(seq)
      } else this.#unproven({ seq, digest, words })
    }
    if (unread.length > 0)
      this.tally.doubt(
        `${unread.length} batches, the first at seq ${unread[0]}, are not proven by what could be read: ${args.whyNotWhole}`,
      )
    const { commits, words, checkpoint, invalidCommits } = this.#counts
    this.tally.note(
      `${commits} by q COMMITs, ${words} by the word of ${this.#weak} replicas, ${checkpoint} under a CHECKPOINT`,
    )
    if (invalidCommits > 0) this.tally.note(`${invalidCommits} COMMITs do not hold and were not counted`)
  }

  #unproven({ seq, digest, words }: Open): void {
    this.tally.found({
      what: `seq ${seq}: nothing proves that batch ${short(digest)} was committed`,
      seq,
      replicas: words,
      details: [
        words.length === 0
          ? 'no replica marks or executed it'
          : `only ${replicasNamed(words)} marked or executed it, and fewer than ${this.#quorum} COMMITs of one view hold`,
      ],
    })
  }

  report(): PropertyReport {
    return this.tally.report()
  }
}
