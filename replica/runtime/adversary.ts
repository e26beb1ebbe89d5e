import type { Message } from '../../protocol/messages.ts'
import type { PrincipalId } from '../../protocol/types.ts'
import type { CoreConfig, CoreCrypto } from '../core/config.ts'
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

export type Said = { readonly to: readonly PrincipalId[]; readonly message: Message }

/** What a liar said before its process ended, and what is to be known after this one. */
export type Memory = {
  readonly before: readonly Said[]
  remember(said: Said): void
}

/** Who lies, and with what: its own key signs whatever it likes. */
export type Liar = {
  readonly config: CoreConfig
  readonly crypto: CoreCrypto
  /** In [0, 1). */
  readonly random: () => number
  /** Undefined where the adversary itself outlives its process, as in the simulator. */
  readonly openMemory?: () => Memory
}

/** @throws Error, for people, when the text names no behaviours. */
export type MakeAdversary = (behaviours: string, liar: Liar) => Adversary

/** What this replica pretends to be: itself, until it is told otherwise. */
export class Disguise {
  readonly #make: MakeAdversary
  readonly #liar: Liar
  readonly #allowByzantine: boolean
  #adversary: Adversary | null = null

  constructor(args: {
    readonly make: MakeAdversary
    readonly liar: Liar
    /** As genesis has it. */
    readonly allowByzantine: boolean
  }) {
    this.#make = args.make
    this.#liar = args.liar
    this.#allowByzantine = args.allowByzantine
  }

  /** In place of what it was before; nothing: honest again. @throws Error, for people */
  wear(behaviours: string): void {
    if (behaviours.trim() !== '' && !this.#allowByzantine) throw new Error(`byzantine: ${HONEST_CLUSTER}`)
    this.#adversary = behaviours.trim() === '' ? null : this.#make(behaviours, this.#liar)
  }

  hears(from: PrincipalId, message: Message): boolean {
    return this.#adversary?.hears(from, message) ?? true
  }

  effects(effects: readonly Effect[]): readonly Effect[] {
    return this.#adversary?.effects(effects) ?? effects
  }

  wire(to: PrincipalId, message: Message, bytes: Uint8Array): readonly Packet[] {
    const packets = [{ bytes, delayMs: 0 }]
    return this.#adversary?.wire(to, message, packets) ?? packets
  }
}

/** Why a replica refuses to lie, and what to do. */
export const HONEST_CLUSTER =
  'a replica that lies is refused, because genesis does not say allowByzantine: make the cluster with it ' +
  '(pbft init --allow-byzantine)'
