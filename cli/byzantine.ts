import { type Behaviour, BehaviourError, parseBehaviours } from '../replica/byzantine/behaviour.ts'
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
