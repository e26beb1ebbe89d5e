import { type ReplicaId, replicaId } from '../../../protocol/types.ts'
import { numbered, type Partition, type Schedule } from './schedule.ts'

/** A renaming of instances: where each goes. */
type Renaming = readonly number[]

/**
 * Every schedule of one twin over so many views, up to symmetry. Two schedules are the same when a renaming makes one of
 * the other: of the twin's two instances (one code, one key, and each begins with a request of its own, which are
 * renamed with them), and of correct replicas that lead none of these views (between them only the id differs). Of a
 * twin that leads none of these views one stands for all. Primaries keep their names: view v is led by replica v mod n.
 *
 * Nothing else is left out. That groups without a quorum commit nothing does not make them alike: what was accepted
 * there, and who gave its view up, is met again under the next view's partition.
 */
export class Space {
  readonly replicas: number
  readonly views: number
  readonly #partitions: readonly Partition[]
  /** Per twin: its renamings, as maps from partition number to partition number. */
  readonly #twins: readonly { readonly twin: ReplicaId; readonly renamed: readonly (readonly number[])[] }[]

  constructor({ replicas, views }: { readonly replicas: number; readonly views: number }) {
    this.replicas = replicas
    this.views = views
    this.#partitions = partitionsOf(replicas + 1)
    const numbers = new Map(this.#partitions.map((partition, number) => [partition.join(), number]))
    const leads = (id: number) => id < views
    const ids = Array.from({ length: replicas }, (_, id) => replicaId(id))
    const standIn = ids.find((id) => !leads(id))
    this.#twins = ids
      .filter((id) => leads(id) || id === standIn)
      .map((twin) => {
        const alike = ids.filter((id) => !leads(id) && id !== twin)
        const renamed = renamingsOf({ replicas, twin, alike }).map((renaming) =>
          this.#partitions.map((partition) => numbers.get(renamedBy(renaming, partition).join()) ?? -1),
        )
        return { twin, renamed }
      })
  }

  /** Before symmetry, of all twins that are told apart. */
  get size(): number {
    return this.#twins.length * this.#perTwin
  }

  get #perTwin(): number {
    return this.#partitions.length ** this.views
  }

  /** Those with `from <= place < until`, one of each class: the first. */
  *schedules({ from, until }: { readonly from: number; readonly until: number }): Generator<Schedule> {
    const { replicas } = this
    for (let place = from; place < Math.min(until, this.size); place++) {
      const { twin, renamed } = this.#at(place)
      const numbers = this.#numbersAt(place % this.#perTwin)
      if (
        renamed.some((map) =>
          isLess(
            numbers.map((number) => map[number] ?? -1),
            numbers,
          ),
        )
      )
        continue
      const views = numbers.map((number) => this.#partitions[number] ?? [])
      yield { replicas, twins: [twin], views }
    }
  }

  /** How many classes there are, by Burnside: the mean, over the renamings, of how many schedules each leaves alone. */
  get classes(): number {
    return this.#twins.reduce((sum, { renamed }) => {
      const fixed = renamed.map((map) => map.filter((to, from) => to === from).length ** this.views)
      return sum + fixed.reduce((a, b) => a + b, 0) / renamed.length
    }, 0)
  }

  #at(place: number) {
    const at = this.#twins[Math.floor(place / this.#perTwin)]
    if (at === undefined) throw new RangeError(`place ${place} of ${this.size}`)
    return at
  }

  #numbersAt(place: number): number[] {
    const base = this.#partitions.length
    return Array.from(
      { length: this.views },
      (_, view) => Math.floor(place / base ** (this.views - 1 - view)) % base,
    )
  }
}

/** Every set partition of so many things. */
function partitionsOf(count: number): readonly Partition[] {
  let all: Partition[] = [[]]
  for (let thing = 0; thing < count; thing++) {
    all = all.flatMap((partition) => {
      const groups = Math.max(-1, ...partition) + 1
      return Array.from({ length: groups + 1 }, (_, group) => [...partition, group])
    })
  }
  return all
}

/** All of them, the identity too: a group. */
function renamingsOf({
  replicas,
  twin,
  alike,
}: {
  readonly replicas: number
  readonly twin: ReplicaId
  readonly alike: readonly ReplicaId[]
}): readonly Renaming[] {
  const swapped = (renaming: Renaming): Renaming =>
    renaming.map((to, from) => {
      if (from === twin) return replicas
      return from === replicas ? twin : to
    })
  return permutationsOf(alike)
    .map((order) => {
      const renaming = Array.from({ length: replicas + 1 }, (_, index) => index)
      alike.forEach((id, place) => {
        renaming[id] = order[place] ?? id
      })
      return renaming
    })
    .flatMap((renaming) => [renaming, swapped(renaming)])
}

function permutationsOf<T>(items: readonly T[]): readonly (readonly T[])[] {
  if (items.length === 0) return [[]]
  return items.flatMap((item) =>
    permutationsOf(items.filter((other) => other !== item)).map((rest) => [item, ...rest]),
  )
}

function renamedBy(renaming: Renaming, partition: Partition): Partition {
  const groups = [...partition]
  partition.forEach((group, from) => {
    groups[renaming[from] ?? from] = group
  })
  return numbered(groups)
}

function isLess(a: readonly number[], b: readonly number[]): boolean {
  const at = a.findIndex((value, index) => value !== b[index])
  return at >= 0 && (a[at] ?? 0) < (b[at] ?? 0)
}
