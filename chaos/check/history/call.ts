import { pack } from '../../../protocol/msgpack.ts'
import type { Operation, OperationResult, ReadValue } from '../../../protocol/operations.ts'
import { operationToFields } from '../../../protocol/operations-codec.ts'
import { encodeResults } from '../../../protocol/results-codec.ts'
import type { CallId, HistoryEvent, RequestPart } from '../history.ts'

export type CallOutcome = 'ok' | 'fail' | 'unknown' | 'pending' | 'executed' | 'not-executed'

/**
 * Encoded operations or results, one character per byte: as text a million of them take a fifth of the memory that byte
 * arrays would.
 */
export type Encoded = string & { readonly __encoded: true }

/** One call with all that its caller was told, encoded where there may be a million. */
export type Call = {
  readonly call: CallId
  readonly caller: number
  readonly client: number
  readonly invokedUs: number
  /** When the caller knew more: the answer, or what a lookup said of it. */
  endedUs: number
  outcome: CallOutcome
  request: RequestPart | null
  /** Of a submit, to be compared with what was executed; null: a read. */
  readonly asked: Encoded | null
  readonly accounts: readonly string[]
  /** Results of a submit. */
  told: Encoded | null
  values: readonly ReadValue[] | null
  /** Where the log has its request; 0: nowhere, as far as the log was read. */
  seq: number
}

export const encoded = (bytes: Uint8Array): Encoded =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1') as Encoded

export const bytesOf = (text: Encoded): Buffer => Buffer.from(text, 'latin1')

export const encodeOperations = (operations: readonly Operation[]): Encoded =>
  encoded(pack(operations.map(operationToFields)))

const encodedResults = (results: readonly OperationResult[]): Encoded => encoded(encodeResults(results))

const NO_ACCOUNTS: readonly string[] = []

/** What is wrong with a history itself, before it is judged. */
export type HistoryFlaw = { readonly call: CallId; readonly what: string }

/** Puts the events of a history together to calls, in whatever order its lines are. */
export class CallTable {
  readonly calls = new Map<CallId, Call>()
  readonly flaws: HistoryFlaw[] = []
  /** Events that came before their invoke. */
  readonly #early: Exclude<HistoryEvent, { type: 'invoke' }>[] = []
  /** Of the first calls: what was asked and told, as objects, for the witness. */
  readonly first: HistoryEvent[] = []
  readonly #firstCalls: number

  constructor({ firstCalls }: { readonly firstCalls: number }) {
    this.#firstCalls = firstCalls
  }

  add(event: HistoryEvent): void {
    if (event.call <= this.#firstCalls) this.first.push(event)
    if (event.type === 'invoke') this.#invoke(event)
    else if (this.calls.has(event.call)) this.#end(event)
    else this.#early.push(event)
  }

  /** No more events. */
  finish(): void {
    for (const event of this.#early) {
      if (this.calls.has(event.call)) this.#end(event)
      else this.flaws.push({ call: event.call, what: `'${event.type}' of a call that nobody made` })
    }
    const byCaller = Map.groupBy(this.calls.values(), ({ caller }) => caller)
    for (const [caller, calls] of byCaller) this.#checkOneAtATime(caller, calls)
  }

  #checkOneAtATime(caller: number, calls: Call[]): void {
    calls.sort((a, b) => a.invokedUs - b.invokedUs)
    let before: Call | undefined
    for (const call of calls) {
      if (before !== undefined && before.outcome === 'ok' && before.endedUs > call.invokedUs) {
        this.flaws.push({
          call: call.call,
          what: `caller ${caller} made it while call ${before.call} was under way`,
        })
      }
      before = call
    }
  }

  #invoke({ call, caller, client, atUs, what }: Extract<HistoryEvent, { type: 'invoke' }>): void {
    if (this.calls.has(call)) {
      this.flaws.push({ call, what: 'it was made twice' })
      return
    }
    this.calls.set(call, {
      call,
      caller,
      client,
      invokedUs: atUs,
      endedUs: Number.POSITIVE_INFINITY,
      outcome: 'pending',
      request: null,
      asked: what.kind === 'submit' ? encodeOperations(what.operations) : null,
      accounts: what.kind === 'read' ? what.accounts : NO_ACCOUNTS,
      told: null,
      values: null,
      seq: 0,
    })
  }

  #end(event: Exclude<HistoryEvent, { type: 'invoke' }>): void {
    const call = this.calls.get(event.call)
    if (call === undefined) return
    const isSettling = event.type === 'settled' && call.outcome === 'unknown'
    if (call.outcome !== 'pending' && !isSettling)
      this.flaws.push({ call: event.call, what: `it ended twice: '${call.outcome}' and '${event.type}'` })
    else if (event.atUs < call.invokedUs)
      this.flaws.push({ call: event.call, what: `its '${event.type}' is older than the call` })
    else note(call, event)
  }
}

function note(call: Call, event: Exclude<HistoryEvent, { type: 'invoke' }>): void {
  call.endedUs = event.atUs
  switch (event.type) {
    case 'ok':
      call.outcome = 'ok'
      call.request = event.request
      if ('values' in event) call.values = event.values
      else call.told = encodedResults(event.results)
      break
    case 'fail':
      call.outcome = 'fail'
      break
    case 'unknown':
      call.outcome = 'unknown'
      call.request = event.request
      break
    case 'settled':
      if (event.outcome === 'unknown') break
      call.outcome = event.outcome
      if (event.results !== null) call.told = encodedResults(event.results)
      break
  }
}
