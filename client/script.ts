import { createInterface } from 'node:readline'
import { type CommandBank, type ExitCode, type RunOptions, runLine } from './run.ts'

/**
 * One line of commands after the other; empty lines and those that start with # are skipped. A failure names its line
 * and does not stop the rest; the exit code is the worst of all lines.
 */
export async function runScript(
  bank: CommandBank,
  input: NodeJS.ReadableStream,
  options: Omit<RunOptions, 'line'>,
): Promise<ExitCode> {
  let exitCode: ExitCode = 0
  let line = 0
  for await (const text of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) {
    line++
    if (/^\s*(#|$)/.test(text)) continue
    const ran = await runLine(bank, text, { ...options, line })
    if (ran.exitCode > exitCode) exitCode = ran.exitCode
    if (ran.quit) break
  }
  return exitCode
}
