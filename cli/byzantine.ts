import { table } from '../client/format.ts'
import {
  BEHAVIOUR_NAMES,
  BEHAVIOURS,
  type Behaviour,
  BehaviourError,
  parseBehaviours,
} from '../replica/byzantine/behaviour.ts'
import { UsageError } from './failure.ts'

/** @throws UsageError */
export function readBehaviours(text: string, cluster: { readonly replicas: number }): Behaviour[] {
  try {
    return parseBehaviours(text, cluster)
  } catch (error) {
    if (error instanceof BehaviourError)
      throw new UsageError(`--byzantine: ${error.message}`, { cause: error })
    throw error
  }
}

/** For --help: every behaviour, and how they are written. */
export function behaviourHelp(): string {
  const rows = BEHAVIOUR_NAMES.map((name) => [name, BEHAVIOURS[name].does])
  return `Behaviours, with ";" between them; replicas in brackets are n1, n2, ... or their ids 0, 1, ...:\n${table(['name', 'what the replica does'], rows)}`
}
