import { readFile } from 'node:fs/promises'
import * as v from 'valibot'

const FORMAT = 'pbft-experiment-iterations'

const count = v.pipe(v.number(), v.integer(), v.minValue(0))
const percentilesSchema = v.object({ p50: v.number(), p95: v.number(), p99: v.number(), max: v.number() })
export type Percentiles = v.InferOutput<typeof percentilesSchema>

const runSchema = v.object({
  iterations: count,
  restarts: count,
  concurrency: count,
  seed: count,
  run: count,
  hasFaultPlan: v.boolean(),
  /** K of its cluster. */
  checkpointInterval: count,
  reads: count,
  writes: count,
  refused: count,
  retried: count,
  unanswered: count,
  /** The client's loop alone: neither start nor end of the cluster, nor the time that the loop was held. */
  seconds: v.number(),
  heldSeconds: v.number(),
  viewChanges: count,
  crashes: v.array(
    v.object({
      replica: count,
      wasPrimary: v.boolean(),
      downFrom: count,
      downTo: count,
      missedBatches: count,
      backAfterMs: count,
    }),
  ),
  stateTransfers: count,
  batchesCaughtUp: count,
  latencyMs: v.object({ read: percentilesSchema, write: percentilesSchema }),
  verdict: v.picklist(['pass', 'fail', 'unknown']),
  why: v.array(v.string()),
  /** The cluster's, kept when the verdict is not 'pass'. */
  directory: v.nullable(v.string()),
})
type Parsed = v.InferOutput<typeof runSchema>
export type RunResult = Omit<Parsed, 'crashes' | 'why'> & {
  readonly crashes: readonly Parsed['crashes'][number][]
  readonly why: readonly string[]
}

/** A file of results. */
const resultSchema = v.object({
  format: v.literal(FORMAT, 'is no result of `pbft experiment iterations`'),
  version: v.literal(1, 'is of another version of pbft-ledger'),
  startedAt: v.string(),
  command: v.string(),
  machine: v.object({
    cpu: v.string(),
    cores: count,
    memoryBytes: count,
    platform: v.string(),
    node: v.string(),
  }),
  settings: v.object({
    replicas: count,
    accounts: count,
    concurrency: count,
    seed: count,
    postgres: v.string(),
    faultPlan: v.nullable(v.string()),
    /** Fsync costs nothing there. */
    isInMemory: v.boolean(),
  }),
  /** False when it was ended by a signal, or a cluster failed: runs are missing. */
  isComplete: v.boolean(),
  runs: v.array(runSchema),
})
type ParsedResult = v.InferOutput<typeof resultSchema>
export type ExperimentResult = Omit<ParsedResult, 'runs'> & { readonly runs: readonly RunResult[] }

export const newResult = (parts: Omit<ExperimentResult, 'format' | 'version'>): ExperimentResult => ({
  format: FORMAT,
  version: 1,
  ...parts,
})

export class ResultFileError extends Error {
  override name = 'ResultFileError'
}

/** @throws ResultFileError naming the file and the field */
export async function readResult(path: string): Promise<ExperimentResult> {
  let parsed: unknown
  try {
    parsed = JSON.parse(await readFile(path, 'utf8'))
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new ResultFileError(`${path}: cannot be read: ${why}. It must be what --out wrote.`, { cause })
  }
  const checked = v.safeParse(resultSchema, parsed)
  if (checked.success) return checked.output
  const [issue] = checked.issues
  throw new ResultFileError(`${path}: ${v.getDotPath(issue) ?? 'the file'}: ${issue.message}`)
}
