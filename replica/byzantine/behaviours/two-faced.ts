import type { Commit, Message, Prepare } from '../../../protocol/messages.ts'
import type { PrincipalId } from '../../../protocol/types.ts'
import type { Effect } from '../../core/effect.ts'
import { type Liar, type Part, voteFor } from '../liar.ts'

/**
 * Votes for whatever each of the others voted for. Alone it is outvoted; f of them and an equivocating primary are enough to
 * have two batches committed at one number: it shows where the bound is.
 */
export function twoFaced(liar: Liar): Part {
  const { self } = liar.config
  const said: { readonly to: PrincipalId; readonly message: Prepare | Commit }[] = []
  const agree = (to: PrincipalId, message: Prepare | Commit) => {
    const own = { ...message, replica: self }
    const isPrimary = message.view % liar.config.quorum.n === self
    if (message.type === 'prepare' && !isPrimary) said.push({ to, message: voteFor(liar, own, {}) })
    said.push({ to, message: voteFor(liar, { ...own, type: 'commit' }, {}) })
  }
  return {
    hears: (from, message) => {
      if (isVote(message) && message.replica === from) agree(from, message)
      return true
    },
    effects: (effects) => [
      ...effects.filter((effect) => effect.type !== 'send' || !isVote(effect.message)),
      ...said.splice(0).map(({ to, message }): Effect => ({ type: 'send', to: [to], message })),
    ],
  }
}

const isVote = (message: Message): message is Prepare | Commit =>
  message.type === 'prepare' || message.type === 'commit'
