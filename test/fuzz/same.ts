/** Whether two values say the same: byte strings by their bytes, whoever made them; 0 and -0 are two numbers. */
export function same(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false
  if (a instanceof Uint8Array || b instanceof Uint8Array) {
    return a instanceof Uint8Array && b instanceof Uint8Array && Buffer.compare(a, b) === 0
  }
  const entries = Object.entries(a)
  const others = new Map<string, unknown>(Object.entries(b))
  if (Array.isArray(a) !== Array.isArray(b) || entries.length !== others.size) return false
  return entries.every(([key, value]) => others.has(key) && same(value, others.get(key)))
}
