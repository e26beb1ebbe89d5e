import type { Answer } from '../../../client/effects.ts'
import type { Reply } from '../../../protocol/messages.ts'
import type { AccountId, OperationResult, ReadValue, RequestName } from '../../../protocol/operations.ts'
import { decodeResults, encodeResults } from '../../../protocol/results-codec.ts'
import { lane as laneNumber } from '../../../protocol/types.ts'
import { Violation } from '../violation.ts'
import type { HistoryCheck } from './history-check.ts'

/** What was acknowledged, to anybody, when a call began. */
export type Floor = { readonly seq: number; readonly versions: ReadonlyMap<AccountId, number> }

/** [NC6] [NC7] What clients were told is what was executed, and never older than what somebody knew already. */
export class AnswerCheck {
  readonly #history: HistoryCheck
  readonly #isWitnessed: () => boolean
  /** The latest batch whose result somebody has. */
  #seq = 0
  /** The latest version of each row that somebody has seen. */
  readonly #versions = new Map<AccountId, number>()

  /** @param isWitnessed among a quorum there is a correct replica; without, clients are told what liars like */
  constructor(history: HistoryCheck, isWitnessed: () => boolean) {
    this.#history = history
    this.#isWitnessed = isWitnessed
  }

  /** Whether a client was told anything yet. */
  get isAcknowledged(): boolean {
    return this.#seq > 0
  }

  floor(accounts: readonly AccountId[]): Floor {
    return {
      seq: this.#seq,
      versions: new Map(accounts.map((account) => [account, this.#versions.get(account) ?? 0])),
    }
  }

  /** `reply` completed the certificate by which the client took `answer`. */
  onResults(reply: Reply, answer: Extract<Answer, { kind: 'results' | 'values' }>, floor: Floor): void {
    if (!this.#isWitnessed()) return
    const agreed = this.#history.resultOf(reply)
    const name = `${reply.client}/${reply.lane}/${reply.number}`
    if (agreed === undefined || reply.outcome.kind !== 'executed' || agreed.digest !== reply.requestDigest) {
      throw new Violation('wrong-answer', `request ${name} was answered and never executed`)
    }
    if (Buffer.compare(agreed.result, reply.outcome.result) !== 0) {
      throw new Violation(
        'wrong-answer',
        `request ${name}: the result differs from that of seq ${agreed.seq}`,
      )
    }
    // A request sent after a result was known is ordered behind it.
    if (agreed.seq <= floor.seq) {
      throw new Violation(
        'real-time-order',
        `request ${name} executed at ${agreed.seq}; it began when ${floor.seq} was already answered`,
      )
    }
    // An ordered read is executed amid a batch: its values need not outlive that.
    if (answer.kind === 'values') for (const value of answer.values) this.#checkKnown(value, floor)
    else this.#checkSlice(answer.results, agreed.result, name)
    this.#seq = Math.max(this.#seq, agreed.seq)
    if (answer.kind === 'results') this.#see(answer.results)
  }

  #checkSlice(results: readonly OperationResult[], whole: Uint8Array, name: string): void {
    const all = (decodeResults(whole) ?? []).map((result) => hexOf([result]))
    const wanted = results.map((result) => hexOf([result]))
    for (let from = 0; from + wanted.length <= all.length; from++) {
      if (wanted.every((result, index) => result === all[from + index])) return
    }
    throw new Violation('wrong-answer', `a call of request ${name} got results that are not in its reply`)
  }

  /** [NC7] Values that a quorum read returned: one state that existed, no older than what was known at its start. */
  onRead(values: readonly ReadValue[], floor: Floor): void {
    if (!this.#isWitnessed()) return
    let from = 0
    let until = Number.POSITIVE_INFINITY
    for (const value of values) {
      const span = this.#history.spanOf(value.account, value)
      if (span === undefined) {
        throw new Violation(
          'wrong-answer',
          `a read of ${value.account} gave ${value.balance} at version ${value.version}, which never was`,
        )
      }
      this.#checkKnown(value, floor)
      from = Math.max(from, span.from)
      until = Math.min(until, span.until)
    }
    if (from >= until) throw new Violation('wrong-answer', 'a read gave values of different states')
    for (const { account, version } of values) this.#raise(account, version)
  }

  #checkKnown({ account, version }: ReadValue, floor: Floor): void {
    const known = floor.versions.get(account) ?? 0
    if (version >= known) return
    throw new Violation(
      'stale-read',
      `a read of ${account} gave version ${version}; ${known} was known when it began`,
    )
  }

  onOutcome(name: RequestName, outcome: Extract<Answer, { kind: 'outcome' }>['outcome']): void {
    if (!this.#isWitnessed()) return
    const request = { client: name.client, lane: laneNumber(name.lane), number: name.number }
    if (outcome.kind === 'not-executed') return this.#history.fence(request)
    if (outcome.kind === 'unknown') return
    const agreed = this.#history.resultOf(request)
    if (agreed === undefined || hexOf(outcome.results) !== Buffer.from(agreed.result).toString('hex')) {
      throw new Violation(
        'wrong-answer',
        `a lookup of ${request.client}/${request.lane}/${request.number} differs`,
      )
    }
    this.#see(outcome.results)
  }

  #see(results: readonly OperationResult[]): void {
    for (const result of results) {
      if (result.kind === 'balance') this.#raise(result.account, result.version)
      if (result.kind === 'linked') this.#see(result.results)
    }
  }

  /** A transfer between these accounts executed at `seq` and was acknowledged. */
  onAcknowledged(accounts: readonly AccountId[], seq: number): void {
    for (const account of accounts) this.#raise(account, seq)
  }

  #raise(account: AccountId, version: number): void {
    if (version > (this.#versions.get(account) ?? 0)) this.#versions.set(account, version)
  }
}

const hexOf = (results: readonly OperationResult[]): string =>
  Buffer.from(encodeResults(results)).toString('hex')
