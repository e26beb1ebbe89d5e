import type { Operation, OperationResult, RequestName } from '../protocol/operations.ts'
import type { Bank } from './client.ts'
import { DEFAULT_CLIENT_LIMITS } from './context.ts'
import type { RequestOutcome } from './effects.ts'
import {
  ClientError,
  IndeterminateError,
  InvalidArgumentError,
  NoQuorumError,
  UnavailableError,
} from './errors.ts'
import { describe, errorFields, formatOutcome, formatResult, jsonLine } from './format.ts'
import { type Command, explain, HELP, parseCommands } from './grammar.ts'
import { fits, type RequestSize, sizeOf, sumOf } from './request-size.ts'

/** What the commands need of a Bank. */
export type CommandBank = Pick<
  Bank,
  'client' | 'clients' | 'replicas' | 'connected' | 'requestRoom' | 'submit' | 'read' | 'lookup'
>

/** 0: all done. 1: refused, or certainly not executed. 2: cannot tell, no quorum, or bad usage. */
export type ExitCode = 0 | 1 | 2

export type RunOptions = {
  readonly json: boolean
  readonly out: { write(text: string): unknown }
  /** Line of a script, named in errors. */
  readonly line?: number
}

/** Beyond it a list of balances goes as a request, like any other operations. */
const READ_ACCOUNTS_MAX = DEFAULT_CLIENT_LIMITS.readAccountsMax

export type Ran = { readonly exitCode: ExitCode; readonly quit: boolean }

const worst = (a: ExitCode, b: ExitCode): ExitCode => (a > b ? a : b)

/** One-shot: the commands of one line, results in order. */
export async function runCommands(bank: CommandBank, text: string, options: RunOptions): Promise<ExitCode> {
  return (await runLine(bank, text, options)).exitCode
}

/**
 * Runs a comma list. Neighbouring operations go as one request and are executed in their order, each with a result
 * of its own; balances alone are a quorum read. A refusal does not stop what follows; no answer does.
 */
export async function runLine(bank: CommandBank, text: string, options: RunOptions): Promise<Ran> {
  const parsed = parseCommands(text, { self: bank.client, clients: bank.clients })
  const report = new Reporter(options)
  if (!parsed.ok) {
    report.wrong(parsed.error.message, explain(text, parsed.error))
    return { exitCode: 2, quit: false }
  }
  for (const step of stepsOf(parsed.commands)) {
    if (!Array.isArray(step)) {
      if (step.kind === 'quit') return { exitCode: report.exitCode, quit: true }
      if (!(await runOther(bank, step, report))) break
    } else if (!(await runOperations(bank, step, report))) break
  }
  return { exitCode: report.exitCode, quit: false }
}

type Other = Exclude<Command, { kind: 'operation' }>

/** Neighbouring operations together. */
function stepsOf(commands: readonly Command[]): (Other | Operation[])[] {
  const steps: (Other | Operation[])[] = []
  for (const command of commands) {
    const last = steps.at(-1)
    if (command.kind !== 'operation') steps.push(command)
    else if (Array.isArray(last)) last.push(command.operation)
    else steps.push([command.operation])
  }
  return steps
}

/** False when there was no answer. */
async function runOther(bank: CommandBank, command: Other, report: Reporter): Promise<boolean> {
  switch (command.kind) {
    case 'help':
      report.text('help', HELP)
      return true
    case 'status':
      report.text(
        'status',
        `client ${bank.client}, connected to ${bank.connected.length} of ${bank.replicas} replicas ` +
          `(${bank.connected.join(', ')})`,
      )
      return true
    case 'lookup': {
      const { name } = command
      return attempt(report, [], async () => report.outcome(name, await bank.lookup(name)))
    }
    case 'quit':
      return true
  }
}

