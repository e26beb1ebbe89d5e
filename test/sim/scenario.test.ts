import { describe, expect, test } from 'vitest'
import { parseScenario } from '../../chaos/scenario/file/parse.ts'
import type { TransactionRecord } from '../../chaos/scenario/outcome.ts'
import { type ScenarioResult, ScenarioRun } from '../../chaos/scenario/run-scenario.ts'
import { CLIENTS, describeTransaction, OPENING_BALANCE } from '../../chaos/scenario/scenario.ts'
import { SimStage } from '../../chaos/scenario/sim/sim-stage.ts'

const ALL = 'n1,n2,n3,n4,n5,n6,n7'

type Row = { live?: string; byzantine?: string; attack?: string }
/** A set in the form of a file. */
const set = (number: number, transactions: readonly string[], row: Row = {}): string => {
  const [first = '', ...rest] = transactions
  const { live = ALL, byzantine = '', attack = '' } = row
  return [
    `${number},"${first}","[${live}]","[${byzantine}]","[${attack}]"`,
    ...rest.map((one) => `,"${one}",,,`),
  ].join('\n')
}

type Options = { keepState?: boolean; concurrent?: boolean; onMessage?: (line: string) => void }
async function play(sets: readonly string[], options: Options = {}): Promise<ScenarioResult[]> {
  const { keepState = false, concurrent = false, onMessage } = options
  const text = ['Set Number,Transactions,Live,Byzantine,Attack', ...sets].join('\n')
  const stage = new SimStage({ keepState, onMessage })
  const run = new ScenarioRun(parseScenario({ name: 'test.csv', text }), stage, {
    keepState,
    concurrent,
    patienceMs: 10_000,
  })
  const results: ScenarioResult[] = []
  for (const one of run.sets) results.push(await run.run(one))
  return results
}
const playOne = async (...args: Parameters<typeof set>): Promise<ScenarioResult> => {
  const [result] = await play([set(...args)])
  if (result === undefined) throw new Error('no set was played')
  return result
}

/** Of each transaction, what became of it, in short. */
const fates = ({ records }: ScenarioResult): string[] => records.map(fateOf)
const fateOf = ({ transaction, fate }: TransactionRecord): string => {
  const what = describeTransaction(transaction)
  switch (fate.kind) {
    case 'executed':
      return `${what} ${fate.isTold ? 'executed' : 'executed untold'}: ${fate.fromBalance} ${fate.toBalance}`
    case 'refused':
      return `${what} ${fate.code}`
    case 'balance':
      return `${what} has ${fate.balance}`
    default:
      return `${what} ${fate.kind}`
  }
}

/** In a replica's database: who has another balance than at the beginning. */
const changed = ({ evidence }: ScenarioResult, replica: number): Record<string, number> => {
  const { balances } = evidence.replicas[replica] ?? {}
  const entries = CLIENTS.map((name) => [name, balances?.get(name)] as const)
  return Object.fromEntries(
    entries.flatMap(([name, balance]) => (balance === OPENING_BALANCE ? [] : [[name, Number(balance)]])),
  )
}
const verdicts = (results: readonly ScenarioResult[]): string[] => results.map(({ verdict }) => verdict)

describe('a set', () => {
  test('transfers in their order, a read of what they made, an overdraft refused', async () => {
    const result = await playOne(1, ['(A, C, 5)', '(C, E, 15)', '(C, E, 1)', '(E)', '(E, A, 25)', '(C)'])
    expect(fates(result)).toEqual([
      '(A, C, 5) executed: 5 15',
      '(C, E, 15) executed: 0 25',
      '(C, E, 1) insufficient-funds',
      '(E) has 25',
      '(E, A, 25) executed: 0 30',
      '(C) has 0',
    ])
    expect(result).toMatchObject({ verdict: 'pass', reasons: [] })
    for (const { replica } of result.evidence.replicas) {
      expect(changed(result, replica)).toEqual({ A: 30, C: 0, E: 0 })
    }
  })

  test('n1 is down: the others change to view 1, and all is executed', async () => {
    const result = await playOne(1, ['(A, B, 1)', '(B)'], { live: 'n2,n3,n4,n5,n6,n7' })
    expect(fates(result)).toEqual(['(A, B, 1) executed: 9 11', '(B) has 11'])
    expect(result.verdict).toBe('pass')
    expect(changed(result, 0)).toEqual({})
    const entered = result.evidence.replicas.map(({ records }) =>
      records.flatMap((record) => (record.kind === 'new-view' ? [record.message.view] : [])),
    )
    expect(entered).toEqual([[], [1], [1], [1], [1], [1], [1]])
  })

  test.each([
    ['sign', 'n1,n3'],
    ['crash', 'n1,n2'],
    ['time', 'n1'],
    ['dark(n3,n4)', 'n1,n2'],
    ['equivocation(n5,n6)', 'n1,n2'],
    ['time; dark(n6); equivocation(n7); sign', 'n1,n3'],
  ])('f liars do %s: every transaction is answered, the correct ones agree', async (attack, byzantine) => {
    const lying = await playOne(1, ['(A, B, 4)', '(B, C, 14)', '(C)'], { byzantine, attack })
    expect(fates(lying)).toEqual(['(A, B, 4) executed: 6 14', '(B, C, 14) executed: 0 24', '(C) has 24'])
    expect(lying).toMatchObject({ verdict: 'pass', reasons: [] })
  })

  test('a dark replica is sent nothing, and the attack is seen on the wire', async () => {
    const sentTo = async (attack: string) => {
      const { evidence } = await playOne(1, ['(A, B, 1)'], { byzantine: 'n2', attack })
      return new Set(
        evidence.replicas[6]?.messages.flatMap((line) =>
          'direction' in line && line.direction === 'received' ? [line.peer] : [],
        ),
      )
    }
    expect((await sentTo('dark(n7)')).has(1)).toBe(false)
    expect((await sentTo('dark(n6)')).has(1)).toBe(true)
  })
})

