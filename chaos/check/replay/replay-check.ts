import type { Genesis } from '../../../protocol/config.ts'
import type { Batch } from '../../../protocol/messages.ts'
import type { Digest, Seq } from '../../../protocol/types.ts'
import { rowText } from '../dump/copy-text.ts'
import type { DumpedDatabase } from '../dump/dumped-database.ts'
import type { TextCursor } from '../dump/text-cursor.ts'
import type { PropertyReport } from '../finding.ts'
import { replicasNamed, short, Tally } from '../tally.ts'
import { Model, type ModelStep } from './model.ts'
import { byKey, differencesIn, differenceText, keyOfLine, type RowDifference } from './row-difference.ts'
import { stateDifferences } from './state-tables.ts'
import { touching } from './touching.ts'

/** One replica's rows, and how far they were compared. */
type Compared = {
  readonly database: DumpedDatabase
  readonly transfers: TextCursor
  readonly chain: TextCursor
}

/** A difference in a row that was written long ago: which batch did is looked up at the end. */
type Unexplained = { readonly difference: RowDifference; readonly at: number; readonly version: number }

type SeqKeyed = 'transfers' | 'chain'

/**
 * Executes the agreed batches from genesis on by the pure model and compares what it makes with each database, as text,
 * every column of every row: transfers and chain as they come, the other tables where the database stands.
 */
export class ReplayCheck {
  readonly tally = new Tally('replay')
  readonly #model: Model
  readonly #genesis: Genesis
  readonly #compared: Compared[]
  readonly #differing = new Set<number>()
  readonly #unexplained: Unexplained[] = []

