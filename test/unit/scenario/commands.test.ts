import { PassThrough, Writable } from 'node:stream'
import { describe, expect, test } from 'vitest'
import type { SetResult } from '../../../chaos/scenario/run-set.ts'
import type { ScenarioSet } from '../../../chaos/scenario/scenario.ts'
import { runCommand } from '../../../cli/scenario/commands.ts'
import { Prompt } from '../../../cli/scenario/prompt.ts'
import { formatRequestName } from '../../../protocol/operations.ts'
import { NULL_BATCH } from '../../../protocol/signing.ts'
import { replicaId, seq, view } from '../../../protocol/types.ts'
import type { VoteRecord } from '../../../replica/core/vote-record.ts'
import { batchWith, evidenceOf, NAME, recordsOf } from './fixture.ts'

const SET: ScenarioSet = {
  number: 1,
  transactions: [
    { kind: 'transfer', from: 'A', to: 'C', amount: 5n },
    { kind: 'read', account: 'G' },
  ],
  live: [0, 1, 2, 3, 4, 5].map(replicaId),
  byzantine: [replicaId(2)],
  attacks: [{ name: 'crash' }],
}
const BATCH = batchWith([{ kind: 'transfer', from: 'A', to: 'C', amount: 5n }])
const signature = new Uint8Array(64)
const newView: VoteRecord = {
  kind: 'new-view',
  viewChanges: [],
  message: {
    type: 'new-view',
    view: view(1),
    digest: BATCH.digest,
    body: new Uint8Array(),
    viewChanges: [0, 1, 3, 4, 5].map((replica) => ({ replica: replicaId(replica), digest: BATCH.digest })),
    headers: [
      { view: view(1), seq: seq(1), digest: BATCH.digest, signature },
      { view: view(1), seq: seq(2), digest: NULL_BATCH.digest, signature },
    ],
    replica: replicaId(1),
    signature,
  },
}

/** Of seq 1 every state there is: n1 executed, n2 committed, n3 prepared, n4 pre-prepared, the others know nothing. */
const RESULT: SetResult = {
  set: SET,
  records: [
    {
      transaction: { kind: 'transfer', from: 'A', to: 'C', amount: 5n },
      startedMs: 0,
      elapsedMs: 20,
      fate: { kind: 'executed', seq: 1, fromBalance: 5n, toBalance: 15n, isTold: true },
    },
    {
      transaction: { kind: 'read', account: 'G' },
      startedMs: 20,
      elapsedMs: 10_000,
      fate: { kind: 'not-executed', why: 'nobody answered' },
    },
  ],
  evidence: evidenceOf(SET, {
    replicas: {
      0: {
        lastExecuted: 1,
        records: [...recordsOf(1, BATCH, 'C'), newView],
        balances: new Map([
          ['A', 5n],
          ['C', 15n],
        ]),
        messages: [
          { atMs: 1_000, direction: 'received', peer: 1_000, type: 'request', digest: 'aaaaaaaa' },
          { atMs: 1_100, direction: 'sent', peer: 1, type: 'status', view: 0 },
          { atMs: 1_250, direction: 'sent', peer: 3, type: 'pre-prepare', view: 0, seq: 1 },
          { atMs: 1_250, direction: 'sent', peer: 4, type: 'pre-prepare', view: 0, seq: 1 },
          { atMs: 1_251, direction: 'sent', peer: 5, type: 'pre-prepare', view: 0, seq: 1 },
          { atMs: 1_500, event: 'view-entered', view: 1 },
        ],
      },
      1: { records: [...recordsOf(1, BATCH, 'C'), newView] },
      2: { records: [...recordsOf(1, BATCH, 'P'), newView] },
      3: { records: recordsOf(1, BATCH, 'PP') },
      5: { balances: null },
    },
  }),
  elapsedMs: 10_020,
  verdict: 'pass',
  reasons: [],
}

