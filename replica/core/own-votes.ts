import type { Commit, Header, Prepare } from '../../protocol/messages.ts'
import type { Digest, Seq, View } from '../../protocol/types.ts'
import type { CoreConfig, CoreCrypto } from './config.ts'
import type { Slot } from './slot.ts'

type At = { readonly view: View; readonly seq: Seq; readonly digest: Digest }

/** What this replica signs of the order. Ed25519 gives the same bytes again after a restart. */
export class OwnVotes {
  readonly #config: CoreConfig
  readonly #crypto: CoreCrypto

  constructor({ config, crypto }: { config: CoreConfig; crypto: CoreCrypto }) {
    this.#config = config
    this.#crypto = crypto
  }

  header(at: At): Header {
    return { ...at, signature: this.#sign('pre-prepare', at) }
  }

  /** Counted in its own certificate. */
  prepare(slot: Slot, of: Omit<At, 'seq'>): Prepare {
    const vote = { type: 'prepare' as const, ...this.#vote('prepare', { ...of, seq: slot.seq }) }
    slot.voting.ownPrepare = vote
    slot.voting.prepares.add(vote)
    return vote
  }

  commit(slot: Slot, of: Omit<At, 'seq'>): Commit {
    const vote = { type: 'commit' as const, ...this.#vote('commit', { ...of, seq: slot.seq }) }
    slot.voting.ownCommit = vote
    return vote
  }

  #vote(type: 'prepare' | 'commit', at: At) {
    return { ...at, replica: this.#config.self, signature: this.#sign(type, at) }
  }

  #sign(type: 'pre-prepare' | 'prepare' | 'commit', { view, seq, digest }: At): Uint8Array {
    return this.#crypto.sign({ type, view, seq, signer: this.#config.self, digests: [digest] })
  }
}
