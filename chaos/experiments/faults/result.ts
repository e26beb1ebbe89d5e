import type { thisMachine } from '../machine.ts'
import type { Cell, Settings } from './choices.ts'

export type Runtime = 'sim' | 'real'

/** One run. */
export type FaultRun = Cell & {
  readonly runtime: Runtime
  readonly seed: number
  /** Of its cell, from 1. */
  readonly run: number
  readonly writes: number
  /** Of each write that was answered in time. */
  readonly latenciesMs: readonly number[]
  /** What broke of that which never may; null: nothing. */
  readonly violation: string | null
  /** From the first call to the last answer, or until nothing was answered for too long. */
  readonly seconds: number
  readonly batches: number
  /** The highest view that a correct replica entered; the first is 0. */
  readonly viewChanges: number
  /** Of correct replicas, by type, once per receiver. */
  readonly messages: Readonly<Record<string, number>>
  /** On the wire, with the channels' acknowledgements and repetitions; null: nobody counted them. */
  readonly datagrams: number | null
}

/** A file of results. */
export type FaultsResult = {
  readonly format: 'pbft-experiment-faults'
  readonly version: 1
  readonly startedAt: string
  readonly command: string
  readonly machine: ReturnType<typeof thisMachine>
  readonly settings: Settings & { readonly runtime: Runtime; readonly runs: number; readonly seed: number }
  /** False when it was ended by a signal, or a cluster failed: runs are missing. */
  readonly isComplete: boolean
  readonly runs: readonly FaultRun[]
}

/** All of its writes were answered in time, and nothing broke. */
export const isSuccess = ({ latenciesMs, writes, violation }: FaultRun): boolean =>
  latenciesMs.length === writes && violation === null