describe('without a quorum', () => {
  test.each([
    ['four of seven live', { live: 'n1,n2,n3,n4' }],
    ['one live', { live: 'n5' }],
    ['nobody live', { live: '' }],
    [
      'five live, one of them votes for nothing',
      { live: 'n1,n2,n3,n4,n5', byzantine: 'n5', attack: 'crash' },
    ],
    ['three liars sign nothing that holds', { byzantine: 'n2,n3,n4', attack: 'sign' }],
  ])('%s: transfers are reported as not executed, and are not', async (_, row) => {
    const result = await playOne(4, ['(A, B, 1)', '(B, C, 2)', '(A, C, 20)'], row)
    expect(fates(result)).toEqual([
      '(A, B, 1) not-executed',
      '(B, C, 2) not-executed',
      '(A, C, 20) not-executed',
    ])
    for (const { replica } of result.evidence.replicas) expect(changed(result, replica)).toEqual({})
    expect(result).toMatchObject({ verdict: 'pass', reasons: [] })
  })

  test('f+1 say nothing, the primary is one of them: it proposes, and nothing is committed', async () => {
    const transfers = CLIENTS.map((name) => `(${name}, ${name === 'A' ? 'B' : 'A'}, 1)`)
    const row = { byzantine: 'n1,n2,n3', attack: 'crash' }
    const [result] = await play([set(1, transfers, row)], { concurrent: true })
    expect(result && fates(result)).toEqual(transfers.map((one) => `${one} not-executed`))
    expect(result?.evidence.replicas.slice(3).map(({ lastExecuted }) => lastExecuted)).toEqual([0, 0, 0, 0])
  })

  test('a read that nobody can vouch for has no answer', async () => {
    expect(fates(await playOne(1, ['(A)'], { live: 'n1,n2,n3,n4' }))).toEqual(['(A) not-executed'])
  })

  test('--keep-state: what is held by some is not executed, and is once, when there is a quorum again', async () => {
    const [before, without, after] = await play(
      [
        set(1, ['(A, B, 1)']),
        set(2, ['(A, B, 2)'], { live: 'n1,n2,n3,n4' }),
        set(3, ['(A)', '(B)', '(A, B, 3)']),
      ],
      { keepState: true },
    )
    expect(before && fates(before)).toEqual(['(A, B, 1) executed: 9 11'])
    expect(without && fates(without)).toEqual(['(A, B, 2) not-executed'])
    expect(without && changed(without, 0)).toEqual({ A: 9, B: 11 })
    expect(after?.late).toMatchObject([{ set: 2, transaction: { amount: 2n } }])
    expect(after && changed(after, 6)).toEqual({ A: 4, B: 16 })
    expect(after?.verdict).toBe('pass')
  })
})

