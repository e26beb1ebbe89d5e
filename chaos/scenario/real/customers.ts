import { type Bank, connect } from '../../../client/client.ts'
import type { Observation } from '../../../client/effects.ts'
import { ClientError } from '../../../client/errors.ts'
import { formatRequestName } from '../../../protocol/operations.ts'
import type { CallId, HistoryEvent } from '../../check/history.ts'
import type { Told } from '../outcome.ts'
import { CLIENTS, type ClientName, senderOf, type Transaction } from '../scenario.ts'
import { failedBy, toldOf } from '../told.ts'
import type { ScenarioCluster } from './cluster.ts'

/** Sessions with a quorum that runs are there within milliseconds. */
const CONNECT_MS = 2_000

/** The clients A to J, each with a connection and a key of its own; what they do and are told is recorded. */
export class Customers {
  readonly #cluster: ScenarioCluster
  readonly #record: (event: HistoryEvent) => void
  readonly #banks = new Map<ClientName, Bank>()
  /** Calls whose request nobody answered, by its name: a later lookup, which the client makes by itself, settles it. */
  readonly #doubts = new Map<string, CallId>()
  #lastCall: CallId = 0

  constructor(cluster: ScenarioCluster, record: (event: HistoryEvent) => void) {
    this.#cluster = cluster
    this.#record = record
  }

  /** Requests that were sent and of which nobody knows yet what became. */
  get doubts(): number {
    return this.#doubts.size
  }

  async perform(transaction: Transaction, patienceMs: number): Promise<Told> {
    const name = senderOf(transaction)
    const startedMs = performance.now()
    try {
      const bank = await this.#bank(name)
      return await this.#call(bank, transaction, Math.max(1, patienceMs - (performance.now() - startedMs)))
    } catch (error) {
      if (!(error instanceof ClientError)) throw error
      return failedBy(error)
    }
  }

  async #bank(name: ClientName): Promise<Bank> {
    const known = this.#banks.get(name)
    if (known !== undefined) return known
    const bank = await connect({
      cluster: await this.#cluster.clientFiles(name),
      connectTimeoutMs: CONNECT_MS,
      onObservation: (what) => this.#observe(what),
    })
    this.#banks.set(name, bank)
    return bank
  }

  async #call(bank: Bank, transaction: Transaction, timeoutMs: number): Promise<Told> {
    this.#lastCall += 1
    const call = this.#lastCall
    const { client } = bank
    const caller = CLIENTS.indexOf(senderOf(transaction))
    try {
      if (transaction.kind === 'read') {
        const accounts = [transaction.account]
        this.#record({
          type: 'invoke',
          atUs: nowUs(),
          call,
          caller,
          client,
          what: { kind: 'read', accounts },
        })
        const { values, travelled } = await bank.readTraced(accounts, { timeoutMs })
        const request = travelled === null ? null : { ...travelled.request, ...travelled.slice }
        this.#record({ type: 'ok', atUs: nowUs(), call, request, values })
        return { kind: 'balance', balance: values[0]?.balance ?? 0n }
      }
      const operations = [transaction]
      this.#record({
        type: 'invoke',
        atUs: nowUs(),
        call,
        caller,
        client,
        what: { kind: 'submit', operations },
      })
      const { results, travelled } = await bank.submitTraced(operations, { timeoutMs })
      this.#record({
        type: 'ok',
        atUs: nowUs(),
        call,
        request: { ...travelled.request, ...travelled.slice },
        results,
      })
      return toldOf(results[0])
    } catch (error) {
      if (!(error instanceof ClientError)) throw error
      return this.#onError(error, call)
    }
  }

  #onError(error: ClientError, call: CallId): Told {
    const { code } = error
    const told = failedBy(error)
    if (told.kind === 'unanswered') {
      this.#record({ type: 'unknown', atUs: nowUs(), call, code, request: told.request })
      this.#doubts.set(formatRequestName(told.request), call)
    } else this.#record({ type: 'fail', atUs: nowUs(), call, code })
    return told
  }

  #observe(what: Observation): void {
    if (what.kind !== 'request-settled') return
    this.#doubts.delete(formatRequestName(what.name))
  }

  /** Without waiting for answers that may never come. */
  async close(): Promise<void> {
    const banks = [...this.#banks.values()]
    this.#banks.clear()
    this.#doubts.clear()
    await Promise.all(banks.map((bank) => bank.close()))
  }
}

/** Whole microseconds, on a clock that does not go back. */
const nowUs = (): number => Math.round(performance.now() * 1_000)
