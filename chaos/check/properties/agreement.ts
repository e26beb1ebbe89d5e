import { type Quorum, quorumOf } from '../../../protocol/quorum.ts'
import type { Digest } from '../../../protocol/types.ts'
import { DigestColumn } from '../digest-column.ts'
import type { PropertyReport } from '../finding.ts'
import type { Ballot, SlotEvidence } from '../logs/slot-evidence.ts'
import { listed, replicasNamed, short, Tally } from '../tally.ts'

/** A replica's database by the batches that it says it executed. */
export type ExecutedBatches = {
  readonly replica: number
  readonly batchAt: (seq: number) => Digest | undefined
  readonly lastExecuted: number
}

/**
 * No sequence number has two batches: not marked committed in two logs, not prepared in one view, not executed by two
 * databases, nor marked in a log and another executed.
 */
export class AgreementCheck {
  readonly tally = new Tally('agreement')
  readonly #quorum: Quorum
  readonly #databases: readonly ExecutedBatches[]
  /** What was decided, as far as the logs went. */
  readonly decided = new DigestColumn()

  constructor({
    replicas,
    databases,
  }: {
    readonly replicas: number
    readonly databases: readonly ExecutedBatches[]
  }) {
    this.#quorum = quorumOf(replicas)
    this.#databases = databases
  }

  onSlot({ seq, digest, evidence }: { seq: number; digest: Digest; evidence: SlotEvidence }): void {
    this.tally.looked(seq)
    this.decided.set(seq, digest)
    if (evidence.marks.size > 1) this.#twoMarks(evidence)
    this.#twoPrepared(evidence)
    this.#compareDatabases(seq, digest)
  }

  /** What a log says of a number that was passed already. */
  onLateMark({ seq, digest, replica }: { seq: number; digest: Digest; replica: number }): void {
    const decided = this.decided.get(seq)
    if (decided === undefined || decided === digest) return
    this.tally.found({
      what: `seq ${seq}: the log of replica ${replica} marks batch ${short(digest)} committed, others ${short(decided)}`,
      seq,
      replicas: [replica],
    })
  }

  /** Numbers that no log speaks of: the databases are held against each other alone. */
  onDatabasesAlone(seq: number): void {
    this.tally.looked(seq)
    this.#compareDatabases(seq, undefined)
  }

  report(): PropertyReport {
    return this.tally.report()
  }

  #twoMarks({ seq, marks, commits }: SlotEvidence): void {
    this.tally.found({
      what: `seq ${seq}: ${listed([...marks.keys()].map(short))} are all marked committed`,
      seq,
      replicas: [...marks.values()].flatMap((replicas) => [...replicas]),
      details: [...marks].map(
        ([digest, replicas]) =>
          `batch ${short(digest)}: in the logs of ${replicasNamed([...replicas])}, ${commitsOf(digest, commits)}`,
      ),
    })
  }

  /** q-1 backups sign one digest in a view, and two quorums share a correct one. */
  #twoPrepared({ seq, prepares }: SlotEvidence): void {
    const full = prepares.filter((ballot) => votersOf(ballot).size >= this.#quorum.quorum - 1)
    for (const [view, ballots] of Map.groupBy(full, (ballot) => ballot.view)) {
      if (ballots.length < 2) continue
      this.tally.found({
        what: `seq ${seq}: ${listed(ballots.map(({ digest }) => short(digest)))} are all prepared in view ${view}`,
        seq,
        details: ballots.map(
          (ballot) =>
            `batch ${short(ballot.digest)}: PREPAREs of ${replicasNamed([...votersOf(ballot)])} in the logs`,
        ),
      })
    }
  }

  #compareDatabases(seq: number, logged: Digest | undefined): void {
    const executed = new Map<Digest, number[]>()
    for (const { replica, batchAt } of this.#databases) {
      const digest = batchAt(seq)
      if (digest === undefined) continue
      const same = executed.get(digest)
      if (same === undefined) executed.set(digest, [replica])
      else same.push(replica)
    }
    const isOne = executed.size <= 1 && (logged === undefined || executed.size === 0 || executed.has(logged))
    if (isOne) return
    const others = [...executed].filter(([digest]) => digest !== logged)
    this.tally.found({
      what:
        logged === undefined
          ? `seq ${seq}: the databases executed different batches`
          : `seq ${seq}: batch ${short(logged)} was decided, and not executed by ${replicasNamed(others.flatMap(([, replicas]) => replicas))}`,
      seq,
      replicas: others.flatMap(([, replicas]) => replicas),
      details: [...executed].map(
        ([digest, replicas]) => `batch ${short(digest)}: in the chain of ${replicasNamed(replicas)}`,
      ),
    })
  }
}

const votersOf = ({ votes }: Ballot): Set<number> => new Set(votes.map(({ replica }) => replica))

function commitsOf(digest: Digest, commits: readonly Ballot[]): string {
  const ballots = commits.filter((ballot) => ballot.digest === digest)
  if (ballots.length === 0) return 'without any COMMIT'
  return ballots
    .map((ballot) => `with COMMITs of ${replicasNamed([...votersOf(ballot)])} in view ${ballot.view}`)
    .join(', ')
}
