import { adversaryFrom } from '../../../replica/byzantine/adversary.ts'
import type { Adversary, Liar } from '../../../replica/runtime/adversary.ts'

const HONEST: Adversary = {
  hears: () => true,
  effects: (effects) => effects,
  wire: (_to, _message, packets) => packets,
}

/** Replicas that lie in some sets and not in others. */
export class SwitchingAdversaries {
  readonly #behaviours = new Map<number, { readonly text: string; readonly adversary: Adversary }>()
  readonly #liars = new Map<number, Liar>()

  /** What takes the place of behaviours that never change. */
  adversaryOf(liar: Liar): Adversary {
    const { self } = liar.config
    this.#liars.set(self, liar)
    const now = () => this.#behaviours.get(self)?.adversary ?? HONEST
    return {
      hears: (from, message) => now().hears(from, message),
      effects: (effects) => now().effects(effects),
      wire: (to, message, packets) => now().wire(to, message, packets),
    }
  }

  /** From now on these do what `text` says, and nobody else lies. Who goes on as before keeps what it remembers. */
  lie(replicas: readonly number[], text: string): void {
    for (const [replica, liar] of this.#liars) {
      if (!replicas.includes(replica) || text === '') this.#behaviours.delete(replica)
      else if (this.#behaviours.get(replica)?.text !== text) {
        this.#behaviours.set(replica, { text, adversary: adversaryFrom(text, liar) })
      }
    }
  }
}
