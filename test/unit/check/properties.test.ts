import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { ConservationCheck } from '../../../chaos/check/properties/conservation.ts'
import { ExactlyOnceCheck } from '../../../chaos/check/properties/exactly-once.ts'
import { MonotonicityCheck } from '../../../chaos/check/properties/monotonicity.ts'
import { TransferStore } from '../../../chaos/check/replay/transfer-store.ts'
import { type ReplicaSample, readSamples, type Sample } from '../../../chaos/check/samples.ts'
import { SignaturePool, type SignedStatement } from '../../../chaos/check/signatures/pool.ts'
import type { TransferRow } from '../../../db/rows.ts'
import { lane, principalId, requestNumber, seq, ZERO_DIGEST } from '../../../protocol/types.ts'
import { genesisOf } from '../db/fixture.ts'
import { Parties } from './synthetic/run.ts'

describe('exactly once', () => {
  const executed = (...numbers: readonly (readonly [lane: number, number: number])[]) => {
    const check = new ExactlyOnceCheck()
    numbers.forEach(([onLane, number], i) => {
      check.onExecuted(i + 1, [
        { client: principalId(1000), lane: lane(onLane), number: requestNumber(number) },
      ])
    })
    return check.report()
  }

  test('numbers that rise along each lane', () => {
    expect(executed([0, 5], [1, 5], [0, 9])).toMatchObject({ verdict: 'pass', checked: { from: 1, to: 3 } })
  })

  test('a request that is executed twice, and one that is executed late', () => {
    expect(executed([0, 5], [0, 5]).findings[0]?.what).toBe(
      'request 1000/0/5 was executed at seq 1 and again at seq 2',
    )
    expect(executed([0, 5], [0, 4]).findings[0]?.what).toBe(
      'request 1000/0/4 was executed at seq 2, behind number 5 of its lane at seq 1',
    )
  })
})

const transferOf = (row: Partial<TransferRow>): TransferRow => ({
  seq: seq(1),
  index: 0,
  debit: 'a',
  credit: 'b',
  amount: 1n,
  debitEntry: 1,
  debitPrevious: null,
  creditEntry: 1,
  creditPrevious: null,
  ...row,
})

describe('conservation', () => {
  const judge = (transfers: readonly TransferRow[], accounts: Record<string, bigint>) => {
    const check = new ConservationCheck(genesisOf())
    const ledger = check.ledgerOf('the log', [])
    ledger.onTransfers(1, transfers)
    ledger.onAccounts(
      1,
      Object.entries(accounts).map(([id, balance]) => ({ id, balance })),
    )
    return check.report().findings.map(({ what }) => what)
  }
  const rest = { c: 0n, '@external': -150n }

  test('balances that are what the transfers made', () => {
    expect(judge([transferOf({})], { a: 99n, b: 51n, ...rest })).toEqual([])
  })

  test('money that is made, and an account that owes for a moment', () => {
    expect(judge([transferOf({})], { a: 100n, b: 51n, ...rest })).toEqual([
      'seq 1, the log: account a has 100, and its transfers make it 99',
      'seq 1, the log: the balances add up to 1, not to 0',
    ])
    const there = transferOf({ amount: 101n })
    const back = transferOf({ index: 1, debit: 'b', credit: 'a', amount: 101n })
    expect(judge([there, back], { a: 100n, b: 50n, ...rest })).toEqual([
      'seq 1, the log: transfer 1/0 leaves a with -1',
    ])
  })
})

