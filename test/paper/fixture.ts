import type { Batch, Message } from '../../protocol/messages.ts'
import { batchOf } from '../../protocol/signing.ts'
import { type PrincipalId, replicaId, seq, view } from '../../protocol/types.ts'
import type { Harness, Topic } from '../scenarios/harness.ts'
import { CLIENTS, requestOf, sign } from '../scenarios/parties.ts'

/** A transfer of `amount` by Alice; the number is its timestamp. */
export const transfer = (number: number, { amount = 1, lane = 0 } = {}) =>
  requestOf({
    client: CLIENTS.alice,
    lane,
    number,
    operations: [{ kind: 'transfer', from: 'a', to: 'b', amount: BigInt(amount) }],
  })

export const batch = (number: number, options = {}): Batch => batchOf([transfer(number, options)])

type At = { readonly n: number; readonly v?: number }

/** What replica `from` signs. */
export function prePrepare(proposed: Batch, { n, v = 0 }: At, from = 0): Message {
  const { digest } = proposed
  const header = { view: view(v), seq: seq(n), digest }
  const signature = sign({ type: 'pre-prepare', view: v, seq: n, signer: replicaId(from), digests: [digest] })
  return { type: 'pre-prepare', header: { ...header, signature }, batch: proposed }
}

export function vote(type: 'prepare' | 'commit', { digest }: Batch, { n, v = 0 }: At, from: number): Message {
  const replica = replicaId(from)
  const signature = sign({ type, view: v, seq: n, signer: replica, digests: [digest] })
  return { type, view: view(v), seq: seq(n), digest, replica, signature }
}

/** What replica `by` did of this kind, in order. */
export const told = (cluster: Harness, by: number, topic: Topic): string[] =>
  cluster.lines.filter((line) => line.by === by && line.topic === topic).map(({ text }) => text)

/** Who is sent what by whom, of one type. */
export const sent = (cluster: Harness, type: Message['type']): [PrincipalId, PrincipalId][] =>
  cluster.network.pending.filter(({ message }) => message.type === type).map(({ from, to }) => [from, to])
