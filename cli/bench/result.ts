import type { Workload } from '../../chaos/workload/operations.ts'
import { table } from '../../client/format.ts'
import { grouped } from '../words.ts'

export type BenchResult = {
  readonly workload: Workload
  readonly clients: number
  readonly concurrency: number
  readonly accounts: number
  readonly seconds: number
  readonly throughputOps: number
  readonly latencyMs: {
    readonly p50: number
    readonly p95: number
    readonly p99: number
    readonly max: number
  }
  readonly operations: number
  /** Of the operations: those that the bank refused. */
  readonly refused: number
  /** Calls without an answer. */
  readonly errors: number
  readonly batchOperationsMean: number
  /** By process: replicas, their databases, the client. */
  readonly cpuUsPerOperation: Readonly<Record<string, number>>
  readonly memoryBytes: Readonly<Record<string, number>>
}

const MEBIBYTE = 2 ** 20

export function printResult(result: BenchResult): void {
  const { latencyMs, operations, refused, errors, batchOperationsMean, cpuUsPerOperation, memoryBytes } =
    result
  const out = (line: string) => process.stdout.write(`${line}\n`)
  const ms = (value: number) => value.toFixed(value < 10 ? 2 : 1)
  out('')
  out(`throughput  ${grouped(result.throughputOps)} operations/s`)
  out(
    `latency     p50 ${ms(latencyMs.p50)}  p95 ${ms(latencyMs.p95)}  p99 ${ms(latencyMs.p99)}  max ${ms(latencyMs.max)} ms`,
  )
  out(
    `operations  ${grouped(operations)} in ${result.seconds.toFixed(1)} s, ${refused} of them refused; ${errors} without an answer`,
  )
  out(`mean batch  ${batchOperationsMean.toFixed(1)} operations\n`)
  const total = Object.values(cpuUsPerOperation).reduce((sum, cost) => sum + cost, 0)
  const rows = [...Object.entries(cpuUsPerOperation), ['all', total] as const].map(([process, cost]) => {
    const memory = memoryBytes[process]
    return [
      process,
      `${Math.round(cost)}`,
      memory === undefined ? '' : `${Math.round(memory / MEBIBYTE)} MiB`,
    ]
  })
  out(table(['process', 'CPU µs per operation', 'resident'], rows))
}
