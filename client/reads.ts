import type { ReadReply } from '../protocol/messages.ts'
import type { AccountId, ReadValue } from '../protocol/operations.ts'
import type { ReplicaId } from '../protocol/types.ts'
import type { Call } from './calls.ts'
import type { ClientContext } from './context.ts'
import type { TimerName } from './effects.ts'
import { OverloadedError } from './errors.ts'
import { Latency } from './latency.ts'
import { MatchingVotes } from './matching-votes.ts'

const NONCES = 2 ** 48
/** One READ and one quick retry; then it is ordered. */
const TRIES_MAX = 2

type WaitingRead = { readonly call: Call; readonly accounts: readonly AccountId[]; readonly tries: number }

/** What a replica says of one call's accounts; null agrees with nothing. */
type Vote = readonly ReadValue[] | null

type OpenRead = {
  readonly waiting: WaitingRead
  /** Where the call's accounts are in the READ. */
  readonly places: readonly number[]
  readonly votes: MatchingVotes<Vote>
}

type InFlight = {
  readonly nonce: number
  readonly accounts: readonly AccountId[]
  readonly sentMs: number
  readonly resent: boolean
  open: OpenRead[]
}

const sameVote = (a: Vote, b: Vote): boolean =>
  a !== null &&
  b !== null &&
  a.length === b.length &&
  a.every((value, i) => value.balance === b[i]?.balance && value.version === b[i]?.version)

/**
 * [NC7] Quorum reads. Waiting calls share a READ, but each is decided by the values of its own accounts: q replicas
 * that agree on all of those, values and versions, show one state of them, and a row that changes meanwhile delays
 * only those who asked for it.
 */
export class Reads {
  readonly #context: ClientContext
  readonly #orderInstead: (call: Call, accounts: readonly AccountId[]) => void
  readonly #latency: Latency
  #waiting: WaitingRead[] = []
  #waitingAccounts = 0
  readonly #inFlight = new Map<number, InFlight>()
  #nonce: number

  constructor(context: ClientContext, orderInstead: (call: Call, accounts: readonly AccountId[]) => void) {
    this.#context = context
    this.#orderInstead = orderInstead
    this.#latency = new Latency(context.config)
    this.#nonce = Math.floor(context.deps.random() * NONCES)
  }

  /** @throws OverloadedError */
  push(call: Call, accounts: readonly AccountId[]): void {
    const { queueOperationsMax } = this.#context.config
    if (this.#waitingAccounts + accounts.length > queueOperationsMax) {
      throw new OverloadedError(`${this.#waitingAccounts} accounts wait to be read already`)
    }
    this.#wait({ call, accounts, tries: 0 })
  }

  #wait(read: WaitingRead): void {
    this.#waiting.push(read)
    this.#waitingAccounts += read.accounts.length
  }

  flush(nowMs: number): void {
    const { readsInFlightMax } = this.#context.config
    while (this.#waiting.length > 0 && this.#inFlight.size < readsInFlightMax) this.#sendOne(nowMs)
  }

  #sendOne(nowMs: number): void {
    const { replicas, effects, deps } = this.#context
    const places = new Map<AccountId, number>()
    const open = this.#takeWaiting(places)
    if (open.length === 0) return
    this.#nonce = (this.#nonce + 1) % NONCES
    const nonce = this.#nonce
    const accounts = [...places.keys()]
    const resent = open.some(({ waiting }) => waiting.tries > 1)
    this.#inFlight.set(nonce, { nonce, accounts, sentMs: nowMs, resent, open })
    this.#send(replicas.connected, { nonce, accounts })
    effects.push({ type: 'observe', what: { kind: 'read-sent', accounts: accounts.length } })
    effects.push({ type: 'set-timer', timer: `read:${nonce}`, ms: this.#latency.retryMs(1, deps.random()) })
  }

  #send(to: readonly ReplicaId[], { nonce, accounts }: Pick<InFlight, 'nonce' | 'accounts'>): void {
    if (to.length === 0) return
    this.#context.effects.push({ type: 'send', to, message: { type: 'read', nonce, accounts } })
  }

  /** Live calls in turn while their distinct accounts fit one READ; fills `places`. */
  #takeWaiting(places: Map<AccountId, number>): OpenRead[] {
    const open: OpenRead[] = []
    let taken = 0
    for (const { call, accounts, tries } of this.#waiting) {
      const fresh = new Set(accounts.filter((account) => !places.has(account)))
      if (call.live && open.length > 0 && places.size + fresh.size > this.#context.config.readAccountsMax)
        break
      taken++
      this.#waitingAccounts -= accounts.length
      if (!call.live) continue
      for (const account of fresh) places.set(account, places.size)
      open.push({
        waiting: { call, accounts, tries: tries + 1 },
        places: accounts.map((account) => places.get(account) ?? 0),
        votes: new MatchingVotes<Vote>(sameVote),
      })
    }
    this.#waiting = this.#waiting.slice(taken)
    return open
  }

  /** A new session has seen nothing of what is outstanding. */
  sessionUp(peer: ReplicaId): void {
    for (const { nonce, accounts } of this.#inFlight.values()) this.#send([peer], { nonce, accounts })
  }

  onReply(from: ReplicaId, reply: ReadReply, nowMs: number): void {
    const read = this.#inFlight.get(reply.nonce)
    if (read === undefined) return
    const answersIt =
      reply.values.length === read.accounts.length &&
      reply.values.every((value, i) => value.account === read.accounts[i])
    const { quorum, n } = this.#context.replicas.quorum
    const again: WaitingRead[] = []
    read.open = read.open.filter(({ waiting, places, votes }) => {
      if (!waiting.call.live) return false
      const values = answersIt ? places.flatMap((place) => reply.values[place] ?? []) : null
      if (votes.cast(from, values) >= quorum && values !== null) {
        this.#context.calls.resolve(waiting.call, { kind: 'values', values, travelled: null })
        if (!read.resent) this.#latency.sample(nowMs - read.sentMs)
        return false
      }
      if (votes.largest + n - votes.voters >= quorum) return true
      again.push(waiting)
      return false
    })
    for (const waiting of again) this.#retry(waiting)
    if (read.open.length === 0) this.#close(read)
  }

  onTimeout(timer: TimerName): void {
    for (const read of this.#inFlight.values()) {
      if (timer !== `read:${read.nonce}`) continue
      this.#inFlight.delete(read.nonce)
      for (const { waiting } of read.open) this.#retry(waiting)
    }
  }

  /** After calls expired. */
  sweep(): void {
    this.#waiting = this.#waiting.filter(({ call }) => call.live)
    this.#waitingAccounts = this.#waiting.reduce((sum, { accounts }) => sum + accounts.length, 0)
    for (const read of this.#inFlight.values()) {
      read.open = read.open.filter(({ waiting }) => waiting.call.live)
      if (read.open.length === 0) this.#close(read)
    }
  }

  #retry(read: WaitingRead): void {
    if (!read.call.live) return
    if (read.tries < TRIES_MAX) return this.#wait(read)
    const what = { kind: 'read-ordered', accounts: read.accounts.length } as const
    this.#context.effects.push({ type: 'observe', what })
    this.#orderInstead(read.call, read.accounts)
  }

  #close(read: InFlight): void {
    this.#inFlight.delete(read.nonce)
    this.#context.effects.push({ type: 'stop-timer', timer: `read:${read.nonce}` })
  }
}
