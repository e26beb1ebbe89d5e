import { type ClientConfig, DEFAULT_CLIENT_LIMITS } from '../../../client/context.ts'
import { ClientCore } from '../../../client/core.ts'
import type { Answer, CallId, ClientEffect, Observation, TimerName } from '../../../client/effects.ts'
import type { ClientError } from '../../../client/errors.ts'
import { decodeMessage, encodeMessage, isMalformed } from '../../../protocol/codec.ts'
import type { Message, Read, ReadReply, Reply, Request } from '../../../protocol/messages.ts'
import type { Operation, OperationResult, ReadValue } from '../../../protocol/operations.ts'
import { encodeResults } from '../../../protocol/results-codec.ts'
import { clientId, type Digest, replicaId, requestNumber, seq } from '../../../protocol/types.ts'

export const SELF = clientId(1000)

export const config = (overrides: Partial<ClientConfig> = {}): ClientConfig => ({
  ...DEFAULT_CLIENT_LIMITS,
  client: SELF,
  clusterId: new Uint8Array(16),
  replicas: 4,
  lanesPerClientMax: 64,
  requestOperationsMax: 256,
  requestBytesMax: 100_000,
  ...overrides,
})

type Entry = { number: number; digest: Digest; result: Uint8Array }
type LaneState = { latest: Entry; real: Entry | null }

/** What a replica answers instead of `honest`; undefined is silence. */
export type Behaviour = (honest: Reply | ReadReply, request: Request | Read) => Message | undefined

/** One log that all replicas execute at once: ordering is not under test here. */
export class FakeBank {
  readonly balances = new Map<string, { balance: bigint; version: number }>()
  readonly lanes = new Map<number, LaneState>()
  /** Requests in the order of execution. */
  readonly executed: Request[] = []

  /** Real requests only, without lookups. */
  get requests(): Request[] {
    return this.executed.filter(({ operations }) => operations[0]?.kind !== 'lookup')
  }

  /** [NC5] True when it was executed now. */
  order(request: Pick<Request, 'lane' | 'number' | 'digest' | 'operations'>): boolean {
    const lane = this.lanes.get(request.lane)
    if (lane !== undefined && request.number <= lane.latest.number) return false
    const isLookup = request.operations[0]?.kind === 'lookup'
    const at = this.executed.length + 1
    const results = isLookup
      ? [lookupResult(lane?.real ?? null)]
      : request.operations.map((operation, index) => this.#execute(operation, at, index))
    const entry = {
      number: request.number,
      digest: request.digest,
      result: Uint8Array.from(encodeResults(results)),
    }
    this.lanes.set(request.lane, { latest: entry, real: isLookup ? (lane?.real ?? null) : entry })
    this.executed.push(request as Request)
    return true
  }

  answer(request: Request): Reply {
    const { client, lane, number, digest } = request
    const latest = this.lanes.get(lane)?.latest
    if (latest === undefined) throw new Error('answered before it was executed')
    const outcome: Reply['outcome'] =
      number < latest.number
        ? { kind: 'superseded', entryNumber: requestNumber(latest.number) }
        : digest === latest.digest
          ? { kind: 'executed', result: latest.result }
          : { kind: 'number-reused' }
    return { type: 'reply', client, lane, number, requestDigest: digest, outcome }
  }

  readReply({ nonce, accounts }: Read): ReadReply {
    return { type: 'read-reply', nonce, values: accounts.map((account) => this.#valueOf(account)) }
  }

  #valueOf(account: string): ReadValue {
    const row = this.balances.get(account)
    return { account, balance: row?.balance ?? null, version: seq(row?.version ?? 0) }
  }

  #execute(operation: Operation, at: number, index: number): OperationResult {
    if (operation.kind === 'balance') {
      const { balance, version } = this.#valueOf(operation.account)
      if (balance === null) return { kind: 'refused', code: 'unknown-account', detail: operation.account }
      return { kind: 'balance', account: operation.account, balance, version }
    }
    if (operation.kind !== 'deposit') return { kind: 'refused', code: 'not-authorised', detail: '' }
    const balance = (this.balances.get(operation.account)?.balance ?? 0n) + operation.amount
    this.balances.set(operation.account, { balance, version: at })
    return { kind: 'transferred', id: { seq: seq(at), index }, debitBalance: 0n, creditBalance: balance }
  }
}

/**
 * A ClientCore and the replicas around it. Messages go through the codec. Behaviours make single replicas lie or
 * keep silent.
 */
export class FakeCluster extends FakeBank {
  readonly core: ClientCore
  readonly n: number
  nowMs = 1_000
  wallClockUs = 1_700_000_000_000_000
  /** Drops what the client sends. */
  cut = false
  /** Drops what replicas answer. */
  deaf = false
  readonly behaviours = new Map<number, Behaviour>()
  readonly sent: { to: number; message: Request | Read }[] = []
  readonly observed: Observation[] = []
  readonly answers = new Map<CallId, Answer>()
  readonly errors = new Map<CallId, ClientError>()
  readonly #timers = new Map<TimerName, number>()
  readonly #inbox: { from: number; message: Message }[] = []

