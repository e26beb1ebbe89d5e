import { quorumOf } from '../../protocol/quorum.ts'
import { type Fault, faultsOf, type Plan, PlanError, type Step } from './plan.ts'

/** One fault's victims: replicas by name, or so many of any. */
type Victims = { readonly fault: Fault; readonly named: readonly number[]; readonly unnamed: number }

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
  const worst = largest(plan.steps.map((step) => worstOf(step, replicas)))
  if (countOf(worst) <= f) return
  const names = worst.map(({ fault, named, unnamed }) => {
    const who = [...named.map((id) => `replica ${id}`), ...(unnamed > 0 ? [`${unnamed} of any`] : [])].join(
      ', ',
    )
    return `${who} by ${fault.path} (${fault.strike.kind} ${fault.strike.action})`
  })
  throw new PlanError(
    `${plan.name}: ${countOf(worst)} replicas could be faulty at a time, and of ${replicas} only ${f} may be: ` +
      `${names.join('; ')}. Put these steps in \`serial\`, name fewer, or set beyondTolerance: true if that is meant.`,
  )
}

function requireReach({ selection, path }: Fault, replicas: number): void {
  const candidates = selection.replicas?.length ?? replicas
  if (selection.mode !== 'fixed' || selection.value <= candidates) return
  throw new PlanError(`${path}: there are only ${candidates} replicas to choose ${selection.value} from`)
}

/** Who may be faulty at a time within this step, at the worst. */
function worstOf(step: Step, replicas: number): readonly Victims[] {
  switch (step.type) {
    case 'serial':
      return largest(step.steps.map((inner) => worstOf(inner, replicas)))
    case 'parallel':
      return step.steps.flatMap((inner) => worstOf(inner, replicas))
    case 'repeat':
      return worstOf(step.fault, replicas)
    case 'fault': {
      const victims = victimsOf(step, replicas)
      return victims === null ? [] : [victims]
    }
    case 'suspend':
    case 'await':
      return []
  }
}

/** Named replicas are the same ones in every step; of any others the worst is that they all differ. */
function countOf(all: readonly Victims[]): number {
  const named = new Set(all.flatMap((victims) => victims.named))
  return named.size + all.reduce((sum, { unnamed }) => sum + unnamed, 0)
}

function largest(all: readonly (readonly Victims[])[]): readonly Victims[] {
  return all.reduce((most, one) => (countOf(one) > countOf(most) ? one : most), [])
}

/** Null: nobody counts as faulty by this. */
function victimsOf(fault: Fault, replicas: number): Victims | null {
  if (!makesFaulty(fault)) return null
  const { selection } = fault
  if (fault.strike.action === 'rolling-restart') return { fault, named: [], unnamed: 1 }
  if (isPowerCut(fault, replicas)) return null
  switch (selection.mode) {
    case 'all':
      return {
        fault,
        named: selection.replicas ?? Array.from({ length: replicas }, (_, id) => id),
        unnamed: 0,
      }
    case 'one':
    case 'fixed': {
      const count = selection.mode === 'one' ? 1 : selection.value
      // All of those named, whatever is chosen.
      if (selection.replicas?.length === count) return { fault, named: selection.replicas, unnamed: 0 }
      return { fault, named: [], unnamed: count }
    }
    case 'primary':
      return { fault, named: [], unnamed: 1 }
  }
}

/** Everybody goes down together and comes back: nothing that was synced is lost, and nobody is worse off than others. */
function isPowerCut({ strike, selection }: Fault, replicas: number): boolean {
  if (strike.kind !== 'ProcessChaos') return false
  if (strike.action === 'restart-all') return true
  const all = selection.mode === 'all' && (selection.replicas?.length ?? replicas) === replicas
  return all && strike.action !== 'crash-loop'
}

/** The network may do anything, and whoever is merely late is no fault: what is left makes its victims faulty. */
export function makesFaulty({ strike }: Pick<Fault, 'strike'>): boolean {
  switch (strike.kind) {
    case 'ProcessChaos':
    case 'MessageChaos':
    case 'StorageChaos':
      return true
    case 'DatabaseChaos':
      return strike.action !== 'slow'
    case 'NetworkChaos':
    case 'TimeChaos':
      return false
  }
}
