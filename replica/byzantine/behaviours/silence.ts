import type { MessageType } from '../../../protocol/messages.ts'
import type { PrincipalId } from '../../../protocol/types.ts'
import { apart, instead, type Liar, type Part } from '../liar.ts'

const withholding = (types: readonly MessageType[]): Part =>
  instead((message) => (types.includes(message.type) ? [] : [message]))

/**
 * It commits nothing by votes: the COMMIT that it keeps to itself would complete a quorum, and get out with its proofs and
 * its CHECKPOINTs all the same.
 */
export const crash = (): Part => ({
  ...withholding(['prepare', 'commit', 'new-view']),
  hears: (_, { type }) => type !== 'commit',
})

export const mute = (): Part => withholding(['pre-prepare'])

/** Acknowledgements still leave: its channel is honest. */
export function dark(targets: readonly number[], { config }: Liar): Part {
  const chosen = targets.length > 0 ? targets : [(config.self + 1) % config.quorum.n]
  return apart(
    (peer) => chosen.includes(peer),
    () => null,
  )
}

export function newViewToOne(targets: readonly number[], { config }: Liar): Part {
  const chosen = targets.length > 0 ? targets : [(config.self + 1) % config.quorum.n]
  return apart(
    (peer, { type }) => type === 'new-view' && !chosen.includes(peer),
    () => null,
  )
}

/** [NC8] Also what others pass on of the client: the primary simply never has anything to order. */
export function starve(targets: readonly number[], { config }: Liar): Part {
  let starved: PrincipalId | number | undefined = targets[0]
  return {
    hears: (_, message) => {
      if (message.type !== 'request' || message.client < config.quorum.n) return true
      starved ??= message.client
      return message.client !== starved
    },
  }
}
