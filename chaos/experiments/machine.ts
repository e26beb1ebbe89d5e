import { availableParallelism, cpus, totalmem } from 'node:os'
import type { ExperimentResult } from './result.ts'

/** What figures depend on, so that two files of them can be compared with open eyes. */
export const thisMachine = (): ExperimentResult['machine'] => ({
  cpu: cpus()[0]?.model.trim() ?? 'unknown',
  cores: availableParallelism(),
  memoryBytes: totalmem(),
  platform: `${process.platform} ${process.arch}`,
  node: process.version,
})
