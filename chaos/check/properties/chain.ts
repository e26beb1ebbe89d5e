import type { ChainRow } from '../../../db/rows.ts'
import type { Genesis } from '../../../protocol/config.ts'
import { chainDigestOf, resultsDigestOf } from '../../../protocol/signing.ts'
import type { Digest } from '../../../protocol/types.ts'
import { DigestColumn } from '../digest-column.ts'
import type { DumpedDatabase } from '../dump/dumped-database.ts'
import type { PropertyReport } from '../finding.ts'
import { short, Tally } from '../tally.ts'
import type { ProvenState } from './checkpoints.ts'

/** One database's chain, by seq. */
export type ChainOfDatabase = {
  readonly replica: number
  readonly lastExecuted: number
  readonly batches: DigestColumn
  readonly chains: DigestColumn
  /** Up to here every link follows from the one before. */
  readonly intactUpTo: number
}

/** Every database has one link for each batch, each made from the one before; proven CHECKPOINTs name the same. */
export class ChainCheck {
  readonly tally = new Tally('chain')
  readonly #genesis: Genesis

  constructor(genesis: Genesis) {
    this.#genesis = genesis
  }

  /** @throws DumpError */
  onDatabase(database: DumpedDatabase): ChainOfDatabase {
    const { replica, lastExecuted, chain: end } = database.meta
    const batches = new DigestColumn()
    const chains = new DigestColumn()
    let previous = this.#genesis.digest
    let expected = 1
    let isIntact = true
    let intactUpTo = 0
    const wrong = (seq: number, what: string, details: readonly string[] = []) => {
      isIntact = false
      this.tally.found({
        what: `seq ${seq}: the chain of replica ${replica} ${what}`,
        seq,
        replicas: [replica],
        details,
      })
    }
    for (const row of database.allRows('chain')) {
      this.tally.looked(row.seq)
      if (row.seq !== expected) wrong(expected, `lacks its links from seq ${expected} to ${row.seq - 1}`)
      else if (linkOf(row, previous) !== row.chain)
        wrong(row.seq, 'does not follow from the link before it', [
          `it has ${short(row.chain)}; the link below, its batch and its results make it ${short(linkOf(row, previous))}`,
        ])
      if (row.seq > lastExecuted) wrong(row.seq, `goes beyond seq ${lastExecuted}, the last that it executed`)
      batches.set(row.seq, row.batchDigest)
      chains.set(row.seq, row.chain)
      previous = row.chain
      expected = row.seq + 1
      if (isIntact) intactUpTo = row.seq
    }
    if (expected <= lastExecuted)
      wrong(expected, `ends before seq ${lastExecuted}, the last that it executed`)
    else if (previous !== end && expected - 1 === lastExecuted)
      wrong(lastExecuted, `ends in ${short(previous)}, and its row of meta says ${short(end)}`)
    if (lastExecuted === 0) this.tally.looked(0)
    return { replica, lastExecuted, batches, chains, intactUpTo }
  }

  /** What q replicas signed is what each database has there. */
  onProvenStates(states: readonly ProvenState[], databases: readonly ChainOfDatabase[]): void {
    for (const { seq, chain, signers } of states) {
      for (const { replica, lastExecuted, chains } of databases) {
        if (seq > lastExecuted || chains.get(seq) === chain) continue
        this.tally.found({
          what: `seq ${seq}: the chain of replica ${replica} is not the one that a CHECKPOINT proves`,
          seq,
          replicas: [replica],
          details: [
            `it has ${short(chains.get(seq) ?? 'none')}; replicas ${signers.join(', ')} signed ${short(chain)}`,
          ],
        })
      }
    }
  }

  report(): PropertyReport {
    return this.tally.report()
  }
}

const linkOf = ({ seq, batchDigest, repliesDigest, transfersDigest }: ChainRow, previous: Digest): Digest => {
  const resultsDigest = resultsDigestOf(repliesDigest, transfersDigest)
  return chainDigestOf({ previous, seq, batchDigest, resultsDigest })
}
