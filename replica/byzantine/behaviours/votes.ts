import type { Message } from '../../../protocol/messages.ts'
import type { Seq } from '../../../protocol/types.ts'
import { apart, halfUnless, headerOf, instead, type Liar, otherThan, type Part, voteFor } from '../liar.ts'

export function conflictingVotes(targets: readonly number[], liar: Liar): Part {
  const isTarget = halfUnless(targets)
  return apart(
    (peer, message) => isOwnVote(message, liar) && isTarget(peer, message.seq),
    (message) =>
      isOwnVote(message, liar) ? voteFor(liar, message, { digest: otherThan(message.digest) }) : message,
  )
}

export const wrongDigest = (liar: Liar): Part =>
  instead((message) => {
    if (isOwnVote(message, liar)) return [voteFor(liar, message, { digest: otherThan(message.digest) })]
    if (message.type !== 'pre-prepare') return [message]
    const { view, seq, digest } = message.header
    return [{ ...message, header: headerOf(liar, { view, seq, digest: otherThan(digest) }) }]
  })

function isOwnVote(
  message: Message,
  { config }: Liar,
): message is Extract<Message, { type: 'prepare' | 'commit' }> {
  return (message.type === 'prepare' || message.type === 'commit') && message.replica === config.self
}

/** [CP1] The window is all that bounds what a primary can leave out below. */
export function highWater(liar: Liar): Part {
  const { logWindow } = liar.config
  let stable = 0
  const jump: Part = instead((message) => {
    if (message.type !== 'pre-prepare') return [message]
    const { view, digest } = message.header
    const seq = (stable + logWindow) as Seq
    return [{ ...message, header: headerOf(liar, { view, seq, digest }) }]
  })
  return {
    effects: (effects) => {
      for (const effect of effects) {
        if (effect.type === 'persist' && effect.record.kind === 'stable') stable = effect.record.seq
      }
      return jump.effects?.(effects) ?? effects
    },
  }
}
