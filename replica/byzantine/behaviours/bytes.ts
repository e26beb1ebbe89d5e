import type { Message } from '../../../protocol/messages.ts'
import { pack, unpack } from '../../../protocol/msgpack.ts'
import type { PrincipalId } from '../../../protocol/types.ts'
import type { Effect } from '../../core/effect.ts'
import type { Packet } from '../../runtime/adversary.ts'
import type { Liar, Part } from '../liar.ts'
import { widened } from '../widened.ts'

/** Of its first messages, and of its last. */
const REPLAYED_MAX = 256
const REPLAY_CHANCE = 0.2
const GARBAGE_CHANCE = 0.2
const NOISE_BYTES_MAX = 1_200

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
      const bytes = random() < 0.3 ? noise(random) : scrambled(packet.bytes, random)
      return [packet, { ...packet, bytes }]
    }),
})

function noise(random: () => number): Uint8Array {
  const length = Math.floor(random() * NOISE_BYTES_MAX)
  return Uint8Array.from({ length }, () => Math.floor(random() * 256))
}

/** Still a message, mostly: one value, anywhere in it, is another of its kind. */
function scrambled(bytes: Uint8Array, random: () => number): Uint8Array {
  const value = unpack(bytes)
  const places: { readonly list: unknown[]; readonly at: number }[] = []
  const collect = (list: unknown[]) => {
    for (const [at, item] of list.entries()) {
      if (Array.isArray(item)) collect(item)
      else places.push({ list, at })
    }
  }
  if (!Array.isArray(value)) return bytes
  collect(value)
  const place = places[Math.floor(random() * places.length)]
  if (place === undefined) return bytes
  place.list[place.at] = another(place.list[place.at], random)
  return pack(value)
}

function another(value: unknown, random: () => number): unknown {
  if (typeof value === 'number') {
    const choices = [
      value + 1,
      Math.max(0, value - 1),
      0,
      Number.MAX_SAFE_INTEGER,
      Math.floor(random() * 1_000),
    ]
    return choices[Math.floor(random() * choices.length)]
  }
  if (value instanceof Uint8Array) {
    const changed = Uint8Array.from(value)
    const at = Math.floor(random() * changed.length)
    changed[at] = (changed[at] ?? 0) ^ (1 + Math.floor(random() * 255))
    return changed
  }
  if (typeof value === 'boolean') return !value
  return null
}
