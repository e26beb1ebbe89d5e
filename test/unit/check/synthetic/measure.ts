import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { checkRun } from '../../../../chaos/check/check-run.ts'
import { makeRun } from './run.ts'

/**
 * How long a check takes, and what memory: `node test/unit/check/synthetic/measure.ts BATCHES REQUESTS OPERATIONS
 * [DIRECTORY]`. The run is made first, or found in DIRECTORY; only the check is measured.
 */
const [batches = 1_000, requestsPerBatch = 4, operationsPerRequest = 4] = process.argv.slice(2, 5).map(Number)
const kept = process.argv[5]
const directory = kept ?? mkdtempSync(join(tmpdir(), 'pbft-measure-'))
const mode = process.argv[6] ?? 'both'

if (mode !== 'check') {
  const options = {
    batches,
    requestsPerBatch,
    operationsPerRequest,
    accounts: 1_000,
    checkpointInterval: 128,
  }
  await makeRun(directory, options)
}
if (mode !== 'make') {
  const startedMs = performance.now()
  const report = await checkRun(directory)
  const seconds = (performance.now() - startedMs) / 1_000
  const { maxRSS, userCPUTime, systemCPUTime } = process.resourceUsage()
  const { verdict, operations, signatures, calls } = report
  console.log(
    JSON.stringify({
      verdict,
      operations,
      signatures,
      calls,
      seconds,
      cpuSeconds: (userCPUTime + systemCPUTime) / 1e6,
      maxRssMiB: maxRSS / 1_024,
    }),
  )
  if (verdict !== 'pass') console.log(JSON.stringify(report.properties, null, 1))
}
if (kept === undefined) rmSync(directory, { recursive: true })