/** What a line says; to what is asked, `answer`. */
function said(line: string, answer = ''): string {
  const outcome = runCommand(line, RESULT)
  const last = outcome.kind === 'ask' ? outcome.answered(answer) : outcome
  if (last.kind !== 'said') throw new Error(`${line} says nothing: ${last.kind}`)
  return last.lines.join('\n')
}
const asks = (line: string): boolean => runCommand(line, RESULT).kind === 'ask'
const rows = (text: string): string[][] => text.split('\n').map((row) => row.trim().split(/ {2,}/))

describe('status', () => {
  const WHOLE = [
    ['seq', 'n1', 'n2', 'n3', 'n4', 'n5', 'n6', 'n7', 'batch'],
    ['1', 'E', 'C', 'P', 'PP', 'X', 'X', 'X', '(A, C, 5)'],
  ]

  test.each([
    ['status 1', ''],
    ['status', ''],
    ['status', '1'],
    ['status', '(A, C, 5)'],
    ['STATUS (a,c,5)', ''],
    [`status ${formatRequestName(NAME)}`, ''],
  ])('%s, answered "%s": how far it got at each replica', (line, answer) => {
    expect(rows(said(line, answer)).slice(0, 2)).toEqual(WHOLE)
  })

  test.each(['status 1 n4', 'status 1 4', 'status (A, C, 5) n4', '2.4 1', '2.n4 (A, C, 5)'])(
    '%s: at one replica',
    (line) => {
      expect(asks(line)).toBe(false)
      expect(rows(said(line)).slice(0, 2)).toEqual([
        ['seq', 'n4', 'batch'],
        ['1', 'PP', '(A, C, 5)'],
      ])
    },
  )

  test.each(['status', '2', '2.3', 'status n3'])('%s asks about what', (line) => {
    expect(asks(line)).toBe(true)
  })

  test('a number that nobody knows is X everywhere', () => {
    expect(rows(said('status 9'))[1]).toEqual(['9', 'X', 'X', 'X', 'X', 'X', 'X', 'X', '-'])
  })

  test.each([
    ['(B, C, 1)', 'no replica was ever proposed that'],
    ['everything', 'expected a sequence number, or a transaction such as (A, C, 5), not everything'],
    ['1 n9', 'expected a replica, n1 to n7, not n9'],
    ['0', 'expected a sequence number'],
  ])('status %s: %s', (argument, says) => {
    expect(said(`status ${argument}`)).toContain(says)
  })
})

describe('log', () => {
  test.each(['log n1', 'log 1', 'LOG N1', '1.1', '1.n1'])('%s: votes and messages of one replica', (line) => {
    const text = said(line)
    expect(text).toMatch(/^n1 \(correct\), executed up to seq 1\n/)
    expect(text).toMatch(/PRE-PREPARE {2}view 0 seq 1 \w{8}: \(A, C, 5\)/)
    expect(text).toMatch(/committed {4}view 0 seq 1/)
    expect(text).toContain('0.000 s  <- A  REQUEST aaaaaaaa')
    expect(text).toContain('its messages: 6, of which 1 are STATUS\n')
    expect(text).toContain('0.250 s  -> n4, n5  PRE-PREPARE view 0 seq 1\n')
    expect(text).toContain('0.251 s  -> n6  PRE-PREPARE view 0 seq 1\n')
    expect(text).not.toContain('STATUS view')
    expect(text).toContain('0.500 s  view-entered 1')
  })

  test('bare, it asks of whom, and needs an answer', () => {
    expect(asks('log')).toBe(true)
    expect(said('log', '7')).toContain('n7 (down), executed up to seq 0\nits vote log:\n  empty')
    expect(said('log', '')).toBe('log needs a replica')
  })

  test.each(['log n8', 'log 0', '1.9', 'log everybody'])('%s is no replica', (line) => {
    expect(said(line)).toContain('expected a replica, n1 to n7, not ')
  })
})

