import type { Message } from '../../../protocol/messages.ts'
import { apart, instead, type Liar, type Part, spoiled, withCheckpoint } from '../liar.ts'

export const sign = (targets: readonly number[], liar: Liar): Part =>
  apart(
    (peer) => targets.length === 0 || targets.includes(peer),
    (message) => withSpoiltSignature(message, liar),
  )

function withSpoiltSignature(message: Message, { config: { self } }: Liar): Message {
  switch (message.type) {
    case 'pre-prepare': {
      const { header } = message
      return { ...message, header: { ...header, signature: spoiled(header.signature) } }
    }
    case 'prepare':
    case 'commit':
    case 'view-change':
    case 'new-view':
      return message.replica === self ? { ...message, signature: spoiled(message.signature) } : message
    case 'request':
      return message.client === self ? { ...message, signature: spoiled(message.signature) } : message
    default:
      return withCheckpoint(message, {
        self,
        change: (checkpoint) => ({ ...checkpoint, signature: spoiled(checkpoint.signature) }),
      })
  }
}

/** [NC4] They are counted on the channel's word, and prove nothing. */
export const badCommits = ({ config: { self } }: Liar): Part =>
  instead((message) =>
    message.type === 'commit' && message.replica === self
      ? [{ ...message, signature: spoiled(message.signature) }]
      : [message],
  )
