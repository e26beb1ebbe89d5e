import type { Message } from '../../protocol/messages.ts'

export const shorten = (value: unknown): string => {
  if (typeof value === 'string') return value.slice(0, 12)
  return typeof value === 'object' && value !== null
    ? Object.values(value).map(shorten).join('/')
    : `${value}`
}

/** One line about a message, for traces. */
export function describe(message: Message): string {
  switch (message.type) {
    case 'pre-prepare': {
      const requests = message.batch.requests.map(({ client, lane, number }) => `${client}/${lane}/${number}`)
      return `pre-prepare v${message.header.view} ${message.header.seq} ${shorten(message.header.digest)} [${requests.join(' ')}]`
    }
    case 'prepare':
    case 'commit':
      return `${message.type} v${message.view} ${message.seq} ${shorten(message.digest)}`
    case 'view-change': {
      const prepared = message.prepared.map(({ header }) => `${header.seq}@${header.view}`)
      return `view-change of ${message.replica} v${message.newView} low ${message.lowWaterMark} [${prepared.join(' ')}]`
    }
    case 'new-view': {
      const order = message.headers.map(({ seq, digest }) => `${seq}:${digest.slice(0, 4)}`)
      const from = message.viewChanges.map(({ replica }) => replica)
      return `new-view v${message.view} of [${from.join(' ')}] O [${order.join(' ')}]`
    }
    case 'fetch-batch':
      return `fetch-batch ${message.seq} ${shorten(message.digest)}`
    case 'fetched-batch':
      return `fetched-batch ${message.seq} ${shorten(message.batch.digest)}`
    case 'fetch-checkpoint':
      return `fetch-checkpoint above ${message.above}`
    case 'state-offer':
      return `state-offer ${message.checkpoint.seq}`
    case 'fetch-partitions':
      return `fetch-partitions ${message.seq} [${message.partitions.join(' ')}]`
    case 'partitions':
      return `partitions ${message.seq} ${message.isHeld ? message.nodes.length : 'not held'}`
    case 'fetch-history':
      return `fetch-history ${message.upTo}`
    case 'history':
      return `history ${message.upTo} ${message.entries.length}`
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
      return `status v${message.view}/${message.highestViewChange} low ${message.lowWaterMark} executed ${message.lastExecuted}${asks}${message.wordsWanted ? ' words' : ''}`
    }
    default:
      return message.type
  }
}
