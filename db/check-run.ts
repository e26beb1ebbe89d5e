import type { BatchAt, Position } from './store.ts'
import { StoreError } from './store.ts'

/**
 * [D3] A run is consecutive, starts right behind what was executed, and does not cross a multiple of K.
 * @throws StoreError 'broken': the caller lost count, which is this process' own fault.
 */
export function checkRun(run: readonly BatchAt[], position: Position, checkpointInterval: number): void {
  const first = position.lastExecuted + 1
  run.forEach(({ seq }, i) => {
    if (seq !== first + i) throw new StoreError('broken', `execute: seq ${seq} where ${first + i} is next`)
    if (seq % checkpointInterval === 0 && i < run.length - 1) {
      throw new StoreError('broken', `execute: a run crosses the checkpoint at seq ${seq}`)
    }
  })
}
