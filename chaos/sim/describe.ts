import type { Message } from '../../protocol/messages.ts'

export const shorten = (value: unknown): string =>
  typeof value === 'string' ? value.slice(0, 12) : String(value)

/** One line about a message, for traces. */
export function describe(message: Message): string {
  switch (message.type) {
    case 'pre-prepare': {
      const requests = message.batch.requests.map(({ client, lane, number }) => `${client}/${lane}/${number}`)
      return `pre-prepare ${message.header.seq} ${shorten(message.header.digest)} [${requests.join(' ')}]`
    }
    case 'prepare':
    case 'commit':
      return `${message.type} ${message.seq} ${shorten(message.digest)}`
    case 'checkpoint':
      return `checkpoint of ${message.replica} ${message.seq} ${shorten(message.chain)}`
    case 'request':
      return `request ${message.client}/${message.lane}/${message.number}`
    case 'reply':
      return `reply ${message.client}/${message.lane}/${message.number} ${message.outcome.kind}`
    case 'committed':
      return `committed ${message.seq} ${shorten(message.digest)}${message.batch === null ? ' word' : ''}`
    case 'status': {
      const asks =
        message.bodies === null ? '' : ` wants ${message.bodies.after}+ of ${message.bodies.source}`
      return `status low ${message.lowWaterMark} executed ${message.lastExecuted}${asks}${message.wordsWanted ? ' words' : ''}`
    }
    default:
      return message.type
  }
}
