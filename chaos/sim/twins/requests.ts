import type { Message, Reply, Request } from '../../../protocol/messages.ts'
import { requestOf } from '../../../protocol/signed.ts'
import { signedBytes } from '../../../protocol/signing.ts'
import {
  CLIENT_ID_MIN,
  clientId,
  lane,
  type PrincipalId,
  type ReplicaId,
  requestNumber,
} from '../../../protocol/types.ts'
import type { HistoryCheck } from '../check/history-check.ts'
import { ACCOUNTS } from '../genesis.ts'
import { Violation } from '../violation.ts'
import type { TwinWorld } from './world.ts'

/** The clients' side: one transfer each, taken as done when q replicas say the same of it [NC6]. */
export class Requests {
  readonly all: readonly Request[]
  readonly #quorum: number
  readonly #history: HistoryCheck
  /** By client: which replicas gave an answer. */
  readonly #votes = new Map<PrincipalId, Map<string, Set<ReplicaId>>>()
  readonly #done = new Set<PrincipalId>()

  constructor(world: TwinWorld, args: { readonly quorum: number; readonly history: HistoryCheck }) {
    this.#quorum = args.quorum
    this.#history = args.history
    this.all = Array.from({ length: world.plan.clients }, (_, index) => requestFrom(world, index))
  }

  get outstanding(): readonly Request[] {
    return this.all.filter(({ client }) => !this.#done.has(client))
  }

  onReply(from: ReplicaId, message: Message): void {
    if (message.type !== 'reply' || message.outcome.kind !== 'executed' || this.#done.has(message.client))
      return
    const { client, requestDigest, outcome } = message
    const votes = this.#votes.get(client) ?? new Map<string, Set<ReplicaId>>()
    this.#votes.set(client, votes)
    const answer = `${requestDigest} ${Buffer.from(outcome.result).toString('hex')}`
    const voters = votes.get(answer) ?? new Set()
    votes.set(answer, voters.add(from))
    if (voters.size >= this.#quorum) this.#take(message, outcome.result)
  }

  #take(reply: Reply, result: Uint8Array): void {
    this.#done.add(reply.client)
    const agreed = this.#history.resultOf(reply)
    if (
      agreed !== undefined &&
      agreed.digest === reply.requestDigest &&
      Buffer.compare(agreed.result, result) === 0
    ) {
      return
    }
    throw new Violation('wrong-answer', `client ${reply.client} was told of what no correct replica executed`)
  }
}

function requestFrom({ cast }: TwinWorld, index: number): Request {
  const client = clientId(CLIENT_ID_MIN + index)
  const identity = cast.identities.get(client)
  if (identity === undefined) throw new Error(`client ${client} has no key`)
  const clusterId = Buffer.from(cast.genesis.clusterId, 'hex')
  const account = ACCOUNTS[index % ACCOUNTS.length] ?? ACCOUNTS[0]
  const to = ACCOUNTS[(index + 1) % ACCOUNTS.length] ?? ACCOUNTS[0]
  return requestOf(
    {
      client,
      lane: lane(0),
      number: requestNumber(1),
      operations: [{ kind: 'transfer', from: account, to, amount: BigInt(index + 1) }],
    },
    (statement) => identity.signer.sign(signedBytes(clusterId, statement)),
  )
}
