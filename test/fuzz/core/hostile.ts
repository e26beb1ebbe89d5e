import type { Random } from '../../../chaos/sim/random.ts'
import { decodeMessage, encodeMessage, isMalformed } from '../../../protocol/codec.ts'
import type { Message, Statement } from '../../../protocol/messages.ts'
import { clientId, type PrincipalId, principalId } from '../../../protocol/types.ts'
import { CLIENTS, sign } from '../../scenarios/parties.ts'
import { binaryLength, integerLeaf, isInteger } from '../leaves.ts'
import { changedTree } from '../mutations.ts'
import { binary, bytesOf, type Tree, treeOf } from '../tree.ts'
import type { World } from './world.ts'

/** What a liar says, and as whom the channel knows it. */
export type Said = { readonly from: PrincipalId; readonly message: Message }

const trees = new WeakMap<Message, Tree>()

function treeOfMessage(message: Message): Tree {
  let tree = trees.get(message)
  if (tree === undefined) {
    tree = treeOf(Uint8Array.from(encodeMessage(message)))
    trees.set(message, tree)
  }
  return tree
}

/** Something that was said in this world, changed so that it still decodes; undefined when it does not. */
export function hostileMessage(world: World, random: Random): Said | undefined {
  const source = world.aMessage()
  let tree = treeOfMessage(source)
  const others = [treeOfMessage(world.aMessage())]
  for (let changes = random.pick([0, 1, 1, 1, 2, 3]); changes > 0; changes--) {
    tree = changedTree(tree, { random, others, leaf: (leaf) => plausibleLeaf(leaf, world, random) })
  }
  const message = decodeMessage(Uint8Array.from(bytesOf(tree, () => false)))
  if (isMalformed(message)) return undefined
  return { from: senderOf(world, random), message: random.chance(0.7) ? signed(message, world) : message }
}

function senderOf(world: World, random: Random): PrincipalId {
  const { liar, shape } = world
  if (random.chance(0.8)) return liar
  if (random.chance(0.8)) return random.pick([CLIENTS.teller, CLIENTS.alice, CLIENTS.bob])
  return random.pick([principalId(shape.n), principalId(999), clientId(1_999)])
}

/** Another value of its kind: one that means something where the world stands. */
function plausibleLeaf(leaf: Uint8Array, world: World, random: Random): Uint8Array {
  if (isInteger(leaf)) return integerLeaf(plausibleInteger(world, random), random)
  const length = binaryLength(leaf)
  if (length === 32 || length === 64) return otherBinary(length, world, random) ?? leaf
  if (leaf[0] === 0xc2 || leaf[0] === 0xc3) return Buffer.of(leaf[0] ^ 1)
  if (length > 0) return binary(random.bytes(random.int(0, 2 * length)))
  return leaf
}

function plausibleInteger({ shape, correct }: World, random: Random): number {
  const position = random.pick(correct).position
  const { lowWaterMark, lastExecuted, nextSeq, view, highestViewChange } = position
  const near = random.pick([
    lowWaterMark,
    lowWaterMark + 2 * shape.k,
    lastExecuted,
    nextSeq,
    view,
    highestViewChange,
  ])
  const edge = random.pick([0, 1, 2 ** 32, 2 ** 53 - 1, shape.n, 999, 1_000, shape.k])
  const value = random.chance(0.75) ? near + random.pick([-1, 0, 0, 1, 2, shape.k]) : edge
  return random.chance(0.3) ? random.int(0, shape.n) : Math.max(0, value)
}

/** A digest or a signature that somebody else used, or chance. */
function otherBinary(length: number, world: World, random: Random): Uint8Array | undefined {
  if (random.chance(0.2)) return binary(random.bytes(length))
  const found: Uint8Array[] = []
  collect(treeOfMessage(world.aMessage()), (leaf) => {
    if (binaryLength(leaf) === length) found.push(leaf)
  })
  return found.length === 0 ? undefined : random.pick(found)
}

function collect(tree: Tree, onLeaf: (leaf: Uint8Array) => void): void {
  if (tree.kind === 'leaf') onLeaf(tree.bytes)
  else if (tree.kind === 'nested') collect(tree.of, onLeaf)
  else for (const item of tree.items) collect(item, onLeaf)
}

/** As the liar would sign it, where it is the liar's to sign. Clients are in league with it. */
function signed(message: Message, world: Pick<World, 'liar'>): Message {
  const { liar } = world
  const by = (statement: Omit<Statement, 'signer'>) => sign({ ...statement, signer: liar })
  switch (message.type) {
    case 'request': {
      const { client, digest } = message
      if (client < 1_000 && client !== liar) return message
      return {
        ...message,
        signature: sign({ type: 'request', view: 0, seq: 0, signer: client, digests: [digest] }),
      }
    }
    case 'pre-prepare': {
      const { view, seq, digest } = message.header
      const signature = by({ type: 'pre-prepare', view, seq, digests: [digest] })
      return { ...message, header: { view, seq, digest, signature } }
    }
    case 'prepare':
    case 'commit': {
      const { type, view, seq, digest } = message
      return { ...message, replica: liar, signature: by({ type, view, seq, digests: [digest] }) }
    }
    case 'checkpoint': {
      const { type, seq, stateRoot, chain } = message
      const signature = by({ type, view: 0, seq, digests: [stateRoot, chain] })
      return { ...message, replica: liar, signature }
    }
    case 'view-change': {
      const { type, newView, digest } = message
      return { ...message, replica: liar, signature: by({ type, view: newView, seq: 0, digests: [digest] }) }
    }
    case 'new-view': {
      const { type, view, digest } = message
      return { ...message, replica: liar, signature: by({ type, view, seq: 0, digests: [digest] }) }
    }
    case 'state-offer': {
      const checkpoint = signed(message.checkpoint, world)
      return checkpoint.type === 'checkpoint' ? { ...message, checkpoint } : message
    }
    default:
      return message
  }
}
