import { garbageFrom } from '../../../protocol/byzantine/garbage.ts'
import type { Message } from '../../../protocol/messages.ts'
import type { PrincipalId } from '../../../protocol/types.ts'
import type { Effect } from '../../core/effect.ts'
import type { Packet } from '../../runtime/adversary.ts'
import type { Liar, Part } from '../liar.ts'
import { widened } from '../widened.ts'

/** Of its first messages, and of its last. */
const REPLAYED_MAX = 256
const REPLAY_CHANCE = 0.2
const GARBAGE_CHANCE = 0.2

type Said = { readonly to: readonly PrincipalId[]; readonly message: Message }

/** It outlives the process of its replica, so that what was said before a restart is said again after it. */
export function replay({ random }: Liar): Part {
  const first: Said[] = []
  const last: Said[] = []
  const again = (): Said | undefined => {
    const from = random() < 0.5 ? first : last
    return from[Math.floor(random() * from.length)]
  }
  return {
    effects: (effects) =>
      effects.flatMap((effect): readonly Effect[] => {
        if (effect.type !== 'send') return [effect]
        const old = random() < REPLAY_CHANCE ? again() : undefined
        if (first.length < REPLAYED_MAX) first.push(effect)
        else if (last.push(effect) > REPLAYED_MAX) last.shift()
        return old === undefined ? [effect] : [effect, { type: 'send', to: old.to, message: old.message }]
      }),
  }
}

export const nonCanonical = (): Part => ({
  wire: (_, __, packets) => packets.map((packet) => ({ ...packet, bytes: widened(packet.bytes) })),
})

/** Beside the truth: noise, and what it just said with one value of it replaced. */
export const garbage = ({ random }: Liar): Part => ({
  wire: (_, __, packets) =>
    packets.flatMap((packet): readonly Packet[] => {
      if (random() >= GARBAGE_CHANCE) return [packet]
      return [packet, { ...packet, bytes: garbageFrom(packet.bytes, random) }]
    }),
})
