import { appendFile, readFile } from 'node:fs/promises'
import { createInterface } from 'node:readline/promises'
import { COMMAND_WORDS } from './grammar.ts'
import { type CommandBank, runLine } from './run.ts'

const HISTORY_LINES_MAX = 1_000
const PROMPT = 'bank> '

export type ReplOptions = {
  readonly input: NodeJS.ReadableStream
  readonly output: NodeJS.WritableStream
  /** Lines of earlier sessions are read from it and new ones appended; null keeps none. */
  readonly historyFile: string | null
  /** For completion; those that are typed are added. */
  readonly accounts: readonly string[]
}

/** Reads, runs and prints until `quit` or the end of the input. */
export async function runRepl(bank: CommandBank, options: ReplOptions): Promise<void> {
  const { input, output, historyFile } = options
  const accounts = new Set(options.accounts)
  const lines = createInterface({
    input,
    output,
    prompt: PROMPT,
    history: await readHistory(historyFile),
    historySize: HISTORY_LINES_MAX,
    removeHistoryDuplicates: true,
    completer: (line: string) => complete(line, accounts),
  })
  // The input may end while a command still runs; asking for more would then throw.
  let open = true
  lines.once('close', () => {
    open = false
  })
  output.write(
    `Connected to ${bank.connected.length} of ${bank.replicas} replicas. help lists the commands.\n`,
  )
  lines.prompt()
  for await (const line of lines) {
    if (line.trim() !== '') {
      if (historyFile !== null) await appendFile(historyFile, `${line}\n`, { mode: 0o600 })
      for (const [word] of line.matchAll(/[A-Za-z0-9][\w.:-]*/g)) {
        if (!COMMAND_WORDS.includes(word.toLowerCase()) && !/^\d+$/.test(word)) accounts.add(word)
      }
      if ((await runLine(bank, line, { json: false, out: output })).quit) break
    }
    if (open) lines.prompt()
  }
  lines.close()
}

/** Newest first, as readline wants it. */
async function readHistory(file: string | null): Promise<string[]> {
  if (file === null) return []
  try {
    const text = await readFile(file, 'utf8')
    return text.split('\n').filter(Boolean).slice(-HISTORY_LINES_MAX).reverse()
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return []
    throw error
  }
}

/** The command at the start of each of a list's parts, an account elsewhere. */
export function complete(line: string, accounts: Iterable<string>): [string[], string] {
  const part = line.slice(Math.max(line.lastIndexOf(','), line.lastIndexOf(';'), line.lastIndexOf('{')) + 1)
  const word = /[^\s]*$/.exec(part)?.[0] ?? ''
  const isFirst = part.trimStart() === word
  const candidates = isFirst ? COMMAND_WORDS : [...accounts]
  const wanted = isFirst ? word.toLowerCase() : word
  return [candidates.filter((candidate) => candidate.startsWith(wanted)), word]
}
