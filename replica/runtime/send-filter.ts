import type { Message, MessageType } from '../../protocol/messages.ts'
import type { PrincipalId } from '../../protocol/types.ts'

/** Every type that a replica sends of its own; a missing one does not compile. */
const SENT: Record<Exclude<MessageType, 'read' | 'inspect' | 'inspection'>, true> = {
  request: true,
  'pre-prepare': true,
  prepare: true,
  commit: true,
  checkpoint: true,
  'view-change': true,
  'new-view': true,
  reply: true,
  'read-reply': true,
  status: true,
  committed: true,
  'fetch-batch': true,
  'fetched-batch': true,
  'fetch-checkpoint': true,
  'state-offer': true,
  'fetch-partitions': true,
  partitions: true,
  'fetch-history': true,
  history: true,
  testimony: true,
  evidence: true,
}

export type Droppable = keyof typeof SENT
export const DROPPABLE = Object.keys(SENT).filter((type): type is Droppable => type in SENT)

export type Drop = {
  readonly type: Droppable
  readonly probability: number
  /** Principals; undefined: all. */
  readonly to?: readonly number[] | undefined
}

/** What this replica keeps to itself of what it should send, as a liar would. */
export class SendFilter {
  readonly #random: () => number
  #drops: readonly Drop[] = []

  /** @param random in [0, 1) */
  constructor(random: () => number = Math.random) {
    this.#random = random
  }

  /** In place of what was dropped before. */
  drop(drops: readonly Drop[]): void {
    this.#drops = drops
  }

  passes(to: PrincipalId, message: Message): boolean {
    return !this.#drops.some(
      (drop) =>
        drop.type === message.type &&
        (drop.to === undefined || drop.to.includes(to)) &&
        this.#random() < drop.probability,
    )
  }
}