  constructor(overrides: Partial<ClientConfig> = {}, { sessions = true } = {}) {
    super()
    const full = config(overrides)
    this.n = full.replicas
    this.core = new ClientCore(full, { sign: () => new Uint8Array(64), random: () => 0.5 })
    if (sessions) for (let id = 0; id < this.n; id++) this.sessionUp(id)
  }

  sessionUp(id: number): void {
    this.#perform(this.core.step({ type: 'session-up', peer: replicaId(id) }, this.nowMs))
  }

  sessionDown(id: number): void {
    this.#perform(this.core.step({ type: 'session-down', peer: replicaId(id) }, this.nowMs))
  }

  /** One turn of the event loop: what was sent is executed and answered, then the client sends again. */
  turn(): boolean {
    this.flush()
    const inbox = this.#inbox.splice(0)
    for (const { from, message } of inbox) this.hear(from, message)
    return inbox.length > 0
  }

  flush(): void {
    this.#perform(this.core.flush({ nowMs: this.nowMs, wallClockUs: this.wallClockUs }))
  }

  hear(from: number, message: Message): void {
    this.#perform(this.core.step({ type: 'message', from: replicaId(from), message }, this.nowMs))
  }

  settle(): void {
    for (let turns = 0; this.turn(); turns++) if (turns > 1_000) throw new Error('does not settle')
  }

  /** Lets time pass, timer by timer. */
  advance(ms: number): void {
    const untilMs = this.nowMs + ms
    this.settle()
    for (;;) {
      const [due] = [...this.#timers].filter(([, at]) => at <= untilMs).sort((a, b) => a[1] - b[1])
      if (due === undefined) break
      const [timer, atMs] = due
      this.#timers.delete(timer)
      this.nowMs = Math.max(this.nowMs, atMs)
      this.wallClockUs += 1_000
      this.#perform(this.core.step({ type: 'timeout', timer }, this.nowMs))
      this.settle()
    }
    this.nowMs = untilMs
  }

  get timers(): readonly TimerName[] {
    return [...this.#timers.keys()]
  }

  resultsOf(call: CallId): readonly OperationResult[] {
    const answer = this.answers.get(call)
    if (answer?.kind !== 'results') throw new Error(`no results: ${this.errors.get(call)}`)
    return answer.results
  }

  outcomeOf(call: CallId): string | undefined {
    const answer = this.answers.get(call)
    return answer?.kind === 'outcome' ? answer.outcome.kind : undefined
  }

  #perform(effects: readonly ClientEffect[]): void {
    for (const effect of effects) {
      if (effect.type === 'send') for (const to of effect.to) this.#onSend(to, effect.message)
      if (effect.type === 'set-timer') this.#timers.set(effect.timer, this.nowMs + effect.ms)
      if (effect.type === 'stop-timer') this.#timers.delete(effect.timer)
      if (effect.type === 'observe') this.observed.push(effect.what)
      if (effect.type === 'resolve' || effect.type === 'reject') {
        if (this.answers.has(effect.call) || this.errors.has(effect.call)) throw new Error('settled twice')
        if (effect.type === 'resolve') this.answers.set(effect.call, effect.answer)
        else this.errors.set(effect.call, effect.error)
      }
    }
  }

  #onSend(to: number, message: Request | Read): void {
    this.sent.push({ to, message })
    const received = decodeMessage(Uint8Array.from(encodeMessage(message)))
    if (this.cut || isMalformed(received)) return
    if (received.type === 'read') this.#reply(to, this.readReply(received), received)
    // A request that one replica has, all get: held, relayed, ordered. All of them answer.
    if (received.type === 'request' && this.order(received)) {
      for (let id = 0; id < this.n; id++) this.#reply(id, this.answer(received), received)
    } else if (received.type === 'request') {
      this.#reply(to, this.answer(received), received)
    }
  }

  #reply(from: number, honest: Reply | ReadReply, request: Request | Read): void {
    const behaviour = this.behaviours.get(from)
    const message = behaviour === undefined ? honest : behaviour(honest, request)
    if (message !== undefined && !this.deaf) this.#inbox.push({ from, message })
  }
}

function lookupResult(real: Entry | null): OperationResult {
  if (real === null) return { kind: 'lookup', entry: null }
  const { number, digest, result } = real
  return { kind: 'lookup', entry: { number: requestNumber(number), requestDigest: digest, result } }
}

export const deposit = (account: string, amount: number | bigint): Operation => ({
  kind: 'deposit',
  account,
  amount: BigInt(amount),
})
