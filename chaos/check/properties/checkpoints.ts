import type { Vote } from '../../../protocol/messages.ts'
import { quorumOf } from '../../../protocol/quorum.ts'
import type { Digest, ReplicaId, Seq } from '../../../protocol/types.ts'
import type { LoggedRecord } from '../logs/logged-record.ts'
import type { SignaturePool } from '../signatures/pool.ts'

/** The state after `seq`, as replicas signed it. */
export type SignedState = { readonly seq: Seq; readonly stateRoot: Digest; readonly chain: Digest }
export type ProvenState = SignedState & { readonly signers: readonly number[] }

type Signed = SignedState & { readonly votes: Map<string, Vote> }

const keyOf = ({ seq, stateRoot, chain }: SignedState): string => `${seq} ${stateRoot} ${chain}`

/** The CHECKPOINTs that are in the logs: own ones, stable ones, those that prove a VIEW-CHANGE. */
export class CheckpointVotes {
  readonly #signed = new Map<string, Signed>()

  onRecord(record: LoggedRecord, replica: number): void {
    switch (record.kind) {
      case 'checkpoint':
        this.#add(record, { replica: replica as ReplicaId, signature: record.signature })
        break
      case 'stable':
        for (const vote of record.checkpoints) this.#add(record, vote)
        break
      case 'view-change':
        for (const checkpoint of record.message.checkpoints) this.#add(checkpoint, checkpoint)
        break
      default:
        break
    }
  }

  /** States that q replicas signed, by seq; and how many signatures did not hold. */
  async proven(
    pool: SignaturePool,
    replicas: number,
  ): Promise<{ readonly states: readonly ProvenState[]; readonly invalid: number }> {
    const { quorum } = quorumOf(replicas)
    const all = [...this.#signed.values()]
    const judged = all.map(async ({ seq, stateRoot, chain, votes }) => {
      const list = [...votes.values()]
      const valid = await pool.check(
        list.map(({ replica, signature }) => ({
          statement: { type: 'checkpoint', view: 0, seq, signer: replica, digests: [stateRoot, chain] },
          signature,
        })),
      )
      const signers = new Set(list.filter((_, i) => valid[i] === 1).map(({ replica }) => Number(replica)))
      const invalid = valid.reduce((count, one) => count + (one === 1 ? 0 : 1), 0)
      return { seq, stateRoot, chain, signers: [...signers], invalid }
    })
    pool.flush()
    const states = await Promise.all(judged)
    return {
      states: states.filter(({ signers }) => signers.length >= quorum).sort((a, b) => a.seq - b.seq),
      invalid: states.reduce((count, one) => count + one.invalid, 0),
    }
  }

  #add(state: SignedState, { replica, signature }: Vote): void {
    const key = keyOf(state)
    let signed = this.#signed.get(key)
    if (signed === undefined) {
      const { seq, stateRoot, chain } = state
      signed = { seq, stateRoot, chain, votes: new Map() }
      this.#signed.set(key, signed)
    }
    const name = `${replica} ${Buffer.from(signature).toString('latin1')}`
    // A copy: the record is a view into its whole segment.
    if (!signed.votes.has(name)) signed.votes.set(name, { replica, signature: Uint8Array.from(signature) })
  }
}
