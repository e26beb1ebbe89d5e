import { pack, unpack } from '../msgpack.ts'

const NOISE_CHANCE = 0.3
const NOISE_BYTES_MAX = 1_200

/** Noise, or the message that `bytes` are with one value of it replaced. `random` is in [0, 1). */
export const garbageFrom = (bytes: Uint8Array, random: () => number): Uint8Array =>
  random() < NOISE_CHANCE ? noise(random) : scrambled(bytes, random)

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
