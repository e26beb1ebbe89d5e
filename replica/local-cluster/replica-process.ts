import { type ChildProcess, spawn } from 'node:child_process'
import { extname, join } from 'node:path'
import { createInterface } from 'node:readline'

/** Its own end: log made durable, database stopped. */
const STOP_PATIENCE_MS = 30_000
/** A first start makes a database, which can't be stopped half-way without leaving what makes it behind. */
const START_PATIENCE_MS = 30_000
const LAST_WORDS_LINES_MAX = 10

export type ReplicaExit = {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  /** What it wrote to stderr last; empty when it said nothing. */
  readonly lastWords: string
}

/** A replica ended before it served. The message is what it said itself. */
export class ReplicaStartError extends Error {
  override name = 'ReplicaStartError'
}

/** One replica as a process of its own, which does not outlive `stop`. */
export class ReplicaProcess {
  readonly id: number
  readonly pid: number
  /** Resolves when it serves. @throws ReplicaStartError */
  readonly ready: Promise<void>
  readonly exited: Promise<ReplicaExit>
  readonly #child: ChildProcess
  #lastWords: string[] = []
  #isReady = false

  private constructor(id: number, child: ChildProcess & { readonly pid: number }) {
    this.id = id
    this.pid = child.pid
    this.#child = child
    this.exited = new Promise((resolve) => {
      child.once('close', (code, signal) => resolve({ code, signal, lastWords: this.#lastWords.join('\n') }))
    })
    this.#listen(child)
    this.ready = this.#untilReady(child)
    // Whoever waits for `ready` hears of it; nobody has to.
    this.ready.catch(() => undefined)
  }

  /** @throws ReplicaStartError when there is no process at all */
  static async spawn(id: number, bundle: string): Promise<ReplicaProcess> {
    // In a group of its own: Ctrl-C in a terminal reaches whoever runs the cluster, which then stops it in order.
    const child = spawn(process.execPath, [ENTRY_POINT, '--dir', bundle], {
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const { pid } = child
    if (pid !== undefined) return new ReplicaProcess(id, Object.assign(child, { pid }))
    const error = await new Promise<Error>((resolve) => child.once('error', resolve))
    throw new ReplicaStartError(`replica ${id}: no process could be started: ${error.message}`)
  }

  #listen(child: ChildProcess): void {
    if (child.stderr === null) return
    createInterface({ input: child.stderr }).on('line', (line) => {
      if (line.startsWith('(')) return // Node's own warnings
      this.#lastWords.push(line.replace(/^replica: /, ''))
      this.#lastWords = this.#lastWords.slice(-LAST_WORDS_LINES_MAX)
    })
  }

  async #untilReady(child: ChildProcess): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    if (child.stdout !== null) {
      createInterface({ input: child.stdout }).on('line', (line) => {
        if (!line.includes('"ready":true')) return
        this.#isReady = true
        resolve()
      })
    }
    const ended = await Promise.race([promise, this.exited])
    if (ended !== undefined) {
      throw new ReplicaStartError(`replica ${this.id} did not start: ${describeExit(ended)}`)
    }
  }

  /** It serves, or did before it ended. */
  get isReady(): boolean {
    return this.#isReady
  }

  /** Any end is fine; `exited` tells. */
  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  /** One that is on its way up gets there first. */
  async stop(): Promise<ReplicaExit> {
    const { promise: outOfPatience, resolve } = Promise.withResolvers<void>()
    const waiting = setTimeout(resolve, START_PATIENCE_MS)
    await Promise.race([this.ready.catch(() => undefined), this.exited, outOfPatience])
    clearTimeout(waiting)
    this.kill('SIGTERM')
    const timer = setTimeout(() => this.kill('SIGKILL'), STOP_PATIENCE_MS)
    const exit = await this.exited
    clearTimeout(timer)
    return exit
  }
}

export function describeExit({ code, signal, lastWords }: ReplicaExit): string {
  if (lastWords !== '') return lastWords
  return signal === null ? `exit code ${code}` : signal
}

/** The sources in a checkout, the compiled file in an installed package. */
const ENTRY_POINT = join(import.meta.dirname, '..', 'runtime', `main${extname(import.meta.filename)}`)