describe('from set to set', () => {
  const SETS = [set(3, ['(A, B, 10)']), set(8, ['(A, B, 1)', '(B)'])]

  test('each begins with 10 everywhere', async () => {
    const [, second] = await play(SETS)
    expect(second && fates(second)).toEqual(['(A, B, 1) executed: 9 11', '(B) has 11'])
  })

  test('--keep-state: it goes on where the one before ended', async () => {
    const [, second] = await play(SETS, { keepState: true })
    expect(second && fates(second)).toEqual(['(A, B, 1) insufficient-funds', '(B) has 20'])
  })

  test('--keep-state: who was down comes back and catches up; who lied is honest again', async () => {
    const results = await play(
      [
        set(1, ['(A, B, 1)', '(B, C, 1)'], { live: 'n1,n2,n3,n4,n5,n6', byzantine: 'n1', attack: 'sign' }),
        set(2, ['(A, B, 1)']),
        set(3, ['(A, B, 1)'], { live: 'n3,n4,n5,n6,n7' }),
      ],
      { keepState: true },
    )
    expect(verdicts(results)).toEqual(['pass', 'pass', 'pass'])
    const [first, second, third] = results.map(({ evidence }) =>
      evidence.replicas.map(({ lastExecuted }) => lastExecuted),
    )
    expect(first?.[6]).toBe(0)
    expect(new Set(second).size).toBe(1)
    expect(third?.[6]).toBeGreaterThan(second?.[6] ?? 0)
    expect(third?.[0]).toBe(second?.[0])
  })

  test('checkpoints every 10: the log is cut, and one that was away is level again', async () => {
    const many = Array.from({ length: 25 }, (_, i) => (i % 2 === 0 ? '(A, B, 1)' : '(B, A, 1)'))
    const [first, second] = await play([set(1, many, { live: 'n1,n2,n3,n4,n5,n6' }), set(2, ['(C, D, 1)'])], {
      keepState: true,
    })
    const stable = first?.evidence.replicas[0]?.records.flatMap((one) =>
      one.kind === 'stable' ? [one.seq] : [],
    )
    expect(stable).toEqual([10, 20])
    expect(second && changed(second, 6)).toEqual({ A: 9, B: 11, C: 9, D: 11 })
    expect(second?.verdict).toBe('pass')
  })
})

describe('--concurrent', () => {
  const TRANSFERS = ['(A, J, 1)', '(B, J, 1)', '(A, J, 2)', '(C, J, 1)', '(B)', '(A, J, 9)']

  test('senders overlap, each waits for its own answer, and the report keeps the order of the file', async () => {
    const [result] = await play([set(1, TRANSFERS)], { concurrent: true })
    const records = result?.records ?? []
    expect(records.map(({ transaction }) => describeTransaction(transaction))).toEqual(TRANSFERS)
    const endOf = (at: number) => (records[at]?.startedMs ?? 0) + (records[at]?.elapsedMs ?? 0)
    expect(records.map(({ startedMs }) => startedMs === 0)).toEqual([true, true, false, true, false, false])
    expect(records[2]?.startedMs).toBeGreaterThanOrEqual(endOf(0))
    expect(records[5]?.startedMs).toBeGreaterThanOrEqual(endOf(2))
    expect(result && fates(result)[5]).toBe('(A, J, 9) insufficient-funds')
    expect(result && changed(result, 0)).toEqual({ A: 7, B: 9, C: 9, J: 15 })
  })

  test('in the order of the file nothing overlaps', async () => {
    const { records } = await playOne(1, TRANSFERS)
    for (const [at, { startedMs }] of records.entries()) {
      const before = records[at - 1]
      if (before !== undefined) expect(startedMs).toBeGreaterThanOrEqual(before.startedMs + before.elapsedMs)
    }
  })
})

describe('the verdict is about the correct replicas', () => {
  test.each(['crash', 'time', 'sign', ''])(
    'all lie (%s): nobody can be judged, and it is no pass',
    async (attack) => {
      const result = await playOne(1, ['(A, B, 1)', '(A)'], { byzantine: ALL, attack })
      expect(result.verdict).toBe('unknown')
      expect(result.reasons).toEqual(['every replica lied: there is no correct one to judge'])
    },
  )

  test('--keep-state: who lied once is judged no more, and all others are', async () => {
    const each = ['n1', 'n2', 'n3', 'n4', 'n5', 'n6'].map((byzantine, at) =>
      set(at + 1, ['(A, B, 1)'], { byzantine, attack: 'crash' }),
    )
    const seventh = set(7, ['(A, B, 1)'], { byzantine: 'n7', attack: 'crash' })
    const results = await play([...each, seventh], { keepState: true })
    expect(verdicts(results)).toEqual(['pass', 'pass', 'pass', 'pass', 'pass', 'pass', 'unknown'])
    expect(results.at(-1) && fates(results.at(-1) as ScenarioResult)).toEqual(['(A, B, 1) executed: 3 17'])
  })
})

test('equal files make equal runs, message by message', async () => {
  const trace = async () => {
    const lines: string[] = []
    const sets = [set(1, ['(A, B, 1)', '(B, C, 2)'], { byzantine: 'n1', attack: 'equivocation(n6,n7)' })]
    await play(sets, { onMessage: (line) => lines.push(line) })
    return lines
  }
  const [first, second] = [await trace(), await trace()]
  expect(first.length).toBeGreaterThan(50)
  expect(first).toEqual(second)
})
