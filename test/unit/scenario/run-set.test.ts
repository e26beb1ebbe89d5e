import { describe, expect, test } from 'vitest'
import type { SetEvidence } from '../../../chaos/scenario/evidence.ts'
import type { Told } from '../../../chaos/scenario/outcome.ts'
import { fateOf, runSet, type SetResult } from '../../../chaos/scenario/run-set.ts'
import type { ScenarioSet, Transaction } from '../../../chaos/scenario/scenario.ts'
import type { Stage } from '../../../chaos/scenario/stage.ts'
import type { OperationResult } from '../../../protocol/operations.ts'
import { replicaId, seq } from '../../../protocol/types.ts'
import { batchWith, evidenceOf, NAME, recordsOf, rowOf } from './fixture.ts'

const TRANSFER: Transaction = { kind: 'transfer', from: 'A', to: 'B', amount: 4n }
const EXECUTED: Told = { kind: 'executed', seq: 1, fromBalance: 6n, toBalance: 14n }
const UNANSWERED: Told = { kind: 'unanswered', request: { ...NAME, offset: 0, count: 1 } }

const setWith = (live: number, byzantine: number): ScenarioSet => ({
  number: 1,
  transactions: [TRANSFER],
  live: Array.from({ length: live }, (_, id) => replicaId(id)),
  byzantine: Array.from({ length: byzantine }, (_, id) => replicaId(id)),
  attacks: [],
})
const ALL_CORRECT = setWith(7, 0)

/** A stage on which `told` is what every client is told, and `evidence` what is left. */
const stageWith = (told: Told, evidence: SetEvidence): Stage => ({
  begin: async () => undefined,
  perform: async () => told,
  end: async () => evidence,
  nowMs: () => 0,
  close: async () => undefined,
})
const run = (told: Told, evidence: SetEvidence, set = ALL_CORRECT): Promise<SetResult> =>
  runSet(set, stageWith(told, evidence), { concurrent: false, patienceMs: 1_000 })

describe('the verdict of a set', () => {
  test('passes when the checker does and all is answered', async () => {
    expect(await run(EXECUTED, evidenceOf(ALL_CORRECT))).toMatchObject({ verdict: 'pass', reasons: [] })
  })

  test.each<[string, Partial<SetEvidence>, string]>([
    [
      'the checker finds something',
      { judgement: { verdict: 'fail', summary: 'rows differ', properties: [] } },
      'rows differ',
    ],
    [
      'a replica ended by itself',
      { incidents: ['n4 ended by itself: halted'] },
      'n4 ended by itself: halted',
    ],
    ['a correct replica is not level', { behind: [3, 4] }, 'not level with the others: n4, n5'],
  ])('fails when %s', async (_, evidence, reason) => {
    const result = await run(EXECUTED, evidenceOf(ALL_CORRECT, evidence))
    expect(result).toMatchObject({ verdict: 'fail', reasons: [reason] })
  })

  test('is unknown when the checker cannot tell', async () => {
    const judgement = { verdict: 'unknown', summary: 'a database could not be read', properties: [] } as const
    expect(await run(EXECUTED, evidenceOf(ALL_CORRECT, { judgement }))).toMatchObject({
      verdict: 'unknown',
      reasons: ['a database could not be read'],
    })
  })

  test.each([
    [7, 0, 'fail'],
    [7, 2, 'fail'],
    [5, 0, 'fail'],
    [7, 3, 'pass'],
    [5, 1, 'pass'],
    [4, 0, 'pass'],
    [0, 0, 'pass'],
  ])('%d live and %d of them byzantine: no answer is a %s', async (live, byzantine, verdict) => {
    const set = setWith(live, byzantine)
    expect((await run(UNANSWERED, evidenceOf(set), set)).verdict).toBe(verdict)
  })

  test('no answer within the bound fails even if it was executed: the client was not told', async () => {
    const result: OperationResult = {
      kind: 'transferred',
      id: { seq: seq(3), index: 0 },
      debitBalance: 6n,
      creditBalance: 14n,
    }
    const evidence = evidenceOf(ALL_CORRECT, { replicas: { 2: { lanes: [rowOf(result)] } } })
    const { verdict, reasons, records } = await run(UNANSWERED, evidence)
    expect(records[0]?.fate).toMatchObject({ kind: 'executed', isTold: false })
    expect(verdict).toBe('fail')
    expect(reasons).toEqual(['(A, B, 4) got no answer, though a quorum of replicas is correct'])
  })
})

describe('what became of a transfer whose client was told nothing', () => {
  const set = setWith(7, 1)
  const fate = (evidence: SetEvidence) => fateOf(UNANSWERED, evidence)
  const transferred: OperationResult = {
    kind: 'transferred',
    id: { seq: seq(3), index: 0 },
    debitBalance: 6n,
    creditBalance: 14n,
  }

  test('executed, when the database of one correct replica has it', () => {
    const evidence = evidenceOf(set, { replicas: { 6: { lanes: [rowOf(transferred)] } } })
    expect(fate(evidence)).toEqual({
      kind: 'executed',
      seq: 3,
      fromBalance: 6n,
      toBalance: 14n,
      isTold: false,
    })
  })

  test('refused, when that is what its database keeps', () => {
    const refused: OperationResult = { kind: 'refused', code: 'insufficient-funds', detail: 'A' }
    const evidence = evidenceOf(set, { replicas: { 6: { lanes: [rowOf(refused)] } } })
    expect(fate(evidence)).toMatchObject({ kind: 'refused', code: 'insufficient-funds' })
  })

  test('not executed, when only a liar has it', () => {
    const evidence = evidenceOf(set, { replicas: { 0: { lanes: [rowOf(transferred)] } } })
    expect(fate(evidence).kind).toBe('not-executed')
  })

  test('not executed, when it was committed and no database has come so far', () => {
    const records = recordsOf(3, batchWith([TRANSFER]), 'C')
    const evidence = evidenceOf(set, { replicas: { 5: { records, lastExecuted: 2 } } })
    expect(fate(evidence).kind).toBe('not-executed')
  })

  test('ordered, when a later request of the client has taken its place in the databases', () => {
    const records = recordsOf(3, batchWith([TRANSFER]), 'C')
    const evidence = evidenceOf(set, { replicas: { 5: { records, lastExecuted: 4 } } })
    expect(fate(evidence)).toEqual({ kind: 'ordered', seq: 3 })
  })
})