  constructor(genesis: Genesis, databases: readonly DumpedDatabase[]) {
    this.#genesis = genesis
    this.#model = new Model(genesis)
    this.#compared = databases.map((database) => ({
      database,
      transfers: database.cursor('transfers'),
      chain: database.cursor('chain'),
    }))
    this.#compareState(0)
  }

  get model(): Model {
    return this.#model
  }

  /** Replicas whose rows differ from the model's. */
  get differing(): ReadonlySet<number> {
    return this.#differing
  }

  /** `seq` is the next one. */
  execute(seq: Seq, batch: Batch): ModelStep {
    const step = this.#model.execute({ seq, batch })
    this.tally.looked(seq)
    const rows = { transfers: step.changes.transfers, chain: step.changes.chain }
    this.#compareRows(seq, batch, {
      table: 'transfers',
      text: rows.transfers.map((row) => rowText('transfers', row)).join(''),
    })
    this.#compareRows(seq, batch, {
      table: 'chain',
      text: rows.chain.map((row) => rowText('chain', row)).join(''),
    })
    this.#compareState(seq)
    return step
  }

  #reaching(seq: number): Compared[] {
    return this.#compared.filter(({ database }) => database.meta.lastExecuted >= seq)
  }

  #compareRows(
    seq: number,
    batch: Batch,
    { table, text }: { readonly table: SeqKeyed; readonly text: string },
  ): void {
    const expected = Buffer.from(text)
    let wrong: Map<number, Map<string, string>> | undefined
    for (const compared of this.#compared) {
      if (compared.database.meta.lastExecuted < seq || compared[table].take(expected)) continue
      wrong ??= new Map()
      wrong.set(compared.database.meta.replica, byKey(table, linesUpTo(compared[table], seq)))
    }
    if (wrong === undefined) return
    const lines = byKey(table, text.split('\n').filter(Boolean))
    for (const difference of differencesIn(table, lines, wrong)) {
      const { key } = difference
      const line = lines.get(key) ?? [...wrong.values()].find((found) => found.has(key))?.get(key) ?? ''
      const accounts = table === 'transfers' ? line.split('\t').slice(2, 4) : []
      const details = touching({ table, key, accounts }, seq, batch)
      // A row too many shows where the next ones are compared.
      this.#found(difference, { seq: Number(key.split('/')[0]), details })
    }
  }

  #found(
    difference: RowDifference,
    { seq, details }: { readonly seq: number; readonly details: readonly string[] },
  ): void {
    const replicas = [...difference.values.keys()]
    for (const replica of replicas) this.#differing.add(replica)
    const all = this.#reaching(seq).map(({ database }) => database.meta.replica)
    this.tally.found({ what: `seq ${seq}: ${differenceText(difference, all)}`, seq, replicas, details })
  }

  /** The tables that are overwritten are known for where a database stands, and for nowhere else. */
  #compareState(seq: number): void {
    const here = this.#compared.filter(({ database }) => database.meta.lastExecuted === seq)
    if (here.length === 0) return
    const { chain } = this.#model.position
    for (const { database, transfers, chain: links } of here) {
      this.#compareMeta(database, seq, chain)
      this.#nothingBeyond(database, 'transfers', transfers)
      this.#nothingBeyond(database, 'chain', links)
    }
    const databases = here.map(({ database }) => database)
    for (const { difference, version } of stateDifferences(this.#model, databases)) {
      this.#unexplained.push({ difference, at: seq, version })
      for (const replica of difference.values.keys()) this.#differing.add(replica)
    }
  }

  #compareMeta({ meta }: DumpedDatabase, seq: number, chain: Digest): void {
    const expected = {
      cluster_id: this.#genesis.clusterId,
      genesis_digest: this.#genesis.digest,
      chain,
    }
    const found = { cluster_id: meta.clusterId, genesis_digest: meta.genesisDigest, chain: meta.chain }
    for (const column of ['cluster_id', 'genesis_digest', 'chain'] as const) {
      if (found[column] === expected[column]) continue
      this.#differing.add(meta.replica)
      this.tally.found({
        what: `seq ${seq}: table meta, column ${column}: replica ${meta.replica} has ${found[column]}; the model says ${expected[column]}`,
        seq,
        replicas: [meta.replica],
      })
    }
  }

  #nothingBeyond({ meta }: DumpedDatabase, table: SeqKeyed, cursor: TextCursor): void {
    const extra = linesUpTo(cursor, Number.POSITIVE_INFINITY, 1)[0]
    if (extra === undefined) return
    this.#differing.add(meta.replica)
    this.tally.found({
      what: `table ${table}, row ${keyOfLine(table, extra)}: replica ${meta.replica} has a row beyond seq ${meta.lastExecuted}, the last that it executed`,
      seq: Number(extra.split('\t')[0]),
      replicas: [meta.replica],
      details: [extra.replaceAll('\t', ' ')],
    })
  }

  /**
   * The replay ended. `batchesAt` finds batches again, for what has to be explained.
   */
  async finish(batchesAt: (seqs: ReadonlySet<number>) => Promise<ReadonlyMap<number, Batch>>): Promise<void> {
    const seqs = new Set(this.#unexplained.map(({ version }) => version).filter((version) => version > 0))
    const batches = seqs.size === 0 ? new Map<number, Batch>() : await batchesAt(seqs)
    for (const { difference, at, version } of this.#unexplained) {
      const batch = batches.get(version)
      const { table, key } = difference
      const touched = batch === undefined ? [] : touching({ table, key }, version, batch)
      const last =
        version === 0 ? 'the model has it as genesis made it' : `the model changed it last at seq ${version}`
      this.#found(difference, { seq: at, details: [last, ...touched] })
    }
    if (this.#compared.length > 0) this.tally.note(this.#summary())
  }

  #summary(): string {
    const equal = this.#compared.map(({ database }) => database.meta.replica)
    const right = equal.filter((replica) => !this.#differing.has(replica))
    return right.length === 0
      ? 'no database is as the model says'
      : `${right.length === 1 ? 'the database' : 'all rows in the databases'} of ${replicasNamed(right)} ${right.length === 1 ? 'is' : 'are'} as the model says; its chain ends in ${short(this.#model.position.chain)}`
  }

  close(): void {
    for (const { transfers, chain } of this.#compared) {
      transfers.close()
      chain.close()
    }
  }

  report(): PropertyReport {
    return this.tally.report()
  }
}

/** Passes and returns the lines whose seq is not above `seq`; at most `count` of them. */
function linesUpTo(cursor: TextCursor, seq: number, count = Number.POSITIVE_INFINITY): string[] {
  const lines: string[] = []
  while (lines.length < count) {
    const line = cursor.peek()
    if (line === undefined || Number(line.slice(0, line.indexOf('\t'))) > seq) break
    lines.push(line)
    cursor.skip()
  }
  return lines
}
