export type Held = {
  /** Entries of all maps, sets and arrays. */
  entries: number
  /** Of all buffers, whole ones: a view keeps everything that it is a view of. */
  bytes: number
}

/** What an object keeps alive: everything that can be reached over its fields. */
export function heldBy(root: object): Held {
  const held: Held = { entries: 0, bytes: 0 }
  const seen = new Set<object>()
  const left: unknown[] = [root]
  while (left.length > 0) {
    const value = left.pop()
    if (typeof value !== 'object' || value === null || seen.has(value)) continue
    seen.add(value)
    if (ArrayBuffer.isView(value)) left.push(value.buffer)
    else if (value instanceof ArrayBuffer) held.bytes += value.byteLength
    else {
      const inner = innerOf(value)
      if (inner.counts) held.entries += inner.values.length
      left.push(...inner.values)
    }
  }
  return held
}

function innerOf(value: object): { readonly values: readonly unknown[]; readonly counts: boolean } {
  if (value instanceof Map) return { values: [...value.values()], counts: true }
  if (value instanceof Set || Array.isArray(value)) return { values: [...value], counts: true }
  return { values: Object.values(value), counts: false }
}
