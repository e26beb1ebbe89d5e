import type { Message } from '../../protocol/messages.ts'
import type { PrincipalId } from '../../protocol/types.ts'
import type { Effect } from '../core/effect.ts'

/** One encoded message on its way to one receiver. */
export type Packet = { readonly bytes: Uint8Array; readonly delayMs: number }

/** What a liar makes of what its honest core does (replica/byzantine). The core knows nothing of it. */
export type Adversary = {
  /** Whether the core gets to hear `message`. */
  hears(from: PrincipalId, message: Message): boolean
  /** What is performed in place of a step's effects. */
  effects(effects: readonly Effect[]): readonly Effect[]
  /** What leaves for `to` in place of `packets`, which are of `message`. */
  wire(to: PrincipalId, message: Message, packets: readonly Packet[]): readonly Packet[]
}
