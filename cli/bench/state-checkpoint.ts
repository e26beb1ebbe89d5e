import { setImmediate } from 'node:timers/promises'
import type { Store } from '../../db/store.ts'
import { batchWith, transfersFrom } from './state-ledger.ts'

const TRANSFERS_PER_BATCH = 500
/** Beside the root's computation: as a replica executes under load. */
const TRANSFERS_BESIDE = 32

export type CheckpointCost = {
  /** From the call to the state's root, executing meanwhile. */
  readonly totalMs: number
  /** Until the next run may start. */
  readonly stoppedMs: number
  /** The longest that nothing else had a turn while the root was computed; of a second checkpoint, nothing executing. */
  readonly pauseMs: number
  /** Of the first checkpoint, without anything beside it. */
  readonly aloneMs: number
  /** Of this process meanwhile, user and system. */
  readonly aloneCpuMs: number
}

/** [CP3] Changes so many accounts and holds the state, twice: beside execution, and alone. */
export async function checkpointCost(
  store: Store,
  args: { readonly accounts: number; readonly changed: number; readonly lastExecuted: number },
): Promise<CheckpointCost & { readonly lastExecuted: number }> {
  const { accounts, changed } = args
  const first = Math.floor(args.lastExecuted * 7_919) % Math.max(1, accounts - 2 * changed)
  let at = await changeAccounts(store, { first, changed, lastExecuted: args.lastExecuted })
  const besideStartedMs = performance.now()
  const { stateRoot } = await store.takeCheckpoint()
  const stoppedMs = performance.now() - besideStartedMs
  let isDone = false
  const root = stateRoot.then(() => {
    isDone = true
    return performance.now() - besideStartedMs
  })
  while (!isDone)
    await store.execute([batchWith(++at, transfersFrom(first, TRANSFERS_BESIDE))], { durable: false })
  const totalMs = await root
  store.keepCheckpoints([])
  at = await changeAccounts(store, { first: first + changed, changed, lastExecuted: at })
  const cpuBefore = process.cpuUsage()
  const aloneStartedMs = performance.now()
  const alone = await store.takeCheckpoint()
  let isAlone = true
  const aloneRoot = alone.stateRoot.then(() => {
    isAlone = false
    return performance.now() - aloneStartedMs
  })
  let pauseMs = 0
  while (isAlone) {
    const turnMs = performance.now()
    await setImmediate()
    pauseMs = Math.max(pauseMs, performance.now() - turnMs)
  }
  const aloneMs = await aloneRoot
  const { user, system } = process.cpuUsage(cpuBefore)
  const aloneCpuMs = (user + system) / 1_000
  store.keepCheckpoints([])
  return { totalMs, stoppedMs, pauseMs, aloneMs, aloneCpuMs, lastExecuted: at }
}

/** Returns the last seq. */
export async function changeAccounts(
  store: Store,
  args: { readonly first: number; readonly changed: number; readonly lastExecuted: number },
): Promise<number> {
  let at = args.lastExecuted
  for (let done = 0; done < args.changed; done += 2 * TRANSFERS_PER_BATCH) {
    const count = Math.min(TRANSFERS_PER_BATCH, (args.changed - done) / 2)
    await store.execute([batchWith(++at, transfersFrom(args.first + done, count))], { durable: false })
  }
  return at
}
