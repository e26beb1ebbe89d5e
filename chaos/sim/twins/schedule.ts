import { type ReplicaId, replicaId } from '../../../protocol/types.ts'

/** Of each instance its group, numbered in order of appearance: [0, 0, 1, 2, 1] are three groups of five instances. */
export type Partition = readonly number[]

/**
 * Who is run twice, and of each view who can hear whom. Instances are counted so: first one of each replica, in order of
 * id, then the second ones of the twins, in the order in which `twins` names them.
 */
export type Schedule = {
  readonly replicas: number
  readonly twins: readonly ReplicaId[]
  /** Of views 0, 1, ...: one partition each, over all instances. */
  readonly views: readonly Partition[]
}

/** The replica that each instance runs as. */
export function seatsOf({ replicas, twins }: Pick<Schedule, 'replicas' | 'twins'>): readonly ReplicaId[] {
  return [...Array.from({ length: replicas }, (_, id) => replicaId(id)), ...twins]
}

/** '1' of a replica that is run once, '1a' and '1b' of the two that share an identity. */
export function namesOf({ replicas, twins }: Pick<Schedule, 'replicas' | 'twins'>): readonly string[] {
  return seatsOf({ replicas, twins }).map((replica, index) => {
    if (!twins.includes(replica)) return `${replica}`
    return `${replica}${index < replicas ? 'a' : 'b'}`
  })
}

/** One line: views are separated by '/', groups by '|', instances by ','. `parseSchedule` reads it. */
export function formatSchedule(schedule: Schedule): string {
  const names = namesOf(schedule)
  return schedule.views
    .map((partition) => {
      const groups = Array.from({ length: Math.max(...partition) + 1 }, (_, group) =>
        names.filter((_, index) => partition[index] === group).join(','),
      )
      return groups.join('|')
    })
    .join('/')
}

/** @throws RangeError that says what is wrong with the text */
export function parseSchedule(text: string): Schedule {
  const views = text.split('/').map((view) => view.split('|').map((group) => group.split(',')))
  const all = (views[0] ?? []).flat()
  for (const name of all) {
    if (!/^\d{1,2}[ab]?$/.test(name)) throw new RangeError(`'${name}' names no instance: 0, 1, 2a, 2b`)
  }
  const replicas = new Set(all.map((name) => Number.parseInt(name, 10))).size
  const twins = all.filter((name) => name.endsWith('b')).map((name) => replicaId(Number.parseInt(name, 10)))
  const names = namesOf({ replicas, twins: twins.sort((a, b) => a - b) })
  return {
    replicas,
    twins,
    views: views.map((groups, view) => {
      if (groups.flat().sort().join() !== [...names].sort().join()) {
        throw new RangeError(`view ${view} must name each of ${names.join(' ')} once`)
      }
      return numbered(names.map((name) => groups.findIndex((group) => group.includes(name))))
    }),
  }
}

/** The same groups, numbered in order of appearance. */
export function numbered(groups: readonly number[]): Partition {
  const known = new Map<number, number>()
  return groups.map((group) => {
    const number = known.get(group) ?? known.size
    known.set(group, number)
    return number
  })
}
