import type { BatchAt, Executed } from '../../db/store.ts'
import type { ReadValue } from '../../protocol/operations.ts'
import type { ReplicaId } from '../../protocol/types.ts'
import type { Claim, Effect } from '../../replica/core/effect.ts'
import type { VoteRecord } from '../../replica/core/vote-record.ts'
import type { Adversary, Liar } from '../../replica/runtime/adversary.ts'

/** Breaks a replica on purpose, from outside, to show that the checks see it. */
export type Sabotage = {
  effects?(replica: ReplicaId, effects: readonly Effect[]): readonly Effect[]
  /** What the plan's liars do, in place of their behaviours. */
  liar?(liar: Liar): Adversary
  /** What a start finds in the log. */
  recovered?(replica: ReplicaId, votes: readonly VoteRecord[]): readonly VoteRecord[]
  /** The database's transaction; `perform` is the honest one. */
  execute?(
    replica: ReplicaId,
    run: readonly BatchAt[],
    perform: (run: readonly BatchAt[]) => readonly Executed[],
  ): readonly Executed[]
  /** What the verifier says of these claims; `valid` is the truth. */
  verify?(replica: ReplicaId, claims: readonly Claim[], valid: readonly boolean[]): readonly boolean[]
  /** What the database shows a read. */
  read?(replica: ReplicaId, values: readonly ReadValue[]): readonly ReadValue[]
  /** fsync returns, and a power cut takes what it was for. */
  readonly fsyncLies?: boolean
}