describe('db, views and perf', () => {
  test('db: a row for each replica; "-" for what could not be read', () => {
    const all = rows(said('db'))
    expect(all).toHaveLength(8)
    expect(all[1]?.slice(0, 6)).toEqual(['n1', 'correct', '1', '5', '-', '15'])
    expect(all[3]?.slice(0, 4)).toEqual(['n3', 'byzantine', '0', '10'])
    expect(all[6]?.slice(0, 4)).toEqual(['n6', 'correct', '-', '-'])
    for (const line of ['db n3', 'db 3', '3.3', '3.n3'])
      expect(rows(said(line)).map(([name]) => name)).toEqual(['replica', 'n3'])
    expect(said('3')).toBe(said('db'))
  })

  test.each(['views', '4', '4.2'])(
    '%s: each NEW-VIEW once, with its O, and which correct ones entered',
    (line) => {
      expect(said(line)).toBe(
        [
          'NEW-VIEW 1 of n2, on VIEW-CHANGEs of n1, n2, n4, n5, n6; entered by n1, n2',
          `  O: PRE-PREPARE view 1 seq 1 ${BATCH.digest.slice(0, 8)}`,
          '  O: PRE-PREPARE view 1 seq 2 null',
        ].join('\n'),
      )
    },
  )

  test('perf: what was answered counts, and what each replica did', () => {
    const text = said('perf')
    expect(text).toMatch(/^1 of 2 transactions answered in 10.02 s: 0.1 a second\n/)
    expect(text).not.toMatch(/^G /m)
    for (const line of ['perf 2', '5.2']) {
      expect(rows(said(line)).at(-1)).toEqual(['n2', '0', '1', '1', '0', '0'])
    }
    expect(said('5')).toBe(text)
  })
})

describe('other lines', () => {
  test.each([
    ['', 'next'],
    ['  ', 'next'],
    ['n', 'next'],
    ['Next', 'next'],
    ['q', 'quit'],
    ['exit', 'quit'],
  ])('"%s" is %s', (line, kind) => {
    expect(runCommand(line, RESULT)).toEqual({ kind })
  })

  test('what is not understood is answered with what there is', () => {
    expect(said('vews')).toMatch(/^there is no command vews: did you mean views\?\nlog <id>/)
    expect(said('6.1')).toMatch(/^there is no command 6.1\nlog <id>/)
    expect(said('help')).toMatch(/^log <id> .*1\.<id>/)
  })
})

describe('the prompt', () => {
  async function typed(input: string): Promise<{ readonly ends: string[]; readonly shown: string }> {
    const stdin = new PassThrough()
    let shown = ''
    const stdout = new Writable({
      write(chunk, _encoding, done) {
        shown += String(chunk)
        done()
      },
    })
    const prompt = new Prompt(stdin, stdout)
    stdin.end(input)
    const ends = [await prompt.afterSet(RESULT), await prompt.afterSet(RESULT)]
    prompt.close()
    return { ends, shown }
  }

  test('answers line after line, asks, and goes on at an empty line', async () => {
    const { ends, shown } = await typed('status\n(A, C, 5)\ndb n1\n\nviews\nquit\n')
    expect(ends).toEqual(['next', 'quit'])
    expect(shown).toContain('sequence number or request (empty: all): ')
    expect(shown).toMatch(/PP pre-prepared.*NEW-VIEW 1 of n2/s)
  })

  test('closed while it waits, it ends everything: a set that follows would run into the cleanup', async () => {
    const prompt = new Prompt(new PassThrough(), new PassThrough().resume())
    const waiting = prompt.afterSet(RESULT)
    prompt.close()
    expect(await waiting).toBe('quit')
  })

  test('at the end of the input the sets that are left follow each other', async () => {
    expect((await typed('db\n')).ends).toEqual(['next', 'next'])
    expect((await typed('')).ends).toEqual(['next', 'next'])
    // A question that nobody answers any more.
    expect((await typed('log')).ends).toEqual(['next', 'next'])
  })
})
