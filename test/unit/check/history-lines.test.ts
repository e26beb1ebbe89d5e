import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { HistoryEvent } from '../../../chaos/check/history.ts'
import { decodeHistoryLine, encodeHistoryEvent, readHistory } from '../../../chaos/check/history-lines.ts'
import { clientId, type Digest, principalId, requestNumber, seq } from '../../../protocol/types.ts'

let directory = ''
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'pbft-history-'))
})
afterAll(() => rm(directory, { recursive: true }))

const digest = 'ab'.repeat(32) as Digest
const request = {
  client: clientId(1000),
  lane: 1,
  number: requestNumber(1_764_000_000_000_001),
  digest,
  offset: 0,
  count: 1,
}
const EVENTS: readonly HistoryEvent[] = [
  {
    type: 'invoke',
    atUs: 12.5,
    call: 1,
    caller: 0,
    client: 1000,
    what: {
      kind: 'submit',
      operations: [
        { kind: 'transfer', from: 'a', to: 'b', amount: 2n ** 63n - 1n },
        { kind: 'deposit', account: 'a', amount: -1n },
        { kind: 'withdraw', account: 'a', amount: 1n },
        { kind: 'balance', account: 'a' },
        { kind: 'history', account: 'a', before: null, limit: 5 },
        { kind: 'history', account: 'a', before: seq(4), limit: 5 },
        { kind: 'open', account: 'c', owner: principalId(1000), customer: { name: 'Ann', address: null } },
        { kind: 'open', account: 'd', owner: principalId(1000), customer: null },
        { kind: 'linked', operations: [{ kind: 'balance', account: 'a' }] },
      ],
    },
  },
  { type: 'invoke', atUs: 13, call: 2, caller: 1, client: 1001, what: { kind: 'read', accounts: ['a'] } },
  {
    type: 'ok',
    atUs: 14,
    call: 1,
    request,
    results: [
      { kind: 'transferred', id: { seq: seq(3), index: 0 }, debitBalance: -5n, creditBalance: 9n },
      { kind: 'opened', account: 'c' },
      { kind: 'balance', account: 'a', balance: 3n, version: seq(2) },
      { kind: 'history', entries: [{ seq: seq(1), index: 2, debit: 'a', credit: 'b', amount: 1n }] },
      { kind: 'linked', results: [{ kind: 'refused', code: 'linked-aborted', detail: '', index: 1 }] },
      {
        kind: 'lookup',
        entry: { number: requestNumber(7), requestDigest: digest, result: Buffer.from([1, 255]) },
      },
      { kind: 'refused', code: 'insufficient-funds', detail: 'a' },
    ],
  },
  {
    type: 'ok',
    atUs: 15,
    call: 2,
    request: null,
    values: [{ account: 'a', balance: null, version: seq(0) }],
  },
  { type: 'ok', atUs: 15, call: 2, request, values: [{ account: 'a', balance: 1n, version: seq(9) }] },
  { type: 'fail', atUs: 16, call: 3, code: 'no-quorum' },
  { type: 'unknown', atUs: 17, call: 4, code: 'timeout', request },
  { type: 'settled', atUs: 18, call: 4, outcome: 'not-executed', results: null },
  {
    type: 'settled',
    atUs: 18,
    call: 4,
    outcome: 'executed',
    results: [{ kind: 'opened', account: 'c' }],
  },
]

test.each(EVENTS.map((event) => [event.type, event] as const))('%s comes back as it was', (_, event) => {
  const line = encodeHistoryEvent(event)
  expect(line).not.toContain('\n')
  expect(decodeHistoryLine(line)).toEqual(event)
})

async function read(name: string, text: string): Promise<HistoryEvent[]> {
  const path = join(directory, name)
  await writeFile(path, text)
  const events: HistoryEvent[] = []
  for await (const event of readHistory(path)) events.push(event)
  return events
}

test('a file of lines is read in order, and a last line that was cut short is left out', async () => {
  const lines = EVENTS.map(encodeHistoryEvent)
  expect(await read('whole.jsonl', `${lines.join('\n')}\n`)).toEqual(EVENTS)
  expect(await read('torn.jsonl', `${lines.join('\n')}\n{"type":"invo`)).toEqual(EVENTS)
  expect(await read('empty.jsonl', '')).toEqual([])
  await expect(read('edited.jsonl', '{"type":"invo\n')).rejects.toThrow('line 1')
})

test.each([
  ['{"type":"invo', 'line 2'],
  ['{"type":"eaten","atUs":1,"call":1}', 'type: "eaten" is not known here'],
  ['{"type":"fail","atUs":1,"call":-1,"code":"x"}', 'call is not a whole number'],
  [
    '{"type":"invoke","atUs":1,"call":1,"caller":0,"client":1000,"what":{"kind":"submit","operations":[{"kind":"deposit","account":"a","amount":5}]}}',
    'what.operations.0.amount is not a whole number in quotes',
  ],
  ['[]', 'the line is no object'],
])('%s is refused with its line and its field', async (line, message) => {
  const first = '{"type":"fail","atUs":1,"call":1,"code":"x"}'
  await expect(read('wrong.jsonl', `${first}\n${line}\n${first}\n`)).rejects.toThrow(message)
  await expect(read('wrong.jsonl', `${first}\n${line}\n${first}\n`)).rejects.toThrow(/wrong\.jsonl: line 2/)
})

test('a line ends at a line feed alone: names may hold what Unicode calls a line’s end', async () => {
  const events: HistoryEvent[] = ['\u2028', '\u2029', '\u0085', '\r'].map((end, i) => ({
    type: 'fail',
    atUs: i,
    call: i + 1,
    code: `before${end}behind`,
  }))
  expect(await read('ends.jsonl', `${events.map(encodeHistoryEvent).join('\n')}\n`)).toEqual(events)
})
