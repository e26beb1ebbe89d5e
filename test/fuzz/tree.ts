/**
 * A msgpack value as a tree that can be changed and written again, well or badly: what the encoder of production never
 * writes is what a liar would. Byte strings that hold msgpack themselves (signed bodies, batches) are opened, too.
 */
export type Tree =
  | { readonly kind: 'array'; readonly items: readonly Tree[] }
  /** A byte string whose content is a value. */
  | { readonly kind: 'nested'; readonly of: Tree }
  /** Anything else, as it is written. */
  | { readonly kind: 'leaf'; readonly bytes: Uint8Array }

type Parsed = { readonly tree: Tree; readonly end: number }

/** `bytes` must be one value of what `pack` writes. */
export function treeOf(bytes: Uint8Array): Tree {
  const { tree, end } = parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength), 0)
  if (end !== bytes.length) throw new RangeError(`a value of ${end} bytes in ${bytes.length}`)
  return tree
}

function parse(bytes: Buffer, at: number): Parsed {
  const token = bytes.readUInt8(at)
  if (token >= 0x90 && token <= 0x9f) return parseItems(bytes, at + 1, token & 0x0f)
  if (token === 0xdc) return parseItems(bytes, at + 3, bytes.readUInt16BE(at + 1))
  if (token === 0xdd) return parseItems(bytes, at + 5, bytes.readUInt32BE(at + 1))
  const end = at + leafBytes(bytes, at)
  if (end > bytes.length) throw new RangeError(`a value that ends at ${end} in ${bytes.length} bytes`)
  const leaf: Tree = { kind: 'leaf', bytes: bytes.subarray(at, end) }
  if (token < 0xc4 || token > 0xc6) return { tree: leaf, end }
  const content = bytes.subarray(at + 1 + (1 << (token - 0xc4)), end)
  return { tree: valueIn(content) ?? leaf, end }
}

function parseItems(bytes: Buffer, from: number, count: number): Parsed {
  const items: Tree[] = []
  let at = from
  for (let i = 0; i < count; i++) {
    const { tree, end } = parse(bytes, at)
    items.push(tree)
    at = end
  }
  return { tree: { kind: 'array', items }, end: at }
}

/** Bodies and batches are arrays; a digest or a signature that looks like one is left alone. */
function valueIn(content: Buffer): Tree | undefined {
  const [token = 0] = content
  const isArray = (token >= 0x90 && token <= 0x9f) || token === 0xdc || token === 0xdd
  if (!isArray || content.length === 32 || content.length === 64) return undefined
  try {
    const { tree, end } = parse(content, 0)
    return end === content.length ? { kind: 'nested', of: tree } : undefined
  } catch (error) {
    if (error instanceof RangeError) return undefined
    throw error
  }
}

function leafBytes(bytes: Buffer, at: number): number {
  const token = bytes.readUInt8(at)
  if (token <= 0x7f || token >= 0xe0 || (token >= 0xc0 && token <= 0xc3)) return 1
  if (token >= 0xa0 && token <= 0xbf) return 1 + (token & 0x1f)
  switch (token) {
    case 0xc4:
    case 0xd9:
      return 2 + bytes.readUInt8(at + 1)
    case 0xc5:
    case 0xda:
      return 3 + bytes.readUInt16BE(at + 1)
    case 0xc6:
    case 0xdb:
      return 5 + bytes.readUInt32BE(at + 1)
    case 0xca:
      return 5
    case 0xcb:
      return 9
    default:
      if (token >= 0xcc && token <= 0xd3) return 1 + (1 << (token & 3))
      throw new RangeError(`token ${token} is not of the subset`)
  }
}

/** `wide`: whether a length is written in more bytes than it needs, asked for each. */
export function bytesOf(tree: Tree, wide: () => boolean): Buffer {
  const parts: Uint8Array[] = []
  write(tree, { parts, wide })
  return Buffer.concat(parts)
}

type Writing = { readonly parts: Uint8Array[]; readonly wide: () => boolean }

function write(tree: Tree, writing: Writing): void {
  const { parts, wide } = writing
  switch (tree.kind) {
    case 'leaf':
      parts.push(tree.bytes)
      return
    case 'array':
      parts.push(arrayHead(tree.items.length, wide()))
      for (const item of tree.items) write(item, writing)
      return
    case 'nested':
      parts.push(binary(bytesOf(tree.of, wide), wide()))
  }
}

function arrayHead(length: number, wide: boolean): Buffer {
  if (length < 16 && !wide) return Buffer.of(0x90 | length)
  const head = Buffer.alloc(length < 65_536 && !wide ? 3 : 5)
  head[0] = head.length === 3 ? 0xdc : 0xdd
  if (head.length === 3) head.writeUInt16BE(length, 1)
  else head.writeUInt32BE(length, 1)
  return head
}

/** A byte string as a value. */
export function binary(content: Uint8Array, wide = false): Buffer {
  const { length } = content
  const size = wide ? 4 : length < 256 ? 1 : length < 65_536 ? 2 : 4
  const head = Buffer.alloc(1 + size)
  head[0] = size === 1 ? 0xc4 : size === 2 ? 0xc5 : 0xc6
  head.writeUIntBE(length, 1, size)
  return Buffer.concat([head, content])
}
