import type { Seq } from '../../protocol/types.ts'
import type { DumpedDatabase } from './dump/dumped-database.ts'
import type { PropertyReport, PropertyVerdict } from './finding.ts'
import { HistoryPass } from './history-pass.ts'
import { LogPass } from './log-pass.ts'
import type { AgreedSlot } from './logs/agreed-log.ts'
import { ChainCheck, type ChainOfDatabase } from './properties/chain.ts'
import { ConservationCheck } from './properties/conservation.ts'
import { ExactlyOnceCheck } from './properties/exactly-once.ts'
import { ReplayCheck } from './replay/replay-check.ts'
import { compareWithoutModel } from './replay/without-model.ts'
import { readSamples } from './samples.ts'
import type { CheckSources } from './sources.ts'
import { replicasNamed, Tally } from './tally.ts'

export type CheckReport = {
  readonly verdict: PropertyVerdict
  readonly properties: readonly PropertyReport[]
  readonly databases: readonly {
    readonly replica: number
    readonly lastExecuted: number
    readonly chain: string
  }[]
  /** Of the agreed log, as far as it was read. */
  readonly operations: number
  readonly batches: number
  readonly signatures: number
  readonly calls: number
}

/** Judges what is there. Total: what cannot be read is said to be so, and makes no verdict better. */
export async function check(sources: CheckSources): Promise<CheckReport> {
  return new Check(sources).run()
}

class Check {
  readonly #sources: CheckSources
  readonly #chain: ChainCheck
  readonly #conservation: ConservationCheck
  readonly #exactlyOnce = new ExactlyOnceCheck()
  readonly #readable: DumpedDatabase[] = []
  readonly #chains: ChainOfDatabase[] = []
  readonly #unreadable: string[]
  #history: HistoryPass | null = null
  #historyProblem: string | null = null
  /** Why the replay ended before the agreed log did; null: it did not. */
  #stopped: string | null = null

