import type { Commit, Header, Message, PartitionNode, PrePrepare, Request } from '../../protocol/messages.ts'
import type { Quorum } from '../../protocol/quorum.ts'
import { batchOf } from '../../protocol/signing.ts'
import type { Digest, PrincipalId, ReplicaId, View } from '../../protocol/types.ts'
import type { CoreCrypto } from '../../replica/core/config.ts'
import type { Effect } from '../../replica/core/effect.ts'
import type { Lie } from './plan.ts'

type Send = Extract<Effect, { type: 'send' }>
/** What a liar says in place of what its honest core would say. */
export type Adversary = (effects: readonly Effect[]) => readonly Effect[]

export function adversaryOf(
  lie: Lie,
  by: { readonly self: ReplicaId; readonly crypto: CoreCrypto; readonly quorum: Quorum },
): Adversary {
  switch (lie) {
    case 'bad-commits':
      return eachSend(({ message, ...send }) => [{ ...send, message: withBadCommit(message, by.self) }])
    case 'mute':
      return eachSend((send) => (send.message.type === 'pre-prepare' ? [] : [send]))
    case 'equivocate':
      return equivocator({ self: by.self, sign: by.crypto.sign })
    case 'false-new-view':
      return eachSend((send) => [send, ...falseNewView(send, by)])
    case 'bad-state':
      return eachSend(({ message, ...send }) => [{ ...send, message: withBadState(message) }])
  }
}

const eachSend =
  (change: (send: Send) => readonly Send[]): Adversary =>
  (effects) =>
    effects.flatMap((effect): readonly Effect[] => (effect.type === 'send' ? change(effect) : [effect]))

function withBadCommit(message: Message, self: ReplicaId): Message {
  if (message.type !== 'commit' || message.replica !== self) return message
  return { ...message, signature: message.signature.map((byte) => byte ^ 0x55) }
}

/**
 * [NC3] Proposes the batch to some backups; to the others the batch with an old request, executed before [NC5], in place
 * of its first. Commits to each what each was told, everything properly signed. Its own log holds the first version.
 */
function equivocator({
  self,
  sign,
}: {
  readonly self: ReplicaId
  readonly sign: CoreCrypto['sign']
}): Adversary {
  /** The second version's digest, by view and seq. */
  const second = new Map<string, Digest>()
  let old: Request | undefined
  const place = ({ view, seq }: { readonly view: number; readonly seq: number }) => `${view}/${seq}`
  const isFooled = (peer: PrincipalId, seq: number) => (peer + seq) % 2 === 1
  const split = (send: Send, seq: number, other: Message): Send[] => [
    { ...send, to: send.to.filter((peer) => !isFooled(peer, seq)) },
    { ...send, to: send.to.filter((peer) => isFooled(peer, seq)), message: other },
  ]
  const proposal = ({ header, batch }: PrePrepare): PrePrepare => {
    const [first, ...rest] = batch.requests
    const other = batchOf(old === undefined ? rest : [...rest, old])
    old = first
    const { view, seq } = header
    const statement = { type: 'pre-prepare', view, seq, signer: self, digests: [other.digest] } as const
    const lie: Header = { view, seq, digest: other.digest, signature: sign(statement) }
    second.set(place(header), other.digest)
    return { type: 'pre-prepare', header: lie, batch: other }
  }
  const commit = (message: Commit, digest: Digest): Commit => {
    const { view, seq } = message
    const signature = sign({ type: 'commit', view, seq, signer: self, digests: [digest] })
    return { ...message, digest, signature }
  }
  return eachSend((send) => {
    const { message } = send
    if (message.type === 'pre-prepare' && message.batch.requests.length > 0) {
      return split(send, message.header.seq, proposal(message))
    }
    const other = message.type === 'commit' ? second.get(place(message)) : undefined
    if (message.type !== 'commit' || other === undefined) return [send]
    return split(send, message.seq, commit(message, other))
  })
}

/** Far beyond every view that q replicas ask for: nobody follows there [VC5]. */
const VIEWS_AHEAD = 1_000

/**
 * [VC2] Behind its own VIEW-CHANGE: another one, in which nothing is prepared, and a NEW-VIEW that names it in the name of
 * q replicas, so that O is empty; for its next view, or for one far ahead.
 */
function falseNewView(
  { message, ...send }: Send,
  {
    self,
    crypto,
    quorum,
  }: { readonly self: ReplicaId; readonly crypto: CoreCrypto; readonly quorum: Quorum },
): readonly Send[] {
  if (message.type !== 'view-change' || message.replica !== self) return []
  const { newView, lowWaterMark, incarnation, checkpoints } = message
  const ahead = newView % 2 === 0 ? 0 : VIEWS_AHEAD * quorum.n
  const own = (newView + ahead + ((self - newView) % quorum.n) + quorum.n) as View
  const fields = { lowWaterMark, incarnation, checkpoints, prepared: [] }
  const viewChange = crypto.viewChange({ newView: own, ...fields })
  const viewChanges = Array.from({ length: quorum.quorum }, (_, index) => ({
    replica: ((self + index) % quorum.n) as ReplicaId,
    digest: viewChange.digest,
  }))
  const lie = crypto.newView({ view: own, viewChanges, headers: [] })
  return [
    { ...send, message: viewChange },
    { ...send, message: lie },
  ]
}

/** [CP4] A source whose rows and digests are wrong: found out by the digest of the node. */
function withBadState(message: Message): Message {
  if (message.type !== 'partitions') return message
  return {
    ...message,
    nodes: message.nodes.map(({ partition, node }) => ({ partition, node: damaged(node) })),
  }
}

function damaged(node: PartitionNode): PartitionNode {
  if (node.kind === 'inner') return { ...node, children: [...node.children].reverse() }
  const rows = Uint8Array.from(node.rows)
  const last = rows.length - 1
  rows[last] = (rows[last] ?? 0) ^ 1
  return { ...node, rows }
}
