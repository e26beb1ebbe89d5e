import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

const MAIN = join(import.meta.dirname, '..', '..', 'cli', 'main.ts')

export type Ended = { readonly code: number | null; readonly stdout: string; readonly stderr: string }

/** One command, run to its end. */
export async function pbft(args: readonly string[], input = ''): Promise<Ended> {
  const running = new RunningCommand(args)
  running.child.stdin?.end(input)
  return running.ended
}

/** A command in the foreground, such as `up`. */
export class RunningCommand {
  readonly child: ChildProcess
  readonly ended: Promise<Ended>
  #stdout = ''
  #stderr = ''
  #onOutput: () => void = () => undefined

  constructor(args: readonly string[]) {
    this.child = spawn(process.execPath, [MAIN, ...args], { stdio: 'pipe' })
    this.child.stdout?.on('data', (chunk) => {
      this.#stdout += chunk
      this.#onOutput()
    })
    this.child.stderr?.on('data', (chunk) => {
      this.#stderr += chunk
      this.#onOutput()
    })
    this.ended = once(this.child, 'close').then(([code]) => ({
      code,
      stdout: this.#stdout,
      stderr: this.#stderr,
    }))
  }

  get stdout(): string {
    return this.#stdout
  }

  get stderr(): string {
    return this.#stderr
  }

  /** Resolves when the output has `text`. @throws Error when the command ends without it */
  says(text: string): Promise<void> {
    return this.#until(text, () => this.#stdout)
  }

  /** The same of what it writes to stderr. */
  saysError(text: string): Promise<void> {
    return this.#until(text, () => this.#stderr)
  }

  async #until(text: string, output: () => string): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#onOutput = () => {
      if (output().includes(text)) resolve()
    }
    this.#onOutput()
    const ended = await Promise.race([promise, this.ended])
    if (ended !== undefined && !output().includes(text)) {
      throw new Error(`it ended without "${text}":\n${ended.stdout}\n${ended.stderr}`)
    }
  }

  async stop(signal: NodeJS.Signals = 'SIGINT'): Promise<Ended> {
    if (this.child.exitCode === null) this.child.kill(signal)
    return this.ended
  }
}

/** Of the process that serves a bundle. */
export const pidOf = async (bundle: string): Promise<number> =>
  Number(await readFile(join(bundle, 'replica.pid'), 'utf8'))

/** A process that ended and that nobody has reaped yet has its number, and is no more. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
  } catch {
    return false
  }
  const stat = existsSync('/proc/self/stat') ? readFileSync(`/proc/${pid}/stat`, 'utf8') : ''
  return !/\) Z /.test(stat)
}