  constructor(sources: CheckSources) {
    this.#sources = sources
    this.#chain = new ChainCheck(sources.genesis)
    this.#conservation = new ConservationCheck(sources.genesis)
    this.#unreadable = sources.unreadable.map(
      ({ replica, reason }) =>
        `${replica === null ? 'a database' : `the database of replica ${replica}`} can't be read: ${reason}`,
    )
  }

  async run(): Promise<CheckReport> {
    const { genesis, logs } = this.#sources
    await this.#readHistory()
    for (const database of this.#sources.databases) this.#readChain(database)
    const pass = new LogPass(genesis, { sources: logs, chains: this.#chains })
    const replay = new ReplayCheck(genesis, this.#readable)
    try {
      const ledger = this.#conservation.ledgerOf('the agreed log', [])
      await pass.run((slot) => this.#replay(slot, { replay, ledger }))
      pass.finishUnlogged()
      if (replay.model.position.lastExecuted > 0)
        ledger.onAccounts(replay.model.position.lastExecuted, replay.model.rows('accounts'))
      return await this.#judge(pass, replay)
    } finally {
      replay.close()
      await pass.pool.close()
    }
  }

  async #readHistory(): Promise<void> {
    const { history, genesis } = this.#sources
    if (history === null) return
    try {
      this.#history = await HistoryPass.read(history, genesis)
    } catch (error) {
      this.#historyProblem = error instanceof Error ? error.message : String(error)
    }
  }

  #readChain(database: DumpedDatabase): void {
    try {
      this.#chains.push(this.#chain.onDatabase(database))
      this.#readable.push(database)
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error)
      this.#unreadable.push(`the database of replica ${database.meta.replica} can't be read: ${why}`)
    }
  }

  #replay(
    slot: AgreedSlot,
    {
      replay,
      ledger,
    }: { readonly replay: ReplayCheck; readonly ledger: ReturnType<ConservationCheck['ledgerOf']> },
  ): void {
    if (this.#stopped !== null) return
    const next = replay.model.position.lastExecuted + 1
    if (slot.seq !== next) {
      this.#stopped =
        next === 1
          ? `the logs begin at seq ${slot.seq}: what was before was cut and not archived`
          : `no log has the batches from seq ${next} to ${slot.seq - 1}`
    } else if (slot.batch === null) {
      this.#stopped = `no log has the batch that was committed at seq ${slot.seq}`
    } else {
      const step = replay.execute(slot.seq, slot.batch)
      ledger.onTransfers(slot.seq, step.changes.transfers)
      this.#exactlyOnce.onExecuted(slot.seq, step.executed.lanes)
      this.#history?.onExecuted(slot.seq, slot.batch, step)
    }
  }

  async #judge(pass: LogPass, replay: ReplayCheck): Promise<CheckReport> {
    const replayedUpTo = replay.model.position.lastExecuted
    const { states, invalid } = await pass.checkpoints.proven(
      pass.pool,
      this.#sources.genesis.replicas.length,
    )
    await pass.pool.drain()
    this.#chain.onProvenStates(states, this.#chains)
    pass.proof.onProvenStates(states)
    if (invalid > 0)
      pass.proof.tally.note(`${invalid} CHECKPOINT signatures do not hold and were not counted`)
    pass.proof.finish({
      covered: coveredBy(states, this.#chains),
      amnesiac: pass.monotonicity.amnesiac,
      whyNotWhole: this.#whyLogsAreNotWhole(pass),
    })
    await this.#readSamples(pass)
    pass.monotonicity.finish({ upTo: pass.agreement.decided.highest })
    await replay.finish((seqs) => pass.batchesAt(seqs))
    await this.#withoutModel(replay, replayedUpTo)
    this.#sayWhatIsMissing(pass, replay)
    const highest = Math.max(0, ...this.#chains.map(({ lastExecuted }) => lastExecuted))
    const historyReports = this.#historyReports(
      replayedUpTo,
      replayedUpTo >= Math.max(highest, pass.agreement.decided.highest),
    )
    const [answers, serializability, linearizability] = historyReports
    const properties = [
      pass.agreement.report(),
      this.#chain.report(),
      pass.proof.report(),
      pass.validity.report(),
      this.#exactlyOnce.report(),
      ...(answers === undefined ? [] : [answers]),
      this.#conservation.report(),
      replay.report(),
      pass.monotonicity.report(),
      ...[serializability, linearizability].filter((one) => one !== undefined),
    ]
    return {
      verdict: overall(properties),
      properties,
      databases: this.#readable.map(({ meta }) => ({
        replica: meta.replica,
        lastExecuted: meta.lastExecuted,
        chain: meta.chain,
      })),
      operations: pass.operations,
      batches: pass.agreement.decided.highest,
      signatures: pass.pool.verified,
      calls: this.#history?.callCount ?? 0,
    }
  }

  /** Rows beyond what could be replayed, and of databases that differ, are held against each other and themselves. */
  async #withoutModel(replay: ReplayCheck, replayedUpTo: number): Promise<void> {
    const { genesis, expected } = this.#sources
    const beyond = this.#readable.filter(({ meta }) => meta.lastExecuted > replayedUpTo)
    if (beyond.length > 0) {
      const why = this.#stopped ?? `the logs end at seq ${replayedUpTo}`
      const text = `rows above seq ${replayedUpTo} were not compared with the model, but with each other and with their own history: ${why}`
      if (expected.wholeLogs) replay.tally.doubt(text)
      else replay.tally.leftOut(text)
      await compareWithoutModel(this.#readable, { genesis, tally: replay.tally })
    }
    const own = this.#readable.filter(
      ({ meta }) => meta.lastExecuted > replayedUpTo || replay.differing.has(meta.replica),
    )
    for (const database of own) {
      try {
        await this.#conservation.onDatabase(database.meta.replica, {
          transfers: database.allRows('transfers'),
          accounts: database.allRows('accounts'),
          lastExecuted: database.meta.lastExecuted,
        })
      } catch (error) {
        this.#conservation.tally.doubt(error instanceof Error ? error.message : String(error))
      }
    }
  }

  async #readSamples(pass: LogPass): Promise<void> {
    const { samples } = this.#sources
    if (samples === null) return
    try {
      const onBad = (line: number, why: string) =>
        pass.monotonicity.tally.leftOut(`${samples}: line ${line} is no sample: ${why}`)
      for await (const sample of readSamples(samples, onBad)) pass.monotonicity.onSample(sample)
    } catch (error) {
      pass.monotonicity.tally.doubt(error instanceof Error ? error.message : String(error))
    }
  }

  /** Null when every replica's present log was there and readable. */
  #whyLogsAreNotWhole({ damage }: LogPass): string | null {
    const { genesis, logs, liars = [] } = this.#sources
    const missing = genesis.replicas
      .map(({ id }) => id)
      .filter((id) => !liars.includes(id))
      .filter((id) => !logs.some(({ replica, isCurrent }) => isCurrent && replica === id))
    if (missing.length > 0) return `there is no vote log of ${replicasNamed(missing)}`
    const [first] = damage.filter(({ source }) => source.isCurrent)
    return first === undefined ? null : `${first.file}: damaged at byte ${first.offset}: ${first.why}`
  }

  #sayWhatIsMissing(pass: LogPass, replay: ReplayCheck): void {
    const { expected, logs } = this.#sources
    const aboutLogs = [pass.agreement.tally, pass.proof.tally, pass.validity.tally, pass.monotonicity.tally]
    const aboutRows = [this.#chain.tally, this.#conservation.tally, replay.tally]
    const why = logs.length === 0 ? 'no vote logs were given' : this.#whyLogsAreNotWhole(pass)
    for (const tally of aboutLogs) {
      if (expected.logs) tally.expect()
      if (why === null) continue
      if (expected.logs) tally.doubt(why)
      else tally.leftOut(why)
    }
    for (const { file, offset, why: what, source } of pass.damage) {
      if (!source.isCurrent) pass.agreement.tally.leftOut(`${file}: damaged at byte ${offset}: ${what}`)
    }
    for (const tally of aboutRows) {
      tally.expect()
      for (const text of this.#unreadable) tally.doubt(text)
    }
    for (const text of this.#sources.doubts) replay.tally.doubt(text)
    if (this.#stopped !== null) this.#exactlyOnce.tally.leftOut(this.#stopped)
    if (expected.wholeLogs) {
      this.#exactlyOnce.tally.expect()
      if (this.#stopped !== null) this.#exactlyOnce.tally.doubt(this.#stopped)
    }
  }

  #historyReports(upTo: number, isWhole: boolean): readonly PropertyReport[] {
    if (this.#history !== null) return this.#history.finish({ upTo, isWhole })
    return (['answers', 'serializability', 'linearizability'] as const).map((property) => {
      const tally = new Tally(property)
      const why = this.#historyProblem ?? 'no history was given'
      if (this.#historyProblem !== null || this.#sources.expected.history) tally.doubt(why)
      else tally.leftOut(why)
      return tally.report()
    })
  }
}

/** Up to where some database's chain, intact from genesis on, is that of a proven CHECKPOINT. */
function coveredBy(
  states: readonly { readonly seq: Seq; readonly chain: string }[],
  chains: readonly ChainOfDatabase[],
) {
  let covered = { seq: 0, batchAt: (_: number): ReturnType<ChainOfDatabase['batches']['get']> => undefined }
  for (const { seq, chain } of states) {
    const holder = chains.find((one) => one.intactUpTo >= seq && one.chains.get(seq) === chain)
    if (holder !== undefined && seq > covered.seq) covered = { seq, batchAt: (at) => holder.batches.get(at) }
  }
  return covered
}

function overall(properties: readonly PropertyReport[]): PropertyVerdict {
  if (properties.some(({ verdict }) => verdict === 'fail')) return 'fail'
  return properties.some(({ verdict, isExpected }) => verdict === 'unknown' && isExpected)
    ? 'unknown'
    : 'pass'
}
