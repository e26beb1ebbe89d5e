import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { seq } from '../../../protocol/types.ts'
import { isVote } from '../../../replica/core/vote-record.ts'
import { Harness } from '../../scenarios/harness.ts'
import { CLIENTS, requestOf } from '../../scenarios/parties.ts'

/**
 * Crashes at every point of a run, and random schedules. The harness itself checks after each message that nothing
 * leaves before it is durable and that nobody contradicts what it said before a crash [D1].
 */

const REQUESTS = [1, 2, 3, 4, 5].map((number) =>
  requestOf({
    client: CLIENTS.alice,
    lane: number % 2,
    number,
    operations: [{ kind: 'transfer', from: 'a', to: 'b', amount: BigInt(number) }],
  }),
)
const EVERYBODY = [0, 1, 2, 3]

/** Clients ask until they have an answer; every replica that is up gets to the same state. */
function expectAllDone(cluster: Harness): void {
  for (const node of cluster.nodes) node.held.clear()
  for (const { id, isUp } of cluster.nodes) if (!isUp) cluster.restart(id)
  for (const id of EVERYBODY) {
    cluster.network.heal(id)
    cluster.node(id).advance('persist', Number.MAX_SAFE_INTEGER)
    cluster.node(id).advance('execute', Number.MAX_SAFE_INTEGER)
  }
  for (const id of EVERYBODY) cluster.connect(id)
  for (const lane of [0, 1]) {
    for (const request of REQUESTS.filter((one) => one.lane === lane)) {
      cluster.request(request, EVERYBODY)
      cluster.settle()
    }
  }
  cluster.settle(30)
  const rows = cluster.nodes.map(({ store }) => store.allRows())
  for (const row of rows) expect(row).toEqual(rows[0])
  // Every lane executed its last request.
  expect(rows[0]?.clients.map(({ lane, real }) => [lane, real?.number])).toEqual([
    [0, 4],
    [1, 5],
  ])
  expect(rows[0]?.accounts.reduce((sum, { balance }) => sum + balance, 0n)).toBe(0n)
}

/** Delivers all, one by one; `at` may interfere before each. */
function run(cluster: Harness, at: (step: number) => void): number {
  let step = 0
  for (const request of REQUESTS) {
    cluster.request(request, [0])
    do at(step++)
    while (cluster.deliverOne())
  }
  return step
}

describe('[D1] a replica that crashes at any point stands by what it said', () => {
  const steps = run(new Harness({ k: 2 }), () => {})

  for (const [who, id] of [
    ['a primary', 0],
    ['a backup', 1],
  ] as const) {
    test(`${who}, every record durable`, () => {
      for (let crashAt = 0; crashAt < steps; crashAt += 3) {
        const cluster = new Harness({ k: 2 })
        run(cluster, (step) => {
          if (step === crashAt) cluster.crash(id)
          if (step === crashAt + 7) cluster.restart(id)
        })
        expectAllDone(cluster)
      }
    })

    test(`${who}, with records on their way to the disk`, () => {
      for (let crashAt = 0; crashAt < steps; crashAt += 3) {
        const cluster = new Harness({ k: 2 })
        cluster.node(id).held.add('persist')
        run(cluster, (step) => {
          if (step % 5 === 0) cluster.node(id).advance('persist', 1 + (crashAt % 3))
          if (step === crashAt) cluster.crash(id)
          if (step === crashAt + 7) cluster.restart(id)
        })
        expectAllDone(cluster)
      }
    })
  }

  test('all of them at once', () => {
    for (let crashAt = 0; crashAt < steps; crashAt += 3) {
      const cluster = new Harness({ k: 2 })
      run(cluster, (step) => {
        if (step !== crashAt) return
        for (const id of EVERYBODY) cluster.crash(id)
        for (const id of EVERYBODY) cluster.restart(id)
      })
      expectAllDone(cluster)
    }
  })
})

type Action =
  | { readonly do: 'request'; readonly which: number; readonly to: number }
  | { readonly do: 'deliver'; readonly count: number }
  | { readonly do: 'drop' | 'duplicate'; readonly from: number }
  | { readonly do: 'reverse' | 'timeout' }
  | {
      readonly do: 'crash' | 'power-cut' | 'restart' | 'cut' | 'heal' | 'slow-disk' | 'slow-database'
      readonly id: number
    }
  | { readonly do: 'database'; readonly id: number; readonly keep: number }
  | { readonly do: 'progress'; readonly id: number; readonly count: number }

const idArb = fc.nat(3)
const actionArb: fc.Arbitrary<Action> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant('request' as const), which: fc.nat(4), to: idArb }) },
  {
    weight: 10,
    arbitrary: fc.record({ do: fc.constant('deliver' as const), count: fc.integer({ min: 1, max: 25 }) }),
  },
  fc.record({ do: fc.constantFrom('drop' as const, 'duplicate' as const), from: idArb }),
  fc.record({ do: fc.constantFrom('reverse' as const, 'timeout' as const) }),
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constantFrom(
        'crash' as const,
        'power-cut' as const,
        'restart' as const,
        'restart' as const,
        'cut' as const,
        'heal' as const,
        'slow-disk' as const,
        'slow-database' as const,
      ),
      id: idArb,
    }),
  },
  fc.record({ do: fc.constant('database' as const), id: idArb, keep: fc.nat(6) }),
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('progress' as const),
      id: idArb,
      count: fc.integer({ min: 1, max: 3 }),
    }),
  },
)

function act(cluster: Harness, action: Action): void {
  switch (action.do) {
    case 'request': {
      const request = REQUESTS[action.which]
      if (request !== undefined) cluster.request(request, [action.to])
      return
    }
    case 'deliver':
      for (let i = 0; i < action.count; i++) cluster.deliverOne()
      return
    case 'drop':
      cluster.network.drop({ from: [action.from] })
      return
    case 'duplicate':
      return cluster.network.duplicate({ from: [action.from] })
    case 'reverse':
      return cluster.network.reverse()
    case 'timeout':
      return cluster.timeout()
    case 'crash':
      return cluster.crash(action.id)
    case 'power-cut': {
      const marks = cluster.node(action.id).disk.durable.toReversed().findIndex(isVote)
      return cluster.crash(action.id, { lostMarks: Math.max(0, marks), database: seq(0) })
    }
    case 'restart':
      if (!cluster.node(action.id).isUp) cluster.restart(action.id)
      return
    case 'cut':
      return cluster.network.cut(action.id)
    case 'heal':
      return cluster.network.heal(action.id)
    case 'slow-disk':
      cluster.node(action.id).held.add('persist')
      return
    case 'slow-database':
      cluster.node(action.id).held.add('execute')
      return
    case 'database':
      if (cluster.node(action.id).isUp) cluster.node(action.id).restartDatabase(seq(action.keep))
      return
    case 'progress':
      cluster.node(action.id).advance('persist', action.count)
      cluster.node(action.id).advance('execute', action.count)
  }
}

describe('whatever the schedule', () => {
  test('[D1] [D4] [NC5] nobody contradicts itself, everything completes, all databases are equal', () => {
    fc.assert(
      fc.property(fc.array(actionArb, { minLength: 5, maxLength: 60 }), (actions) => {
        const cluster = new Harness({ k: 2, inFlightMax: 2 })
        for (const action of actions) act(cluster, action)
        expectAllDone(cluster)
      }),
      { numRuns: 150 },
    )
  })
})
