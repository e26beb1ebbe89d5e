import { createInterface, type Interface } from 'node:readline'
import type { SetResult } from '../../chaos/scenario/run-set.ts'
import { COMMAND_WORDS, type Outcome, runCommand } from './commands.ts'

const PROMPT = 'scenario> '

/** Reads commands between sets. At the end of its input nothing is asked any more, and sets follow each other. */
export class Prompt {
  readonly #output: NodeJS.WritableStream
  readonly #lines: Interface
  readonly #waiting: string[] = []
  #wanted: ((line: string | undefined) => void) | undefined
  #isOpen = true
  /** By us, and not by the end of the input. */
  #isAbandoned = false

  constructor(input: NodeJS.ReadableStream, output: NodeJS.WritableStream) {
    this.#output = output
    this.#lines = createInterface({ input, output, completer: complete })
    this.#lines.on('line', (line) => {
      if (this.#wanted === undefined) this.#waiting.push(line)
      else this.#answer(line)
    })
    this.#lines.once('close', () => {
      this.#isOpen = false
      this.#answer(undefined)
    })
    // In a terminal readline takes Ctrl-C for itself: it means what it means everywhere.
    this.#lines.on('SIGINT', () => process.kill(process.pid, 'SIGINT'))
  }

  #answer(line: string | undefined): void {
    const wanted = this.#wanted
    this.#wanted = undefined
    wanted?.(line)
  }

  /** Undefined at the end of the input. */
  #ask(question: string): Promise<string | undefined> {
    this.#output.write(question)
    const line = this.#waiting.shift()
    if (line !== undefined || !this.#isOpen) {
      this.#output.write('\n')
      return Promise.resolve(line)
    }
    this.#lines.setPrompt(question)
    return new Promise((resolve) => {
      this.#wanted = resolve
    })
  }

  /** Until somebody wants to go on. */
  async afterSet(result: SetResult): Promise<'next' | 'quit'> {
    for (;;) {
      const line = await this.#ask(PROMPT)
      if (line === undefined) return this.#isAbandoned ? 'quit' : 'next'
      const outcome = await this.#answered(runCommand(line, result))
      if (outcome !== undefined) return outcome
    }
  }

  async #answered(outcome: Outcome): Promise<'next' | 'quit' | undefined> {
    switch (outcome.kind) {
      case 'said':
        this.#output.write(`${outcome.lines.join('\n')}\n`)
        return undefined
      case 'ask':
        return this.#answered(outcome.answered((await this.#ask(outcome.question)) ?? ''))
      default:
        return outcome.kind
    }
  }

  /** Nobody is asked any more, and no set follows. */
  close(): void {
    this.#isAbandoned = true
    this.#lines.close()
  }
}

const complete = (line: string): [string[], string] => [
  COMMAND_WORDS.filter((word) => word.startsWith(line.toLowerCase())),
  line,
]