describe('what replicas said of themselves', () => {
  const well: ReplicaSample = {
    replica: 1,
    pid: 7,
    view: 3,
    highestViewChange: 3,
    lastExecuted: 300,
    lowWaterMark: 256,
    isAmnesiac: false,
  }
  const judge = (...looks: readonly Partial<ReplicaSample>[]) => {
    const check = new MonotonicityCheck()
    for (const [i, look] of looks.entries()) check.onSample({ atMs: i, reports: [{ ...well, ...look }] })
    return check.tally.report()
  }

  test('goes forward, and a database falls back to its stable checkpoint at most', () => {
    expect(
      judge({}, { view: 4, highestViewChange: 4 }, { view: 4, highestViewChange: 5, pid: 8 }).findings,
    ).toEqual([])
    expect(judge({}, { lastExecuted: 256, pid: 8 })).toMatchObject({ findings: [], notes: [] })
  })

  test.each([
    ['a view', { view: 2 }, 'replica 1: its view went back from 3 to 2'],
    ['a view, across a restart', { view: 2, pid: 8 }, 'replica 1: its view went back from 3 to 2'],
    ['a VIEW-CHANGE', { highestViewChange: 2 }, 'replica 1: its highest VIEW-CHANGE went back from 3 to 2'],
    ['a low water mark', { lowWaterMark: 128 }, 'replica 1: its low water mark went back from 256 to 128'],
  ] as const)('%s that went back is found', (_, look, what) => {
    expect(judge({}, look).findings[0]?.what).toBe(what)
  })

  test('a replica that lost its log begins anew; a database that was lost is said', () => {
    expect(judge({}, { view: 0, highestViewChange: 0, isAmnesiac: true, pid: 8 }).findings).toEqual([])
    const lost = judge({}, { lastExecuted: 0, pid: 8 })
    expect(lost.findings).toEqual([])
    expect(lost.notes.join()).toContain('went back from seq 300 to 0, below its stable checkpoint 256')
  })

  test('a line that is no sample is named and left out', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'pbft-samples-'))
    const path = join(directory, 'samples.jsonl')
    await writeFile(path, `{"atMs":1,"reports":[]}\nnonsense\n{"atMs":2,"reports":[{"replica":0}]}\n`)
    const bad: string[] = []
    const samples: Sample[] = []
    for await (const sample of readSamples(path, (line, why) => bad.push(`${line}: ${why}`)))
      samples.push(sample)
    await rm(directory, { recursive: true })
    expect(samples).toEqual([{ atMs: 1, reports: [] }])
    expect(bad).toEqual([expect.stringMatching(/^2: /), '3: reports.0.pid is not a whole number'])
  })
})

describe('transfers in columns', () => {
  test('histories come newest first, below a seq, as they were put in', () => {
    const store = new TransferStore()
    const rows = Array.from({ length: 3_000 }, (_, i) =>
      transferOf({
        seq: seq(1 + Math.floor(i / 3)),
        index: i % 3,
        credit: i % 2 === 0 ? 'b' : '@external',
        amount: BigInt(i) * (i % 5 === 0 ? 2n ** 50n : 1n),
        debitEntry: i + 1,
        debitPrevious: i === 0 ? null : { seq: seq(1 + Math.floor((i - 1) / 3)), index: (i - 1) % 3 },
        creditEntry: Math.floor(i / 2) + 1,
      }),
    )
    for (const row of rows) store.push(row)
    const newest = rows.toReversed()
    expect(store.history({ account: 'a', before: null, count: 5 })).toEqual(newest.slice(0, 5))
    expect(store.history({ account: 'b', before: seq(11), count: 100 })).toEqual(
      newest.filter(({ seq: at, credit }) => at < 11 && credit === 'b'),
    )
    expect(store.history({ account: 'nobody', before: null, count: 5 })).toEqual([])
  })
})

describe('signatures', () => {
  const parties = new Parties({})
  const signed = (number: number, signer = 1): SignedStatement => {
    const statement = {
      type: 'commit',
      view: 0,
      seq: number,
      signer: principalId(signer),
      digests: [ZERO_DIGEST],
    } as const
    return { statement, signature: parties.sign(statement) }
  }

  test('are verified here and in threads alike, in the order asked', async () => {
    const pool = new SignaturePool(parties.genesis)
    try {
      const count = 5_000
      const asked = Array.from({ length: count / 10 }, (_, i) =>
        Array.from({ length: 10 }, (_, j) => {
          const one = signed(i * 10 + j, j % 4)
          // Every seventh is over something else.
          return (i * 10 + j) % 7 === 0 ? { ...one, statement: { ...one.statement, view: 1 } } : one
        }),
      )
      const answers = asked.map((statements) => pool.check(statements))
      await pool.drain()
      const valid = (await Promise.all(answers)).flatMap((answer) => [...answer])
      expect(valid).toEqual(Array.from({ length: count }, (_, i) => (i % 7 === 0 ? 0 : 1)))
      expect(pool.verified).toBe(count)
    } finally {
      await pool.close()
    }
  })

  test('of a principal that genesis does not know do not hold, nor those of a wrong length', async () => {
    const pool = new SignaturePool(parties.genesis)
    const one = signed(1)
    const stranger = { ...one, statement: { ...one.statement, signer: principalId(77) } }
    const short = { ...one, signature: one.signature.subarray(0, 10) }
    const answer = pool.check([stranger, one, short])
    pool.flush()
    expect([...(await answer)]).toEqual([0, 1, 0])
    await pool.close()
  })
})
