import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable, Writable } from 'node:stream'
import { expect, test } from 'vitest'
import { IndeterminateError, NotSentError } from '../../../client/errors.ts'
import { table } from '../../../client/format.ts'
import { complete, runRepl } from '../../../client/repl.ts'
import { type CommandBank, runCommands } from '../../../client/run.ts'
import { runScript } from '../../../client/script.ts'
import type { Operation, OperationResult } from '../../../protocol/operations.ts'
import { clientId, type Digest, replicaId, requestNumber, seq } from '../../../protocol/types.ts'

/** Knows A (100) and B (0); remembers what it was asked. */
class StubBank implements CommandBank {
  readonly client = clientId(1000)
  readonly clients = [{ id: 1000, name: 'bank' }]
  readonly replicas = 4
  readonly connected = [0, 1, 2].map(replicaId)
  readonly requestRoom = { operations: 3, bytes: 10_000, historyEntries: 500 }
  readonly asked: unknown[] = []
  failure: Error | undefined

  async submit(operations: readonly Operation[]): Promise<readonly OperationResult[]> {
    this.asked.push(operations.map(({ kind }) => kind))
    if (this.failure !== undefined) throw this.failure
    return operations.map((operation) => resultOf(operation))
  }

  async read(accounts: readonly string[]) {
    this.asked.push(accounts)
    if (this.failure !== undefined) throw this.failure
    return accounts.map((account) => ({ account, balance: account === 'A' ? 100n : null, version: seq(1) }))
  }

  async lookup() {
    return { kind: 'not-executed' } as const
  }
}

function resultOf(operation: Operation): OperationResult {
  if (operation.kind === 'balance') {
    return { kind: 'balance', account: operation.account, balance: 100n, version: seq(1) }
  }
  if (operation.kind === 'withdraw')
    return { kind: 'refused', code: 'insufficient-funds', detail: operation.account }
  return { kind: 'transferred', id: { seq: seq(7), index: 0 }, debitBalance: -5n, creditBalance: 105n }
}

async function run(text: string, { json = false, bank = new StubBank() } = {}) {
  const lines: string[] = []
  const exitCode = await runCommands(bank, text, { json, out: { write: (line: string) => lines.push(line) } })
  return { exitCode, out: lines.join(''), asked: bank.asked }
}

test('a comma list goes as requests of whole operations; balances alone are a quorum read', async () => {
  const list = await run('deposit A 5, get A, withdraw A 9, get A')
  expect(list.asked).toEqual([['deposit', 'balance', 'withdraw'], ['A']])
  expect(list.out).toBe(
    'deposited 5 to A; A: 105\nA: 100\nrefused: withdraw A 9: insufficient-funds: A\nA: 100\n',
  )
  expect(list.exitCode).toBe(1)
  const reads = await run('get A, get A')
  expect(reads.asked).toEqual([['A', 'A']])
  expect(reads.exitCode).toBe(0)
})

test('exit codes: 1 refused or not executed, 2 cannot tell or bad usage', async () => {
  expect((await run('get nobody')).exitCode).toBe(1)
  expect((await run('depsoit A 1')).exitCode).toBe(2)
  const name = {
    client: clientId(1000),
    lane: 1,
    number: requestNumber(5),
    digest: 'ab'.repeat(32) as Digest,
  }
  expect((await run(`lookup 1000/1/5/${name.digest}`)).exitCode).toBe(1)
  const bank = new StubBank()
  bank.failure = new IndeterminateError(name, { offset: 0, count: 1 }, 'deadline')
  const doubt = await run('deposit A 5, deposit A 5, deposit A 5, deposit A 5', { bank })
  expect(doubt.exitCode).toBe(2)
  expect(doubt.out).toContain(`lookup 1000/1/5/${name.digest}`)
  expect(bank.asked).toHaveLength(1)
  bank.failure = new NotSentError('deadline')
  expect((await run('deposit A 5', { bank })).exitCode).toBe(1)
})

test('--json: one object a line, money in quotes', async () => {
  const { out } = await run('deposit A 5, withdraw A 9', { json: true })
  expect(
    out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line)),
  ).toEqual([
    {
      command: 'deposit',
      account: 'A',
      amount: '5',
      ok: true,
      result: { kind: 'transferred', id: { seq: 7, index: 0 }, debitBalance: '-5', creditBalance: '105' },
    },
    {
      command: 'withdraw',
      account: 'A',
      amount: '9',
      ok: false,
      result: { kind: 'refused', code: 'insufficient-funds', detail: 'A' },
    },
  ])
  expect(JSON.parse((await run('oops', { json: true })).out)).toMatchObject({
    ok: false,
    error: { code: 'bad-usage' },
  })
})

test('a script goes on after a failure, names its line, and ends with the worst code', async () => {
  const out: string[] = []
  const input = Readable.from([
    '# setup\n',
    '\n',
    'deposit A 5\nwithdraw A 9\n',
    'depsoit A 1\nget A\nquit\nget B\n',
  ])
  const exitCode = await runScript(new StubBank(), input, {
    json: false,
    out: { write: (line: string) => out.push(line) },
  })
  expect(exitCode).toBe(2)
  const text = out.join('')
  expect(text).toContain('line 5: depsoit A 1')
  expect(text.endsWith('A: 100\n')).toBe(true)
})

test('the REPL runs lines, keeps its history in a file, and ends at quit', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'pbft-repl-'))
  try {
    const historyFile = join(dir, 'history')
    const written: string[] = []
    const output = new Writable({
      write(chunk, _encoding, done) {
        written.push(String(chunk))
        done()
      },
    })
    const input = Readable.from(['get A\n', 'nonsense\n', 'quit\n'])
    await runRepl(new StubBank(), { input, output, historyFile, accounts: [] })
    const text = written.join('')
    expect(text).toContain('A: 100')
    expect(text).toContain('unknown command "nonsense"')
    expect(await readFile(historyFile, 'utf8')).toBe('get A\nnonsense\nquit\n')
  } finally {
    await rm(dir, { recursive: true })
  }
})

test('completion: commands first in each part, accounts behind', () => {
  const accounts = ['alice', 'bob', 'alba']
  expect(complete('de', accounts)).toEqual([['deposit'], 'de'])
  expect(complete('get al', accounts)).toEqual([['alice', 'alba'], 'al'])
  expect(complete('get alice, WI', accounts)).toEqual([['withdraw'], 'WI'])
  expect(complete('linked { tr', accounts)).toEqual([['transfer'], 'tr'])
})

test('tables align, numbers to the right', () => {
  expect(
    table(
      ['account', 'balance'],
      [
        ['A', '5'],
        ['bob', '1000'],
      ],
    ),
  ).toBe('account  balance\nA              5\nbob         1000')
})
