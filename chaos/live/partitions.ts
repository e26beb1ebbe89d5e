import type { Direction, PartitionShape } from '../plan/plan.ts'
import type { Random } from '../sim/random.ts'
import type { Endpoint, Link } from './live-network.ts'

/** Everything that sends: the replicas, and the clients as one. */
export const endpointsOf = (replicas: readonly number[]): Endpoint[] => [...replicas, 'clients']

/** Links of `one` with `others`, in the words of Chaos Mesh: 'to' them, 'from' them, or both. Clients have none among themselves. */
export function linksWith(one: Endpoint, others: readonly Endpoint[], direction: Direction): Link[] {
  return others
    .filter((other) => other !== one)
    .flatMap((other) => [
      ...(direction === 'to' ? [] : [{ from: other, to: one }]),
      ...(direction === 'from' ? [] : [{ from: one, to: other }]),
    ])
}

/**
 * The links that a partition cuts. 'one', 'primary': `victim` alone; 'halves': the replicas in two groups, clients with
 * one of them; 'ring': each reaches its two neighbours only; 'bridge': two groups that share one member.
 */
export function partitionLinks(
  shape: PartitionShape,
  args: {
    readonly replicas: readonly number[]
    readonly victim: number
    readonly direction: Direction
    readonly random: Random
  },
): readonly Link[] {
  const { replicas, victim, direction, random } = args
  switch (shape) {
    case 'one':
    case 'primary':
      return linksWith(victim, endpointsOf(replicas), direction)
    case 'halves':
      return between(halvesOf(replicas, random), direction)
    case 'bridge': {
      const others = replicas.filter((id) => id !== victim)
      return between(halvesOf(others, random), direction)
    }
    case 'ring':
      return ringLinks(replicas)
  }
}

type Groups = readonly [readonly Endpoint[], readonly Endpoint[]]

function halvesOf(replicas: readonly number[], random: Random): Groups {
  const order = random.shuffled(replicas)
  const half = Math.ceil(order.length / 2)
  return [['clients', ...order.slice(0, half)], order.slice(half)]
}

const between = ([ours, theirs]: Groups, direction: Direction): Link[] =>
  theirs.flatMap((one) => linksWith(one, ours, direction))

function ringLinks(replicas: readonly number[]): Link[] {
  const n = replicas.length
  return replicas.flatMap((from, at) =>
    replicas
      .filter((_, other) => other !== at && (other - at + n) % n !== 1 && (at - other + n) % n !== 1)
      .map((to) => ({ from, to })),
  )
}
