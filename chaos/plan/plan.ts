import type { ClientBehaviour } from '../../client/byzantine/behaviour.ts'
import type { LinkRule } from '../live/link-rule.ts'

/** Who is struck: `replicas` null is any of them; `value` is how many, of 'fixed'. */
export type Selection = {
  readonly mode: 'one' | 'fixed' | 'all' | 'primary'
  readonly value: number
  readonly replicas: readonly number[] | null
}

export const PARTITION_SHAPES = ['one', 'halves', 'ring', 'bridge', 'primary'] as const
export type PartitionShape = (typeof PARTITION_SHAPES)[number]
export type Direction = 'to' | 'from' | 'both'

/** What one fault does, by kind and action. */
export type Strike =
  | {
      readonly kind: 'ProcessChaos'
      readonly action: 'kill' | 'terminate' | 'pause' | 'rolling-restart' | 'restart-all' | 'power-loss'
    }
  /** Killed again `everyMs` after each start. */
  | { readonly kind: 'ProcessChaos'; readonly action: 'crash-loop'; readonly everyMs: number }
  | {
      readonly kind: 'NetworkChaos'
      readonly action: 'loss' | 'delay' | 'duplicate' | 'reorder' | 'corrupt' | 'replay' | 'bandwidth'
      readonly rule: LinkRule
      readonly direction: Direction
      /** The other ends of the links; null: everybody, clients included. */
      readonly target: Selection | null
    }
  | {
      readonly kind: 'NetworkChaos'
      readonly action: 'partition'
      readonly shape: PartitionShape
      readonly direction: Direction
    }
  /** Links of those selected are cut and mended, half of `periodMs` each. */
  | { readonly kind: 'NetworkChaos'; readonly action: 'flap'; readonly periodMs: number }
  | {
      readonly kind: 'MessageChaos'
      readonly action: 'drop'
      readonly messages: readonly string[]
      readonly probability: number
      readonly to: readonly number[] | null
    }
  /** `behaviours` as replica/byzantine writes them. */
  | { readonly kind: 'ByzantineChaos'; readonly action: 'lie'; readonly behaviours: string }
  | { readonly kind: 'DatabaseChaos'; readonly action: 'slow'; readonly latencyMs: number }
  | { readonly kind: 'DatabaseChaos'; readonly action: 'cut' | 'refuse' | 'kill' | 'pause' }
  /** `sql` null: some row that a client can read. */
  | { readonly kind: 'DatabaseChaos'; readonly action: 'edit'; readonly sql: string | null }
  | { readonly kind: 'StorageChaos'; readonly action: 'wipe-votes' | 'wipe-database' | 'wipe-both' }
  | { readonly kind: 'TimeChaos'; readonly action: 'rate'; readonly rate: number }
  | { readonly kind: 'TimeChaos'; readonly action: 'jump'; readonly offsetMs: number }

/** `path` is where it stands in the plan, for people: `steps.2.parallel.0`. */
export type Step =
  | { readonly type: 'serial' | 'parallel'; readonly path: string; readonly steps: readonly Step[] }
  | { readonly type: 'suspend'; readonly path: string; readonly ms: number }
  /** Until every replica is where the others are, votes, and fetches nothing. */
  | { readonly type: 'await'; readonly path: string; readonly timeoutMs: number }
  /** Again every so often, from one's begin to the next one's; so many times. */
  | {
      readonly type: 'repeat'
      readonly path: string
      readonly everyMs: number
      readonly times: number
      readonly fault: Fault
    }
  | Fault

export type Fault = {
  readonly type: 'fault'
  readonly path: string
  readonly selection: Selection
  readonly durationMs: number
  readonly strike: Strike
}

/** What can be demanded of a run: see chaos/run/demands.ts. */
export const DEMANDS = [
  'view-change',
  'several-view-changes',
  'catch-up-by-messages',
  'state-transfer',
  'state-transfer-with-rows',
  'redo',
  'repair',
  'database-reconnect',
  'amnesiac-votes-again',
  'power-cut-of-all',
  'partition',
  'datagrams-lost',
  'datagrams-delayed',
  'datagrams-duplicated',
  'datagrams-reordered',
  'datagrams-corrupted',
  'datagrams-replayed',
  'clock-changed',
] as const
export type Demand = (typeof DEMANDS)[number]

export type PlanLoad = {
  /** What one more client does, who lies; its calls are not judged. Empty: there is none. */
  readonly liars: readonly ClientBehaviour[]
  /** Identities, each with connections of its own. */
  readonly clients: number
  /** That wait for an answer at the same time, of each client. */
  readonly callers: number
  readonly hotAccounts: number
  readonly coldAccounts: number
  /** Between a caller's calls. */
  readonly thinkMs: number
  /** Operations per second before the first fault: below it the run tells too little. */
  readonly floor: number
}

export type PlanCluster = {
  readonly replicas: number
  /** K: small, so that a short run passes many checkpoints, and states are soon out of the reach of messages. */
  readonly checkpointInterval: number
  readonly viewChangeTimeoutMs: number
  readonly scrubIntervalMs: number
}

export type Plan = {
  readonly name: string
  /** How long load and faults go on, from the first step; longer when steps take longer. */
  readonly seconds: number
  /** No step begins later than that; what is left out then is said. Infinity: none is left out. */
  readonly strikeSeconds: number
  /** More than f replicas may be faulty at a time. */
  readonly beyondTolerance: boolean
  /** Replicas may be told to lie, and to hold messages back. */
  readonly allowByzantine: boolean
  readonly cluster: PlanCluster
  readonly load: PlanLoad
  readonly demands: readonly Demand[]
  readonly steps: readonly Step[]
}

export const DEFAULT_CLUSTER: PlanCluster = {
  replicas: 4,
  checkpointInterval: 16,
  viewChangeTimeoutMs: 500,
  scrubIntervalMs: 100,
}
export const DEFAULT_LOAD: PlanLoad = {
  clients: 3,
  callers: 4,
  hotAccounts: 8,
  coldAccounts: 200,
  thinkMs: 0,
  floor: 20,
  liars: [],
}

/** A plan that a person can mend: says where, what was found, and what belongs there. */
export class PlanError extends Error {
  override name = 'PlanError'
}

/** The faults of a step, in the order of the plan. */
export function faultsOf(step: Step): readonly Fault[] {
  switch (step.type) {
    case 'serial':
    case 'parallel':
      return step.steps.flatMap(faultsOf)
    case 'repeat':
      return [step.fault]
    case 'fault':
      return [step]
    case 'suspend':
    case 'await':
      return []
  }
}
