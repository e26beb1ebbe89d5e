import { parseArgs } from 'node:util'
import { type FaultSelection, simulate } from '../../chaos/sim/simulate.ts'

/**
 * Run inside a mutated copy of the tree: simulates seed after seed until a check complains. Prints one line of JSON, or
 * nothing when every seed was clean.
 */
const { values } = parseArgs({
  options: {
    from: { type: 'string', default: '1' },
    step: { type: 'string', default: '1' },
    seeds: { type: 'string', default: '100' },
    faults: { type: 'string', default: 'swarm' },
  },
})
const [from, step, seeds] = [values.from, values.step, values.seeds].map(Number) as [number, number, number]
const faults = (values.faults.includes(',') ? values.faults.split(',') : values.faults) as FaultSelection

for (let seed = from; seed <= seeds; seed += step) {
  const { failure } = attempt(seed)
  if (failure !== null) {
    process.stdout.write(`${JSON.stringify({ seed, ...failure })}\n`)
    break
  }
}

/** What is thrown out of a run is caught as well: a mutant may break more than the checks expect. */
function attempt(seed: number): {
  readonly failure: { readonly kind: string; readonly message: string } | null
} {
  try {
    const { failure } = simulate({ seed, faults })
    return { failure: failure ?? null }
  } catch (error) {
    return { failure: { kind: 'thrown', message: error instanceof Error ? error.message : String(error) } }
  }
}
