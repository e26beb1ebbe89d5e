import type { ClientRow } from '../../db/rows.ts'
import type { VoteRecord } from '../../replica/core/vote-record.ts'
import type { TraceLine } from '../../replica/runtime/message-trace.ts'
import type { PropertyReport, PropertyVerdict } from '../check/finding.ts'
import type { Role } from './scenario.ts'

/** What one replica had at the end of a set: its database, its vote log, its messages. */
export type ReplicaEvidence = {
  readonly replica: number
  readonly role: Role
  readonly lastExecuted: number
  readonly chain: string
  /** Balances by account; null: its database could not be read. */
  readonly balances: ReadonlyMap<string, bigint> | null
  /** What it keeps of each client's last request. */
  readonly lanes: readonly ClientRow[]
  /** Its vote log since the state was fresh, in its order. */
  readonly records: readonly VoteRecord[]
  readonly messages: readonly TraceLine[]
}

/** What the checker says of the correct replicas. */
export type Judgement = {
  readonly verdict: PropertyVerdict
  /** For people: what was checked, or what is wrong. */
  readonly summary: string
  /** Of `pbft check`; none where a simulation judged. */
  readonly properties: readonly PropertyReport[]
}

/** Where everybody lied. */
export const NOBODY_CORRECT: Judgement = {
  verdict: 'unknown',
  summary: 'every replica lied: there is no correct one to judge',
  properties: [],
}

export type SetEvidence = {
  readonly replicas: readonly ReplicaEvidence[]
  readonly judgement: Judgement
  /** Correct live replicas that did not get to the same place as the others within the time there was. */
  readonly behind: readonly number[]
  /** What nobody asked for: a replica that ended by itself. */
  readonly incidents: readonly string[]
}
