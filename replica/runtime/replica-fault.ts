import type { Fault } from '../core/effect.ts'

/** A fault that only an operator can judge: two things that this replica relies on contradict each other. */
export class ReplicaFault extends Error {
  override name = 'ReplicaFault'
  readonly fault: Fault
  constructor(fault: Fault) {
    super(
      `${fault.code} at seq ${fault.seq}: ${fault.detail}. The replica stopped; its files are untouched.` +
        (REMEDIES[fault.code] ?? ''),
    )
    this.fault = fault
  }
}

const REMEDIES: Partial<Record<Fault['code'], string>> = {
  'too-many-amnesiacs':
    ' The cluster cannot let more than f replicas without their vote logs back in by itself. Where the logs still ' +
    'exist, put them back. Where they do not: stop every replica and run `pbft reset-votes`, which says what is given up.',
}
