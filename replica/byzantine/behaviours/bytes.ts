import { garbageFrom } from '../../../protocol/byzantine/garbage.ts'
import type { Effect } from '../../core/effect.ts'
import type { Packet, Said } from '../../runtime/adversary.ts'
import type { Liar, Part } from '../liar.ts'
import { widened } from '../widened.ts'

/** Of the first messages since its start, and of the last. */
const REPLAYED_MAX = 256
const REPLAY_CHANCE = 0.2
const GARBAGE_CHANCE = 0.2

/** Also what it said before its process was restarted. */
export function replay({ random, openMemory }: Liar): Part {
  const memory = openMemory?.()
  const first: Said[] = []
  const last: Said[] = []
  const kept = memory === undefined ? [first, last] : [memory.before, first, last]
  const again = (): Said | undefined => {
    const from = kept[Math.floor(random() * kept.length)] ?? []
    return from[Math.floor(random() * from.length)]
  }
  const keep = ({ to, message }: Said): void => {
    if (first.length < REPLAYED_MAX) {
      first.push({ to, message })
      memory?.remember({ to, message })
    } else if (last.push({ to, message }) > REPLAYED_MAX) last.shift()
  }
  return {
    effects: (effects) =>
      effects.flatMap((effect): readonly Effect[] => {
        if (effect.type !== 'send') return [effect]
        const old = random() < REPLAY_CHANCE ? again() : undefined
        keep(effect)
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
