import { expect, test } from 'vitest'
import { requestOf as signedRequestOf } from '../../../protocol/signed.ts'
import { lane, replicaId, requestNumber, view } from '../../../protocol/types.ts'
import { told, transfer } from '../../paper/fixture.ts'
import { Harness } from '../../scenarios/harness.ts'
import { sign } from '../../scenarios/parties.ts'

/** What r3 signs, amnesiac or not. */
const recover = (number: number) => {
  const fields = { client: replicaId(3), lane: lane(0), number: requestNumber(number) }
  return signedRequestOf({ ...fields, operations: [{ kind: 'recover' as const, view: view(0) }] }, sign)
}
const started = (cluster: Harness) =>
  [0, 1, 2].flatMap((by) => told(cluster, by, 'view-change-started').map((text) => `r${by} ${text}`))

test('[D5] [NC8] a RECOVER that its primary refuses deposes nobody: backups that held it let go of it, too', () => {
  const cluster = new Harness({ k: 4 })
  for (const id of [1, 2]) cluster.node(id).held.add('execute')
  cluster.request(recover(5), [0])
  cluster.deliver()
  expect(cluster.executed().slice(0, 3)).toEqual([8, 0, 0])
  // The primary has executed the first, the backups have not: they take the second.
  cluster.request(recover(6), [1, 2])
  cluster.deliver()
  expect(told(cluster, 0, 'rejected')).toContain('rejected rate-limited from=r1')
  for (const id of [1, 2]) {
    cluster.node(id).held.delete('execute')
    cluster.node(id).advance('execute', Number.MAX_SAFE_INTEGER)
  }
  cluster.elapse(3_000)
  expect(started(cluster)).toEqual([])
  expect(cluster.executed()).toEqual([12, 12, 12, 12])
})

test('[D5] [NC8] nor does one that comes to a backup that has just restarted', () => {
  const cluster = new Harness({ k: 4 })
  cluster.request(recover(5), [0])
  cluster.deliver()
  cluster.crash(1)
  cluster.restart(1)
  cluster.deliver()
  cluster.request(recover(6), [1])
  cluster.elapse(3_000)
  expect(started(cluster)).toEqual([])
})

test('[D5] [NC8] nor to one that has just installed a state', () => {
  const cluster = new Harness({ k: 4 })
  cluster.crash(1)
  cluster.request(recover(5), [0])
  cluster.deliver()
  for (let number = 1; number <= 40; number++) {
    cluster.request(transfer(number), [0])
    cluster.deliver()
  }
  cluster.restart(1)
  cluster.settle()
  expect(told(cluster, 1, 'transfer-installed')).toHaveLength(1)
  cluster.request(recover(6), [1])
  cluster.elapse(2_000)
  expect(started(cluster)).toEqual([])
})

test('[D5] one that is asked for later is ordered', () => {
  const cluster = new Harness({ k: 4 })
  cluster.request(recover(5), [0, 1, 2])
  cluster.deliver()
  cluster.elapse(10_000)
  const before = cluster.executed()
  cluster.request(recover(6), [1])
  cluster.deliver()
  expect(cluster.executed()[0]).toBeGreaterThan(before[0] ?? 0)
  expect(started(cluster)).toEqual([])
})

/** r3 forgot, and voted again; then the RECOVER of an earlier run of it is executed, whose clock was ahead. */
function outlive(): Harness {
  const cluster = new Harness({ k: 4 })
  cluster.crash(3)
  cluster.node(3).wipeLog()
  cluster.restart(3, 1_000)
  cluster.settle(30)
  expect(told(cluster, 3, 'amnesiac-votes-again')).toHaveLength(1)
  cluster.elapse(11_000)
  return cluster
}

test('[D5] an earlier RECOVER of its own that is executed late does not silence a replica that votes', () => {
  const cluster = outlive()
  cluster.request(recover(900_000), [0, 1, 2])
  cluster.settle(5)
  // Without r0 every one of the others is needed to change the view.
  cluster.crash(0)
  const [, before = 0] = cluster.executed()
  cluster.request(transfer(1), [1, 2, 3])
  cluster.elapse(5_000)
  expect(cluster.executed().slice(1)).toEqual([before + 1, before + 1, before + 1])
})

test('[D5] [D1] nor in the middle of a view change, nor after a restart', () => {
  const cluster = outlive()
  // All are in the view change when the last of them executes it.
  cluster.node(3).held.add('execute')
  cluster.request(recover(900_000), [0, 1, 2])
  cluster.deliver()
  cluster.crash(0)
  const before = cluster.executed()[1] ?? 0
  cluster.request(transfer(1), [1, 2, 3])
  cluster.elapse(600)
  cluster.node(3).held.delete('execute')
  cluster.node(3).advance('execute', Number.MAX_SAFE_INTEGER)
  cluster.elapse(20_000)
  expect(cluster.executed()[1]).toBeGreaterThan(before)
  cluster.crash(3)
  cluster.restart(3, 2_000)
  expect(cluster.node(3).core?.position.isAmnesiac).toBe(false)
  const view = cluster.node(1).core?.position.primary ?? -1
  const [one, other] = [1, 2, 3].filter((id) => id !== view)
  cluster.restart(0)
  cluster.settle(5)
  cluster.crash(view)
  const executed = cluster.executed()[one ?? 0] ?? 0
  cluster.request(transfer(2), [0, one ?? 0, other ?? 0])
  cluster.elapse(20_000)
  expect(cluster.executed()[one ?? 0]).toBeGreaterThan(executed)
})