async function runOperations(
  bank: CommandBank,
  operations: readonly Operation[],
  report: Reporter,
): Promise<boolean> {
  let left = operations
  while (left.length > 0) {
    const ran = await attempt(report, left, async () => {
      const chunk = left.slice(0, countThatFits(left, bank.requestRoom))
      const results = await perform(bank, chunk)
      chunk.forEach((operation, i) => {
        const result = results[i]
        if (result !== undefined) report.result(operation, result)
      })
      left = left.slice(chunk.length)
    })
    if (!ran) return false
  }
  return true
}

async function perform(
  bank: CommandBank,
  operations: readonly Operation[],
): Promise<readonly OperationResult[]> {
  const accounts = operations.flatMap((operation) =>
    operation.kind === 'balance' ? [operation.account] : [],
  )
  const readable = accounts.length === operations.length && accounts.length <= READ_ACCOUNTS_MAX
  if (!readable) return bank.submit(operations)
  const values = await bank.read(accounts)
  return values.map(({ account, balance, version }) =>
    balance === null
      ? { kind: 'refused', code: 'unknown-account', detail: account }
      : { kind: 'balance', account, balance, version },
  )
}

/** @throws InvalidArgumentError when the first does not fit a request by itself */
function countThatFits(operations: readonly Operation[], room: RequestSize): number {
  let size: RequestSize | undefined
  for (const [count, operation] of operations.entries()) {
    const one = sizeOf([operation], room)
    const together: RequestSize = size === undefined ? one : sumOf(size, one)
    if (size !== undefined && !fits(together, room)) return count
    size = together
  }
  return operations.length
}

async function attempt(
  report: Reporter,
  operations: readonly Operation[],
  run: () => Promise<void>,
): Promise<boolean> {
  try {
    await run()
    return true
  } catch (error) {
    if (!(error instanceof ClientError)) throw error
    report.error(error, operations)
    return false
  }
}

/** Writes results as they come and remembers the worst. */
class Reporter {
  exitCode: ExitCode = 0
  readonly #options: RunOptions

  constructor(options: RunOptions) {
    this.#options = options
  }

  result(operation: Operation, result: OperationResult): void {
    const refused = result.kind === 'refused'
    if (refused) this.exitCode = worst(this.exitCode, 1)
    const { kind: command, ...fields } = operation
    this.#write({ command, ...fields, ok: !refused, result }, formatResult(operation, result))
  }

  outcome(name: RequestName, outcome: RequestOutcome): void {
    const code = { executed: 0, 'not-executed': 1, unknown: 2 } as const
    this.exitCode = worst(this.exitCode, code[outcome.kind])
    const ok = outcome.kind === 'executed'
    this.#write({ command: 'lookup', request: name, ok, outcome }, formatOutcome(outcome))
  }

  text(command: string, text: string): void {
    this.#write({ command, ok: true, text }, text)
  }

  error(error: ClientError, operations: readonly Operation[]): void {
    this.exitCode = worst(this.exitCode, exitCodeOf(error))
    const what = operations.map(describe).join(', ')
    const human = what === '' ? error.message : `${what}: ${error.message}`
    this.#write({ command: what, ok: false, error: errorFields(error) }, this.#located(human))
  }

  wrong(message: string, explained: string): void {
    this.exitCode = 2
    this.#write({ ok: false, error: { code: 'bad-usage', message } }, this.#located(explained))
  }

  #located(text: string): string {
    const { line } = this.#options
    return line === undefined ? text : `line ${line}: ${text.trimStart()}`
  }

  #write(fields: Record<string, unknown>, human: string): void {
    const { json, line, out } = this.#options
    out.write(`${json ? jsonLine(line === undefined ? fields : { line, ...fields }) : human}\n`)
  }
}

/** What a failure of the client, or of connecting, means to a shell. */
export function exitCodeOf(error: ClientError): ExitCode {
  const cannotTell = [IndeterminateError, UnavailableError, NoQuorumError, InvalidArgumentError]
  return cannotTell.some((type) => error instanceof type) ? 2 : 1
}
