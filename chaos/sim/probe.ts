import type { Message } from '../../protocol/messages.ts'
import type { PrincipalId, ReplicaId } from '../../protocol/types.ts'
import type { Observation } from '../../replica/core/effect.ts'
import type { Errand } from './client-process.ts'
import type { Job } from './workload.ts'

/** Looks on while a run goes by, for measurements. It changes nothing, so that a run with it is the run without. */
export type Probe = {
  /** Handed to the channel, once for each of `to`. */
  onSend(replica: ReplicaId, message: Message, to: readonly PrincipalId[]): void
  /** Heard by a replica that runs, and handed to its core. */
  onReceived(replica: ReplicaId, message: Message, from: PrincipalId): void
  onObserved(replica: ReplicaId, what: Observation): void
  /** A client makes this call for the first time. */
  onBegun(job: Job): void
  /** The very job that was begun, or a lookup that took its place. */
  onDone(errand: Errand): void
}
