import type { Checkpoint, Commit, Header, Message, Prepare, StateOffer } from '../../protocol/messages.ts'
import type { Digest, PrincipalId, ReplicaId, Seq, View } from '../../protocol/types.ts'
import type { Effect } from '../core/effect.ts'
import type { Adversary, Liar } from '../runtime/adversary.ts'

export type { Liar } from '../runtime/adversary.ts'

/** One behaviour: the parts of an adversary in which it is not honest. */
export type Part = Partial<Adversary>

type Send = Extract<Effect, { type: 'send' }>

/** Each message that leaves is replaced by these, to the same receivers. */
export const instead = (
  change: (message: Message, to: readonly PrincipalId[]) => readonly Message[],
): Part => ({
  effects: (effects) =>
    effects.flatMap((effect): readonly Effect[] =>
      effect.type === 'send' ? replaced(effect, change) : [effect],
    ),
})

function replaced(
  send: Send,
  change: (message: Message, to: readonly PrincipalId[]) => readonly Message[],
): readonly Send[] {
  const told = change(send.message, send.to)
  return told.length === 1 && told[0] === send.message
    ? [send]
    : told.map((message) => ({ ...send, message }))
}

/**
 * Those for whom `isFooled` holds get `lie(message)` instead, which is made once for all of them; null: they get nothing.
 * Where it gives the message itself, nobody is told anything else.
 */
export const apart = (
  isFooled: (peer: PrincipalId, message: Message) => boolean,
  lie: (message: Message) => Message | null,
): Part => ({
  effects: (effects) =>
    effects.flatMap((effect): readonly Effect[] => {
      if (effect.type !== 'send') return [effect]
      const fooled = effect.to.filter((peer) => isFooled(peer, effect.message))
      if (fooled.length === 0) return [effect]
      const told = lie(effect.message)
      if (told === effect.message) return [effect]
      const others = { ...effect, to: effect.to.filter((peer) => !fooled.includes(peer)) }
      return told === null ? [others] : [others, { ...effect, to: fooled, message: told }]
    }),
})

/** Those named, or, where none is, every other one, changing with the number. */
export const halfUnless = (targets: readonly number[]) => (peer: PrincipalId, seq: number) =>
  targets.length > 0 ? targets.includes(peer) : (peer + seq) % 2 === 1

/** A digest that nothing has, the same for the same digest. */
export const otherThan = (digest: Digest): Digest =>
  digest.replace(/./g, (digit) => (15 - Number.parseInt(digit, 16)).toString(16)) as Digest

export const spoiled = (signature: Uint8Array): Uint8Array => signature.map((byte) => byte ^ 0x55)

export function headerOf(
  { config, crypto }: Liar,
  { view, seq, digest }: { readonly view: View; readonly seq: Seq; readonly digest: Digest },
): Header {
  const signature = crypto.sign({ type: 'pre-prepare', view, seq, signer: config.self, digests: [digest] })
  return { view, seq, digest, signature }
}

/** The same vote, properly signed, for something else. */
export function voteFor<T extends Prepare | Commit>(
  { config, crypto }: Liar,
  message: T,
  other: Partial<Pick<T, 'view' | 'seq' | 'digest'>>,
): T {
  const vote = { ...message, ...other }
  const { type, view, seq, digest } = vote
  return { ...vote, signature: crypto.sign({ type, view, seq, signer: config.self, digests: [digest] }) }
}

export function checkpointFor(
  { config, crypto }: Liar,
  checkpoint: Checkpoint,
  other: Partial<Pick<Checkpoint, 'stateRoot' | 'chain'>>,
): Checkpoint {
  const changed = { ...checkpoint, ...other }
  const { seq, stateRoot, chain } = changed
  const statement = {
    type: 'checkpoint',
    view: 0,
    seq,
    signer: config.self,
    digests: [stateRoot, chain],
  } as const
  return { ...changed, signature: crypto.sign(statement) }
}

/** `change` at the one place where a message carries the sender's own CHECKPOINT. */
export function withCheckpoint(
  message: Message,
  { self, change }: { readonly self: ReplicaId; readonly change: (checkpoint: Checkpoint) => Checkpoint },
): Message {
  switch (message.type) {
    case 'checkpoint':
      return message.replica === self ? change(message) : message
    case 'state-offer':
      return { ...message, checkpoint: change(message.checkpoint) } satisfies StateOffer
    case 'status':
      return message.checkpoint?.replica === self
        ? { ...message, checkpoint: change(message.checkpoint) }
        : message
    default:
      return message
  }
}
