import { genesisRows } from '../../db/genesis-rows.ts'
import type { Genesis } from '../../protocol/config.ts'
import type { Batch } from '../../protocol/messages.ts'
import type { AccountId } from '../../protocol/operations.ts'
import type { PropertyReport } from './finding.ts'
import { type Call, CallTable } from './history/call.ts'
import { CallsByRequest } from './history/calls-by-request.ts'
import { AccountVersions } from './history/versions.ts'
import { readHistory } from './history-lines.ts'
import { AnswersCheck } from './properties/answers.ts'
import { judgeLinearizability, WITNESS_CALLS_MAX } from './properties/linearizability.ts'
import { SerializabilityCheck } from './properties/serializability.ts'
import type { ModelStep } from './replay/model.ts'

/** What clients did and were told, held against what the model executes. */
export class HistoryPass {
  readonly answers: AnswersCheck
  readonly #genesis: Genesis
  readonly #table: CallTable
  readonly #byRequest: CallsByRequest
  readonly #versions: AccountVersions
  /** Requests of nobody in the history that may have moved money: the first, and the first behind a call of it. */
  #firstForeign = Number.POSITIVE_INFINITY
  #firstOfOurs = Number.POSITIVE_INFINITY
  readonly #foreign: number[] = []

  private constructor(genesis: Genesis, table: CallTable) {
    this.#genesis = genesis
    this.#table = table
    this.#byRequest = new CallsByRequest(table.calls.values())
    this.answers = new AnswersCheck(this.#byRequest)
    this.answers.onFlaws(table.flaws)
    this.#versions = new AccountVersions(readAccounts(table.calls.values()), genesisRows(genesis).accounts)
  }

  /** @throws HistoryError; else what the file system throws */
  static async read(path: string, genesis: Genesis): Promise<HistoryPass> {
    const table = new CallTable({ firstCalls: WITNESS_CALLS_MAX })
    for await (const event of readHistory(path)) table.add(event)
    table.finish()
    return new HistoryPass(genesis, table)
  }

  get callCount(): number {
    return this.#table.calls.size
  }

  onExecuted(seq: number, batch: Batch, { executed, changes }: ModelStep): void {
    for (const { after } of changes.accounts) this.#versions.onChanged(after)
    let place = 0
    for (const request of batch.requests) {
      const entry = executed.lanes[place]
      // A request that its lane was beyond has no entry.
      if (entry === undefined || entry.requestDigest !== request.digest || entry.number !== request.number)
        continue
      place += 1
      this.answers.onExecuted(seq, request, entry)
      const isOurs = this.#byRequest.of(entry.client, entry.lane, entry.number).length > 0
      if (isOurs) this.#firstOfOurs = Math.min(this.#firstOfOurs, seq)
      else if (request.operations.some(({ kind }) => !HARMLESS.has(kind))) this.#onForeign(seq)
    }
  }

  #onForeign(seq: number): void {
    this.#firstForeign = Math.min(this.#firstForeign, seq)
    if (this.#firstOfOurs <= seq && this.#foreign.length === 0) this.#foreign.push(seq)
  }

  /** `upTo`: the replay's end; `isWhole`: nothing was executed beyond. */
  finish({ upTo, isWhole }: { readonly upTo: number; readonly isWhole: boolean }): readonly PropertyReport[] {
    const { calls } = this.#table
    this.answers.finish(calls.values(), { isWhole })
    const serializability = new SerializabilityCheck(this.#versions, { upTo })
    serializability.judge(calls.values())
    serializability.tally.expect()
    this.answers.tally.expect()
    if (!isWhole)
      serializability.tally.doubt(
        `calls above seq ${upTo} were not looked at: the log was not replayed there`,
      )
    return [this.answers.report(), serializability.report(), this.#linearizability()]
  }

  #linearizability(): PropertyReport {
    const calls = [...this.#table.calls.values()]
    const later = calls.filter(({ call }) => call > WITNESS_CALLS_MAX)
    const cutUs = later.reduce((least, { invokedUs }) => Math.min(least, invokedUs), Number.POSITIVE_INFINITY)
    const witnessed = calls.filter(({ invokedUs }) => invokedUs < cutUs)
    const last = witnessed.reduce((highest, { seq }) => Math.max(highest, seq), 0)
    const disturbance = this.#foreign[0] ?? Number.POSITIVE_INFINITY
    return judgeLinearizability(
      this.#table.first.filter(({ atUs }) => atUs < cutUs),
      {
        genesis: this.#genesis,
        knowsAll: this.#firstForeign === Number.POSITIVE_INFINITY,
        disturbed: disturbance <= last,
      },
    )
  }
}

/** Operations that move nothing. */
const HARMLESS: ReadonlySet<string> = new Set(['balance', 'history', 'lookup', 'recover'])

function readAccounts(calls: Iterable<Call>): Set<AccountId> {
  const accounts = new Set<AccountId>()
  for (const { values } of calls) for (const { account } of values ?? []) accounts.add(account)
  return accounts
}
