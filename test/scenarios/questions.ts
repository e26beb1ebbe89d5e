import type { Harness } from './harness.ts'
import { grouped, tellRecord } from './narration.ts'

/** What a scenario may ask of a cluster, one line each. */

/** Chains as letters: which replicas have the same one, whatever it is made of. */
export function statesOf({ nodes }: Harness): string[] {
  const chains = [...new Set(nodes.map(({ core }) => core?.position.chain))]
  const lines = nodes.map(({ id, core, isUp }) => {
    if (core === null) return { by: id, text: 'down' }
    if (!isUp) return { by: id, text: 'halted' }
    const { lowWaterMark, lastExecuted, chain } = core.position
    return {
      by: id,
      text: `h=${lowWaterMark} executed=${lastExecuted} chain=${'ABCDEFG'[chains.indexOf(chain)]}`,
    }
  })
  return grouped(lines)
}

/** The view that each has entered, and the one that it wants. */
export function viewsOf({ nodes }: Harness): string[] {
  const lines = nodes.map(({ id, core, isUp }) => {
    if (core === null || !isUp) return { by: id, text: core === null ? 'down' : 'halted' }
    const { view, highestViewChange } = core.position
    return { by: id, text: highestViewChange > view ? `v=${view}->${highestViewChange}` : `v=${view}` }
  })
  return grouped(lines)
}

/** [NC8] How long a primary has. */
export const patienceOf = ({ nodes }: Harness): string[] =>
  grouped(
    nodes.flatMap(({ id, core }) =>
      core === null ? [] : [{ by: id, text: `T=${core.position.timeoutMs}` }],
    ),
  )

/** How long each timer still runs; STATUS always does. */
export function timersOf(cluster: Harness, at: readonly number[] | undefined): string[] {
  const nodes = at?.map((id) => cluster.node(id)) ?? cluster.nodes
  const lines = nodes.map(({ id, timers }) => {
    const running = [...timers].filter(([timer]) => timer !== 'status').sort()
    const told = running.map(([timer, dueMs]) => `${timer} in ${dueMs - cluster.nowMs} ms`)
    return { by: id, text: told.length === 0 ? 'no timer' : told.join(', ') }
  })
  return grouped(lines)
}

export function logOf(cluster: Harness, at: readonly number[] | undefined): string[] {
  const [id = 0] = at ?? []
  const { durable, all } = cluster.node(id).disk
  return all.map((record, i) => `${tellRecord(record)}${i < durable.length ? '' : ' (not durable)'}`)
}
