import { cpSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { check } from '../../../chaos/check/check.ts'
import { ProofCheck } from '../../../chaos/check/properties/proof.ts'
import { sourcesOfRun } from '../../../chaos/check/run-sources.ts'
import { replicaPaths, runPaths } from '../../../chaos/run/layout.ts'
import { batchOf, NULL_BATCH } from '../../../protocol/signing.ts'
import { type Digest, type replicaId, seq, view, ZERO_DIGEST } from '../../../protocol/types.ts'
import type { VoteRecord } from '../../../replica/core/vote-record.ts'
import { editTable, editText, failuresOf, judged, propertyOf, Runs, textOf } from './synthetic/fixture.ts'

const runs = new Runs()
const BATCHES = 40
let whole = ''
beforeAll(async () => {
  whole = await runs.make({ batches: BATCHES })
})
afterAll(() => runs.remove())

const segmentOf = (run: string, replica: number): string => {
  const { votes } = replicaPaths(run, replica)
  const [name] = readdirSync(votes).filter((one) => one.startsWith('votes-'))
  return join(votes, name ?? '')
}

const withSignatureFlipped = (signature: Uint8Array): Uint8Array =>
  Uint8Array.from(signature, (byte, i) => (i === 5 ? byte ^ 1 : byte))

describe('agreement', () => {
  test('two logs that mark different batches at one seq', async () => {
    const other = batchOf([])
    const run = await runs.make({
      batches: 20,
      recordsOf: (records, { seq, replica }) =>
        records.map((record) =>
          record.kind === 'committed' && seq === 9 && replica === 3
            ? { ...record, digest: other.digest }
            : record,
        ),
    })
    const report = await judged(run)
    expect(failuresOf(report)).toContain('agreement')
    const text = textOf(report, 'agreement')
    expect(text).toMatch(/seq 9: [0-9a-f]{16} and [0-9a-f]{16} are all marked committed/)
    expect(text).toMatch(
      /in the logs of replicas 0, 1 and 2, with COMMITs of replicas 0, 1, 2 and 3 in view 0/,
    )
    expect(text).toMatch(/in the logs of replica 3, with COMMITs of/)
  })

  test('two batches that are prepared in one view', async () => {
    const other = batchOf([])
    const run = await runs.make({
      batches: 20,
      recordsOf: (records, { seq, replica }) =>
        records.map((record) =>
          record.kind === 'prepared' && seq === 9 && replica === 3
            ? { ...record, header: { ...record.header, digest: other.digest } }
            : record,
        ),
    })
    expect(textOf(await judged(run), 'agreement')).toMatch(/seq 9: .* are all prepared in view 0/)
  })
})

describe('proof', () => {
  test('too few COMMITs in one log are made up for by those in the others', async () => {
    const report = await judged(
      await runs.make({
        batches: 20,
        recordsOf: (records) => withCommits(records, (commits) => commits.slice(0, 1)),
      }),
    )
    expect(report.verdict).toBe('pass')
    expect(propertyOf(report, 'proof').notes[0]).toBe(
      '20 by q COMMITs, 0 by the word of 2 replicas, 0 under a CHECKPOINT',
    )
  })

  test('without any COMMIT the word of f+1 replicas serves', async () => {
    const report = await judged(
      await runs.make({ batches: 20, recordsOf: (records) => withCommits(records, () => []) }),
    )
    expect(report.verdict).toBe('pass')
    expect(propertyOf(report, 'proof').notes[0]).toContain('20 by the word of 2 replicas')
  })

  test('a batch that one replica alone marks and executed is proven by nothing, unless a CHECKPOINT covers it', async () => {
    const recordsOf = (records: readonly VoteRecord[], { replica }: { replica: number }) =>
      replica === 0 ? withCommits(records, () => []) : []
    const executedBy = (replica: number) => (replica === 0 ? 20 : 0)
    const report = await judged(await runs.make({ batches: 20, recordsOf, executedBy }))
    expect(failuresOf(report)).toEqual(['proof'])
    expect(textOf(report, 'proof')).toMatch(/seq 17: nothing proves that batch [0-9a-f]{16} was committed/)
    expect(textOf(report, 'proof')).not.toMatch(/seq 16: nothing/)
    expect(propertyOf(report, 'proof').notes[0]).toContain('16 under a CHECKPOINT')
  })

  test('the word of a replica that lost its log does not count until it votes again', async () => {
    const recordsOf = (
      records: readonly VoteRecord[],
      { seq, replica }: { seq: number; replica: number },
    ) => {
      if (replica > 1) return []
      const kept = withCommits(records, () => []).filter(
        ({ kind }) => kind !== 'checkpoint' && kind !== 'stable',
      )
      const amnesia: VoteRecord[] = replica === 1 && seq === 1 ? [{ kind: 'amnesia' }] : []
      return [...amnesia, ...kept]
    }
    const executedBy = (replica: number) => (replica > 1 ? 0 : 5)
    expect(failuresOf(await judged(await runs.make({ batches: 5, recordsOf, executedBy })))).toEqual([
      'proof',
    ])
    const recovered = (records: readonly VoteRecord[], at: { seq: number; replica: number }) => [
      ...recordsOf(records, at),
      ...(at.replica === 1 && at.seq === 5
        ? [{ kind: 'recovered', incarnation: 7, view: view(0) } as const]
        : []),
    ]
    const again = await judged(await runs.make({ batches: 5, recordsOf: recovered, executedBy }))
    expect(again.verdict).toBe('pass')
  })

  test.each(['commit', 'prepare', 'header'] as const)('a forged %s', async (what) => {
    const run = await runs.make({
      batches: 20,
      recordsOf: (records, { seq, replica }) =>
        seq === 11 && replica === 2 ? records.map((record) => forged(record, what)) : records,
    })
    const report = await judged(run)
    expect(failuresOf(report)).toEqual(['proof'])
    expect(textOf(report, 'proof')).toMatch(
      /seq 11: a log holds a (COMMIT|PREPARE|PRE-PREPARE) of view 0 for batch/,
    )
  })

  test('two states that are proven at one seq', () => {
    const state = { seq: seq(8), chain: ZERO_DIGEST, signers: [0, 1, 2] }
    const judge = (...roots: readonly Digest[]) => {
      const proof = new ProofCheck({ replicas: 4, allowByzantine: false })
      proof.onProvenStates(roots.map((stateRoot) => ({ ...state, stateRoot })))
      return proof.report().findings.map(({ what }) => what)
    }
    expect(judge(ZERO_DIGEST)).toEqual([])
    expect(judge(ZERO_DIGEST, NULL_BATCH.digest)).toEqual([
      'seq 8: 2 different states are proven by CHECKPOINTs',
    ])
  })
})

describe('validity', () => {
  test('a batch whose requests nobody signed, committed by nobody', async () => {
    const run = await runs.make({
      batches: 20,
      batchAt: (batch, seq) =>
        seq === 13
          ? batchOf(batch.requests.map((one) => ({ ...one, signature: withSignatureFlipped(one.signature) })))
          : batch,
      recordsOf: (records, { seq }) => (seq === 13 ? withCommits(records, () => []) : records),
    })
    const report = await judged(run)
    expect(failuresOf(report)).toEqual(['validity'])
    expect(textOf(report, 'validity')).toMatch(
      /seq 13: request 1000\/0\/\d+ was executed, and client 1000 did not sign it/,
    )
  })

  test('[AU3] in a batch with a commit proof it is counted, and taken', async () => {
    const run = await runs.make({
      batches: 20,
      batchAt: (batch, seq) =>
        seq === 13
          ? batchOf(batch.requests.map((one) => ({ ...one, signature: withSignatureFlipped(one.signature) })))
          : batch,
    })
    const report = await judged(run)
    expect(report.verdict).toBe('pass')
    expect(propertyOf(report, 'validity').notes.join()).toMatch(/2 requests are not signed by their clients/)
  })
})

describe('damage', () => {
  test('a flipped byte in a log is named with its file, and leaves it unknown', async () => {
    const run = runs.copy(whole)
    const file = segmentOf(run, 1)
    const bytes = readFileSync(file)
    bytes.writeUInt8(bytes.readUInt8(20_000) ^ 1, 20_000)
    writeFileSync(file, bytes)
    const report = await judged(run)
    expect(report.verdict).toBe('unknown')
    expect(propertyOf(report, 'agreement').notChecked.join()).toMatch(
      /votes-00000001\.log: damaged at byte \d+: record/,
    )
  })

  test('a torn end is none', async () => {
    const run = runs.copy(whole)
    const file = segmentOf(run, 1)
    const bytes = readFileSync(file)
    const end = bytes.findLastIndex((byte) => byte !== 0)
    writeFileSync(file, bytes.subarray(0, end - 40))
    expect((await judged(run)).verdict).toBe('pass')
  })

  test('a log that is missing is named', async () => {
    const run = runs.copy(whole)
    rmSync(replicaPaths(run, 2).votes, { recursive: true })
    const report = await judged(run)
    expect(report.verdict).toBe('unknown')
    expect(propertyOf(report, 'proof').notChecked).toEqual(['there is no vote log of replica 2'])
  })

  test('the log of another replica is not taken for this one’s', async () => {
    const run = runs.copy(whole)
    rmSync(replicaPaths(run, 2).votes, { recursive: true })
    cpSync(replicaPaths(run, 1).votes, replicaPaths(run, 2).votes, { recursive: true })
    const report = await judged(run)
    expect(report.verdict).toBe('unknown')
    expect(propertyOf(report, 'proof').notChecked.join()).toMatch(/it is the vote log of replica 1/)
  })

  test('a log that was put aside still tells what it knew', async () => {
    const run = runs.copy(whole)
    const { votes } = replicaPaths(run, 2)
    renameSync(votes, `${votes}.lost-1`)
    cpSync(`${votes}.lost-1`, votes, { recursive: true })
    expect((await judged(run)).verdict).toBe('pass')
  })
})

describe('monotonicity', () => {
  test.each([
    ['a stable checkpoint that went back', 'stable', /a stable checkpoint of 8 behind one of 16/],
    ['an own CHECKPOINT that went back', 'checkpoint', /an own CHECKPOINT of 8 behind one of 16/],
  ] as const)('%s', async (_, kind, message) => {
    const kept: VoteRecord[] = []
    const run = await runs.make({
      batches: 20,
      recordsOf: (records, { replica, seq }) => {
        if (replica !== 1) return records
        kept.push(...records.filter((record) => record.kind === kind && seq === 8))
        return seq === 18 ? [...records, ...kept] : records
      },
    })
    const report = await judged(run)
    expect(failuresOf(report)).toEqual(['monotonicity'])
    expect(textOf(report, 'monotonicity')).toMatch(message)
  })
})

test('a cluster of seven', async () => {
  const run = await runs.make({ batches: 20, replicas: 7 })
  const report = await judged(run)
  expect(report.verdict).toBe('pass')
  expect(propertyOf(report, 'proof').notes[0]).toContain('20 by q COMMITs')
  expect(report.databases).toHaveLength(7)
})

describe('logs that were cut', () => {
  test('and not archived: in a run that should have them it is unknown, and what can be compared is', async () => {
    const run = await runs.make({
      batches: 40,
      recordsOf: (records, { seq }) =>
        seq <= 20 ? records.filter(({ kind }) => kind === 'stable') : records,
    })
    const report = await judged(run)
    expect(report.verdict).toBe('unknown')
    expect(propertyOf(report, 'replay').notChecked.join()).toMatch(
      /rows above seq 0 were not compared with the model, but with each other .*: the logs begin at seq 21/,
    )
    expect(propertyOf(report, 'proof').verdict).toBe('pass')
    expect(propertyOf(report, 'chain').verdict).toBe('pass')
  })

  test('of a live cluster, which need not archive them: what can be compared suffices', async () => {
    const cut = {
      batches: 40,
      recordsOf: (records: readonly VoteRecord[], { seq: at }: { seq: number }) =>
        at <= 20 ? records.filter(({ kind }) => kind === 'stable') : records,
    }
    const run = await runs.make(cut)
    const live = async () => {
      const { sources } = await sourcesOfRun(run)
      const expected = { logs: true, wholeLogs: false, history: false }
      return check({ ...sources, history: null, expected })
    }
    const report = await live()
    expect(report.verdict).toBe('pass')
    expect(propertyOf(report, 'replay').checked).toEqual({ from: 1, to: 40, count: 40 })
    expect(propertyOf(report, 'proof').notes[0]).toBe(
      '20 by q COMMITs, 20 by the word of 2 replicas, 0 under a CHECKPOINT',
    )
    editTable(run, [2, 'transfers'], (lines) => lines.map((line) => line.replace(/^12\t0\ta/, '12\t0\tb')))
    const edited = await live()
    expect(failuresOf(edited)).toEqual(['conservation', 'replay'])
    expect(textOf(edited, 'replay')).toMatch(
      /replica 2 differs first in table \w+, row \S+, column \w+: it has/,
    )
  })
})

test('the genesis of another cluster fails, whatever else is right', async () => {
  const run = runs.copy(whole)
  editText(runPaths(run).genesis, (text) => text.replace('"00112233', '"10112233'))
  const report = await judged(run)
  expect(report.verdict).toBe('fail')
  expect(propertyOf(report, 'agreement').notChecked.join()).toMatch(
    /it is of another cluster: its genesis differs/,
  )
})

test('a directory without a genesis has nothing to judge', async () => {
  const run = runs.copy(whole)
  rmSync(runPaths(run).genesis)
  await expect(judged(run)).rejects.toThrow(
    /genesis\.json: it cannot be read: .* Give the file that `pbft init` made/,
  )
})

test.each(['accounts', 'transfers', 'chain', 'customers', 'principals', 'client_table', 'meta'] as const)(
  'garbage in the place of %s is no pass, and no crash',
  async (table) => {
    const run = runs.copy(whole)
    editTable(run, [1, table], () => ['\\x\t\u0000', '', 'seq\tindex'])
    expect((await judged(run)).verdict).not.toBe('pass')
    editTable(run, [1, table], () => [])
    expect((await judged(run)).verdict).not.toBe('pass')
  },
)

function withCommits(
  records: readonly VoteRecord[],
  change: (
    commits: Extract<VoteRecord, { kind: 'committed' }>['commits'],
  ) => Extract<VoteRecord, { kind: 'committed' }>['commits'],
): VoteRecord[] {
  return records.map((record) =>
    record.kind === 'committed' ? { ...record, commits: change(record.commits) } : record,
  )
}

function forged(record: VoteRecord, what: 'commit' | 'prepare' | 'header'): VoteRecord {
  const flip = (vote: {
    readonly replica: ReturnType<typeof replicaId>
    readonly signature: Uint8Array
  }) => ({
    ...vote,
    signature: withSignatureFlipped(vote.signature),
  })
  if (what === 'commit' && record.kind === 'committed')
    return { ...record, commits: record.commits.map(flip) }
  if (what === 'prepare' && record.kind === 'prepared')
    return { ...record, prepares: record.prepares.map(flip) }
  if (what === 'header' && record.kind === 'pre-prepare') {
    const signature = withSignatureFlipped(record.header.signature)
    return { ...record, header: { ...record.header, signature } }
  }
  return record
}
