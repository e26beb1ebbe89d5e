import { parseArgs } from 'node:util'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { campaign } from './campaign.ts'
import { TARGETS, targetNamed } from './targets.ts'

/**
 * `node test/fuzz/run.ts --target decoder|channel|core --seed S --inputs N`: exit code 1 when a property does not hold.
 * The rounds of a campaign are seeds of their own: `--seed` of the round that is named throws its inputs again.
 */
setFlagsFromString('--expose-gc')
const collectGarbage: unknown = runInNewContext('gc')

const { values } = parseArgs({
  options: {
    target: { type: 'string', default: 'decoder' },
    seed: { type: 'string', default: '1' },
    inputs: { type: 'string', default: '100000' },
  },
})
const target = targetNamed(values.target)
const [seed, inputs] = [Number(values.seed), Number(values.inputs)]
if (target === undefined || !Number.isSafeInteger(seed) || !Number.isSafeInteger(inputs) || inputs < 1) {
  console.error(`--target ${TARGETS.join('|')} --seed S --inputs N, S and N whole numbers`)
  process.exit(2)
}
const report = campaign(target, {
  seed,
  inputs,
  collectGarbage: () => {
    if (typeof collectGarbage === 'function') collectGarbage()
  },
  onProgress: ({ done, perSecond, heapBytes }) =>
    console.log(`${done} inputs, ${perSecond} a second, ${Math.round(heapBytes / 1e6)} MB after collection`),
})
for (const [what, times] of [...report.tally.counts].sort()) console.log(`  ${what}: ${times}`)
console.log(`${values.target}: ${report.done} inputs in ${Math.round(report.seconds)} s, seed ${seed}`)
if (report.failure !== null) {
  const { roundSeed, error } = report.failure
  console.error(error)
  console.error(`FAILED: --target ${values.target} --seed ${roundSeed} --inputs ${report.failure.inputs}`)
  process.exitCode = 1
} else console.log('no finding')
