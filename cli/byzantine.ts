import {
  CLIENT_BEHAVIOUR_NAMES,
  CLIENT_BEHAVIOURS,
  type ClientBehaviour,
  parseClientBehaviours,
} from '../client/byzantine/behaviour.ts'
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
export const readBehaviours = (text: string, cluster: { readonly replicas: number }): Behaviour[] =>
  named('--byzantine', () => parseBehaviours(text, cluster))

/** @throws UsageError */
export const readClientBehaviours = (
  text: string,
  cluster: { readonly replicas: number },
): ClientBehaviour[] => named('--byzantine-clients', () => parseClientBehaviours(text, cluster))

function named<T>(option: string, parse: () => T): T {
  try {
    return parse()
  } catch (error) {
    if (error instanceof BehaviourError) throw new UsageError(`${option}: ${error.message}`, { cause: error })
    throw error
  }
}

/** For --help: every behaviour, and how they are written. */
export function behaviourHelp(): string {
  const rows = BEHAVIOUR_NAMES.map((name) => [name, BEHAVIOURS[name].does])
  return `Behaviours, with ";" between them; replicas in brackets are n1, n2, ... or their ids 0, 1, ...:\n${table(['name', 'what the replica does'], rows)}`
}

/** The same of lying clients. */
export function clientBehaviourHelp(): string {
  const rows = CLIENT_BEHAVIOUR_NAMES.map((name) => [name, CLIENT_BEHAVIOURS[name].does])
  return `What lying clients do, with ";" between them:\n${table(['name', 'what the client does'], rows)}`
}
