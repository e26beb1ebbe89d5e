import { quorumOf } from '../../../protocol/quorum.ts'
import { type Behaviour, parseBehaviours } from '../../../replica/byzantine/behaviour.ts'

/** A number of replicas: itself, or so many more than f. */
export type Count = { readonly isAboveF: boolean; readonly number: number }
/** Both included. */
export type CountRange = { readonly from: Count; readonly to: Count }

/** What all runs of an experiment have in common. */
export type Settings = {
  /** One-way latency of each datagram, uniform between the two. */
  readonly delayMs: { readonly min: number; readonly max: number }
  /** Writes of a run, over all clients; each client makes its next when the last is answered. */
  readonly writes: number
  readonly clients: number
  /** Within which a write must be answered; a run in which nothing is answered for so long is over. */
  readonly deadlineMs: number
  readonly viewChangeTimeoutMs: number
}

/** What makes two runs repetitions of each other. */
export type Cell = {
  readonly replicas: number
  /** The first so many replicas: primaries of the first views, where a lie tells most. */
  readonly malicious: number
  /** What they do, as replica/byzantine writes it. */
  readonly byzantine: string
  /** Share of the datagrams that are lost, each by itself. */
  readonly drop: number
}

export type CellChoices = {
  readonly replicas: readonly number[]
  readonly malicious: readonly CountRange[]
  readonly byzantine: readonly string[]
  readonly drop: readonly number[]
}

/** Every combination, the number of malicious replicas last: that is what a line of the plot goes along. */
export function cellsOf({ replicas, malicious, byzantine, drop }: CellChoices): Cell[] {
  return byzantine.flatMap((behaviours) =>
    replicas.flatMap((n) =>
      drop.flatMap((share) =>
        countsFor(n, malicious).map((count) => ({
          replicas: n,
          malicious: count,
          byzantine: behaviours,
          drop: share,
        })),
      ),
    ),
  )
}

/** Ascending, each once; what leaves no correct replica is left out. */
export function countsFor(replicas: number, asked: readonly CountRange[]): number[] {
  const { f } = quorumOf(replicas)
  const numberOf = ({ isAboveF, number }: Count) => (isAboveF ? f + number : number)
  const isAsked = (count: number) =>
    asked.some(({ from, to }) => numberOf(from) <= count && count <= numberOf(to))
  return Array.from({ length: replicas }, (_, count) => count).filter(isAsked)
}

export const behavioursOf = ({ byzantine, replicas }: Cell): readonly Behaviour[] =>
  parseBehaviours(byzantine, { replicas })

/** Up to f: what PBFT promises to stand. */
export const isWithinBound = ({ replicas, malicious }: Pick<Cell, 'replicas' | 'malicious'>): boolean =>
  malicious <= quorumOf(replicas).f
