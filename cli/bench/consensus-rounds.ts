import { chainDigestOfEntry } from '../../db/state-machine/ledger-entry.ts'
import { partitionDigest } from '../../db/state-tree/partition-node.ts'
import { encodeRequestBody } from '../../protocol/codec.ts'
import { DEFAULT_PARAMETERS, DEFAULT_TUNING, logWindowOf } from '../../protocol/config.ts'
import { digestOf, SIGNATURE_BYTES } from '../../protocol/crypto.ts'
import type { Request } from '../../protocol/messages.ts'
import { quorumOf } from '../../protocol/quorum.ts'
import * as signed from '../../protocol/signed.ts'
import { batchDigestOf } from '../../protocol/signing.ts'
import {
  clientId,
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
        answer(executed(effect))
        if (effect.seq % DEFAULT_PARAMETERS.checkpointInterval === 0) answer(held(effect))
        return
      case 'halt':
        throw new Error(`${effect.fault.code}: ${effect.fault.detail}`)
      case 'read-state':
      case 'read-committed':
      case 'keep-checkpoints':
      case 'collect-garbage':
      case 'set-timer':
      case 'stop-timer':
      case 'observe':
        return
      case 'take-checkpoint':
      case 'read-partitions':
      case 'read-history':
      case 'begin-transfer':
      case 'stage-partition':
      case 'stage-history':
      case 'install-transfer':
      case 'cancel-transfer':
        throw new Error(`${effect.type}: nobody is ever behind here`)
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
  return { type: 'executed', seq, chain: batch.digest, lanes, incarnations: [] }
}

const held = ({ seq, batch }: Effect & { readonly type: 'execute' }): Event => ({
  type: 'checkpoint-taken',
  seq,
  stateRoot: ZERO_DIGEST,
  chain: batch.digest,
})

function makeCore(id: number, replicas: number): ReplicaCore {
  const sign = () => NOTHING
  const self = replicaId(id)
  return ReplicaCore.recover({
    config: {
      ...DEFAULT_PARAMETERS,
      ...DEFAULT_TUNING,
      self,
      quorum: quorumOf(replicas),
      logWindow: logWindowOf(DEFAULT_PARAMETERS),
      isAdmitted: () => true,
    },
    crypto: {
      sign,
      batchDigest: batchDigestOf,
      request: (fields) => signed.requestOf(fields, sign),
      viewChange: (fields) => signed.viewChangeOf(fields, self, sign),
      newView: (fields) => signed.newViewOf(fields, self, sign),
      partitionDigest,
      chainDigest: chainDigestOfEntry,
    },
    votes: [],
    database: {
      lastExecuted: 0 as Seq,
      chain: ZERO_DIGEST,
      recent: [],
      checkpoint: null,
      lanes: [],
      incarnations: [],
    },
    nextIncarnation: 1,
    servedFrom: 0 as Seq,
    evidence: [],
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
