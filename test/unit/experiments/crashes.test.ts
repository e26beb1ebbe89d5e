import { expect, test } from 'vitest'
import { runClosedLoop } from '../../../chaos/experiments/closed-loop.ts'
import { planCrashes } from '../../../chaos/experiments/crash-plan.ts'
import { Crashes } from '../../../chaos/experiments/crashes.ts'
import { drawIterations } from '../../../chaos/experiments/iterations.ts'
import { Progress } from '../../../chaos/experiments/progress.ts'
import { Watch } from '../../../chaos/experiments/watch.ts'
import { Random } from '../../../chaos/sim/random.ts'
import { reportOf, reportsOf } from './reports.ts'

const ITERATIONS = 100
const REPLICAS = 4

/** A cluster in which each write is a batch, a killed primary is replaced at once, and who returns is behind for some looks. */
class Cluster {
  readonly replicas = REPLICAS
  readonly progress = new Progress()
  readonly down = new Set<number>()
  readonly happened: string[] = []
  readonly #stoodAt = new Map<number, number>()
  readonly #looksBehind = new Map<number, number>()
  readonly #looksUntilBack: number
  #view = 0
  #seq = 0

  constructor(looksUntilBack: number) {
    this.#looksUntilBack = looksUntilBack
  }

  readonly watch = new Watch(async () => {
    const up = [0, 1, 2, 3].filter((id) => !this.down.has(id))
    return reportsOf(
      ...up.map((id) => reportOf(id, { view: this.#view, lastExecuted: this.#positionOf(id) })),
    )
  })

  #positionOf(id: number): number {
    const left = this.#looksBehind.get(id) ?? 0
    if (left === 0) return this.#seq
    this.#looksBehind.set(id, left - 1)
    return this.#stoodAt.get(id) ?? 0
  }

  async submit() {
    this.#seq += 1
    await new Promise((resolve) => setImmediate(resolve))
    return [{ kind: 'transferred' }]
  }

  async balance() {
    await new Promise((resolve) => setImmediate(resolve))
    return 0n
  }

  async killReplica(id: number) {
    this.happened.push(`kill ${id}${this.#view % REPLICAS === id ? ', the primary' : ''}`)
    this.down.add(id)
    this.#stoodAt.set(id, this.#seq)
    if (this.#view % REPLICAS === id) this.#view += 1
  }

  async startReplica(id: number) {
    this.happened.push(`start ${id}`)
    this.down.delete(id)
    this.#looksBehind.set(id, this.#looksUntilBack)
  }
}

async function runOn(cluster: Cluster, restarts: number) {
  const { progress, watch } = cluster
  const { signal } = new AbortController()
  const plan = planCrashes({ iterations: ITERATIONS, restarts })
  const crashes = new Crashes(plan, { target: cluster, watch, progress, random: new Random(1), signal })
  const drawn = drawIterations(ITERATIONS, { random: new Random(1), accounts: ['A', 'B'] })
  const hold = (iteration: number) => crashes.hold(iteration)
  const [loop, crashed] = await Promise.all([
    runClosedLoop(cluster, drawn, { concurrency: 1, progress, signal, hold }),
    crashes.run(),
  ])
  return { loop, crashed }
}

test.each([1, 2, 4])(
  '%d victims, one after the other, each down for a fifth of the iterations',
  async (restarts) => {
    const cluster = new Cluster(1)
    const { crashed } = await runOn(cluster, restarts)
    expect(crashed).toHaveLength(restarts)
    expect(crashed.map(({ wasPrimary }) => wasPrimary)).toEqual(
      Array.from({ length: restarts }, (_, i) => i % 2 === 0),
    )
    for (const { downFrom, downTo, missedBatches } of crashed) {
      expect(downTo - downFrom).toBeGreaterThanOrEqual(ITERATIONS / 5)
      expect(downTo).toBeLessThanOrEqual(ITERATIONS)
      expect(missedBatches).toBeGreaterThan(0)
    }
    expect(cluster.happened.map((what) => what.split(' ')[0])).toEqual(
      Array.from({ length: restarts }, () => ['kill', 'start']).flat(),
    )
    expect(cluster.down.size).toBe(0)
  },
)

test('the loop waits for a victim that is slow to return before the next is killed', async () => {
  const { loop, crashed } = await runOn(new Cluster(5), 2)
  expect(loop.heldMs).toBeGreaterThan(0)
  expect(crashed[1]?.downFrom).toBe(80)
})

test('a replica that does not start again fails the crashes, and holds nobody for ever', async () => {
  const cluster = new Cluster(1)
  cluster.startReplica = async () => {
    throw new Error('does not start')
  }
  await expect(runOn(cluster, 2)).rejects.toThrow('does not start')
})
