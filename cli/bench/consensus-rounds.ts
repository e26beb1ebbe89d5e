import { encodeRequestBody } from '../../protocol/codec.ts'
import { DEFAULT_PARAMETERS, DEFAULT_TUNING, logWindowOf } from '../../protocol/config.ts'
import { digestOf, SIGNATURE_BYTES } from '../../protocol/crypto.ts'
import type { Request } from '../../protocol/messages.ts'
import { quorumOf } from '../../protocol/quorum.ts'
import { batchDigestOf } from '../../protocol/signing.ts'
import {
  clientId,
  type Digest,
  lane,
  type PrincipalId,
  replicaId,
  requestNumber,
  type Seq,
  ZERO_DIGEST,
} from '../../protocol/types.ts'
import { ReplicaCore } from '../../replica/core/core.ts'
import type { Effect } from '../../replica/core/effect.ts'
import type { Event } from '../../replica/core/event.ts'

type Delivery = { readonly to: number; readonly event: Event }

const CLIENT = clientId(1000)
const NOTHING = new Uint8Array(SIGNATURE_BYTES)

/**
 * Cores that hear each other at once, with a disk and a database that take no time and signatures that are not made:
 * what is left is what the protocol itself costs.
 */
export class ConsensusRounds {
  readonly #cores: ReplicaCore[]
  readonly #queue: Delivery[] = []
  #number = 0
  #nowMs = 0

  constructor(replicas: number) {
    this.#cores = Array.from({ length: replicas }, (_, id) => makeCore(id, replicas))
    for (const id of this.#cores.keys()) this.#queue.push({ to: id, event: { type: 'start' } })
    this.#drain()
  }

  /** One request of one operation, until every replica has executed it. */
  run(): void {
    this.#number += 1
    this.#nowMs += 1
    const message = requestOf(this.#number)
    for (const to of this.#cores.keys())
      this.#queue.push({ to, event: { type: 'message', from: CLIENT, message } })
    this.#drain()
    const behind = this.#cores.find(({ position }) => position.lastExecuted !== this.#number)
    if (behind !== undefined)
      throw new Error(`a core executed ${behind.position.lastExecuted} of ${this.#number}`)
  }

  #drain(): void {
    for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) {
      const { to, event } = next
      for (const effect of this.#cores[to]?.step(event, this.#nowMs) ?? []) this.#perform(to, effect)
    }
  }

  #perform(self: number, effect: Effect): void {
    const answer = (event: Event) => this.#queue.push({ to: self, event })
    switch (effect.type) {
      case 'persist':
        return void answer({ type: 'persisted', upTo: effect.position })
      case 'send':
        for (const to of effect.to.filter(isCore)) {
          this.#queue.push({ to, event: { type: 'message', from: replicaId(self), message: effect.message } })
        }
        return
      case 'verify':
        return void answer({ type: 'verified', check: effect.check, valid: effect.claims.map(() => true) })
      case 'execute':
        return void answer(executed(effect))
      case 'halt':
        throw new Error(`${effect.fault.code}: ${effect.fault.detail}`)
      case 'read-state':
      case 'read-committed':
      case 'set-timer':
      case 'observe':
        return
    }
  }
}

const isCore = (id: PrincipalId): boolean => id < CLIENT

function executed({ seq, batch }: Effect & { readonly type: 'execute' }): Event {
  const lanes = batch.requests.map(({ client, lane, number, digest }) => ({
    client,
    lane,
    number,
    requestDigest: digest,
    result: NOTHING,
  }))
  return { type: 'executed', seq, chain: batch.digest, lanes }
}

function makeCore(id: number, replicas: number): ReplicaCore {
  const crypto = {
    sign: () => NOTHING,
    batchDigest: (requests: readonly Request[]): Digest => batchDigestOf(requests),
  }
  return ReplicaCore.recover({
    config: {
      ...DEFAULT_PARAMETERS,
      ...DEFAULT_TUNING,
      self: replicaId(id),
      quorum: quorumOf(replicas),
      logWindow: logWindowOf(DEFAULT_PARAMETERS),
      isAdmitted: () => true,
    },
    crypto,
    votes: [],
    database: { lastExecuted: 0 as Seq, chain: ZERO_DIGEST, batchDigest: null, checkpoint: null, lanes: [] },
  })
}

function requestOf(number: number): Request {
  const fields = {
    client: CLIENT,
    lane: lane(0),
    number: requestNumber(number),
    operations: [{ kind: 'deposit', account: 'A', amount: 1n }],
  } as const
  const body = encodeRequestBody(fields)
  return { type: 'request', ...fields, digest: digestOf(body), body, signature: NOTHING, macs: [] }
}
