import { quorumOf } from '../../protocol/quorum.ts'
import { type Fault, faultsOf, type Plan, PlanError, type Selection, type Step } from './plan.ts'

/** One fault's victims: `count` different ones of `candidates`. */
type Victims = { readonly fault: Fault; readonly candidates: readonly number[]; readonly count: number }
/** Faults that may be in force at the same time. */
type Situation = readonly Victims[]

/** Beyond so many situations of one step they are taken for one, in which all happens at once. */
const SITUATIONS_MAX = 1_000

/**
 * Refuses a plan under which more than f replicas could be faulty at a time, unless it says so. What counts is in
 * docs/chaos.md: a replica from its fault until it is level with the others again. Nobody knows how long that takes, so
 * steps in `parallel` count together whenever they begin; in `serial` each waits for those before it to recover.
 * @throws PlanError with the names
 */
export function requireTolerated(plan: Plan): void {
  const { replicas } = plan.cluster
  const { f } = quorumOf(replicas)
  for (const fault of plan.steps.flatMap(faultsOf)) requireReach(fault, replicas)
  if (plan.beyondTolerance) return
  const worst = largest(plan.steps.flatMap((step) => situationsOf(step, replicas)))
  if (countOf(worst) <= f) return
  const names = worst.map(({ fault, candidates, count }) => {
    const isAllOfThem = count === candidates.length
    const any = candidates.length === replicas ? 'any' : candidates.join(', ')
    const who = isAllOfThem ? candidates.map((id) => `replica ${id}`).join(', ') : `${count} of ${any}`
    return `${who} by ${fault.path} (${fault.strike.kind} ${fault.strike.action})`
  })
  throw new PlanError(
    `${plan.name}: ${countOf(worst)} replicas could be faulty at a time, and of ${replicas} only ${f} may be: ` +
      `${names.join('; ')}. Put these steps in \`serial\`, name fewer, or set beyondTolerance: true if that is meant.`,
  )
}

function requireReach({ selection, path }: Fault, replicas: number): void {
  const candidates = candidatesOf(selection, replicas).length
  if (selection.mode !== 'fixed' || selection.value <= candidates) return
  throw new PlanError(`${path}: there are only ${candidates} replicas to choose ${selection.value} from`)
}

/**
 * Who may be faulty at a time within this step: every possibility, since which of them is the worst depends on what stands
 * beside it. Of kill 1 and kill 2 beside kill 1, either is one replica by itself, and the second makes two.
 */
function situationsOf(step: Step, replicas: number): readonly Situation[] {
  switch (step.type) {
    case 'serial':
      return distinct(step.steps.flatMap((inner) => situationsOf(inner, replicas)))
    case 'parallel':
      return step.steps
        .map((inner) => situationsOf(inner, replicas))
        .reduce<readonly Situation[]>(together, [[]])
    case 'repeat':
      return situationsOf(step.fault, replicas)
    case 'fault':
      return [situationOf(step, replicas)]
    case 'suspend':
    case 'await':
      return [[]]
  }
}

function together(some: readonly Situation[], others: readonly Situation[]): readonly Situation[] {
  return some.length * others.length > SITUATIONS_MAX
    ? distinct([[...some.flat(), ...others.flat()]])
    : distinct(some.flatMap((a) => others.map((b) => [...a, ...b])))
}

const keyOf = ({ candidates, count }: Victims): string => `${count}/${[...candidates].sort((a, b) => a - b)}`

/** Faults of the same victims differ in their names alone: the first of them stands for all. */
function distinct(situations: readonly Situation[]): readonly Situation[] {
  const found = new Map<string, Situation>()
  for (const situation of situations.map(withoutRepeats)) {
    const key = situation.map(keyOf).sort().join(' ')
    if (!found.has(key)) found.set(key, situation)
  }
  return [...found.values()]
}

/** Who strikes all its candidates once strikes nobody else the second time; other choices end with the candidates. */
function withoutRepeats(situation: Situation): Situation {
  const seen = new Map<string, number>()
  return situation.filter((victims) => {
    const key = keyOf(victims)
    const before = seen.get(key) ?? 0
    seen.set(key, before + 1)
    return before * victims.count < victims.candidates.length
  })
}

/**
 * How many different replicas these may strike at the most: the same names are the same replicas, and who may choose takes
 * one that is not struck yet. A maximum matching of choices to victims.
 */
function countOf(situation: Situation): number {
  const choices = situation.flatMap(({ candidates, count }) =>
    Array.from({ length: count }, () => candidates),
  )
  /** By victim: the choice that takes it. */
  const takenBy = new Map<number, number>()
  const place = (choice: number, tried: Set<number>): boolean => {
    for (const victim of choices[choice] ?? []) {
      if (tried.has(victim)) continue
      tried.add(victim)
      const holder = takenBy.get(victim)
      if (holder !== undefined && !place(holder, tried)) continue
      takenBy.set(victim, choice)
      return true
    }
    return false
  }
  return choices.filter((_, choice) => place(choice, new Set())).length
}

function largest(all: readonly Situation[]): Situation {
  return all.reduce<Situation>((most, one) => (countOf(one) > countOf(most) ? one : most), [])
}

const candidatesOf = ({ replicas }: Selection, count: number): readonly number[] =>
  replicas === null ? Array.from({ length: count }, (_, id) => id) : [...new Set(replicas)]

/** Empty: nobody counts as faulty by this. */
function situationOf(fault: Fault, replicas: number): Situation {
  if (!makesFaulty(fault)) return []
  const { selection, strike } = fault
  const candidates = candidatesOf(selection, replicas)
  const chosen = { all: candidates.length, fixed: selection.value, one: 1, primary: 1 }[selection.mode]
  const count = strike.action === 'rolling-restart' ? 1 : Math.min(chosen, candidates.length)
  return isPowerCut(fault, count, replicas) ? [] : [{ fault, candidates, count }]
}

/** Everybody goes down together and comes back: nothing that was synced is lost, and nobody is worse off than others. */
function isPowerCut({ strike }: Fault, count: number, replicas: number): boolean {
  if (strike.kind !== 'ProcessChaos') return false
  return strike.action === 'restart-all' || (count === replicas && strike.action !== 'crash-loop')
}

/** The network may do anything, and whoever is merely late is no fault: what is left makes its victims faulty. */
export function makesFaulty({ strike }: Pick<Fault, 'strike'>): boolean {
  switch (strike.kind) {
    case 'ProcessChaos':
    case 'MessageChaos':
    case 'ByzantineChaos':
    case 'StorageChaos':
      return true
    case 'DatabaseChaos':
      return strike.action !== 'slow'
    case 'NetworkChaos':
    case 'TimeChaos':
      return false
  }
}
