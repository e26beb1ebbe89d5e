import { open } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import type { TraceLine } from '../../../replica/runtime/message-trace.ts'
import { describeTraceLine, isWorthSaying } from '../inspect/log.ts'
import { nameOf } from '../scenario.ts'
import { traceLineFrom } from './evidence.ts'

const POLL_MS = 100

type Followed = { readonly replica: number; readonly file: string; offset: number; rest: string }

/** Says what replicas write of their messages soon after they wrote it, merged by time. */
export class MessageTail {
  readonly #files: readonly Followed[]
  readonly #say: (line: string) => void
  readonly #running: Promise<void>
  #stopped = false
  #firstMs: number | undefined

  /** From here on: what the files hold already was said, or is of no interest. */
  static async follow(
    files: readonly { readonly replica: number; readonly file: string }[],
    say: (line: string) => void,
  ): Promise<MessageTail> {
    const followed = await Promise.all(
      files.map(async ({ replica, file }) => ({ replica, file, offset: await sizeOf(file), rest: '' })),
    )
    return new MessageTail(followed, say)
  }

  private constructor(files: readonly Followed[], say: (line: string) => void) {
    this.#files = files
    this.#say = say
    this.#running = this.#run()
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      await delay(POLL_MS)
      await this.#look()
    }
  }

  async #look(): Promise<void> {
    const read = await Promise.all(this.#files.map((file) => newLines(file)))
    const lines = read.flat().sort((a, b) => a.line.atMs - b.line.atMs)
    for (const { replica, line } of lines) {
      if (!isWorthSaying(line)) continue
      this.#firstMs ??= line.atMs
      const seconds = ((line.atMs - this.#firstMs) / 1_000).toFixed(3).padStart(8)
      this.#say(`${seconds} s  ${nameOf(replica)} ${describeTraceLine(line)}`)
    }
  }

  /** When everything that was written is said. */
  async stop(): Promise<void> {
    this.#stopped = true
    await this.#running
    await this.#look()
  }
}

async function newLines(
  followed: Followed,
): Promise<{ readonly replica: number; readonly line: TraceLine }[]> {
  const text = await readFrom(followed)
  const lines = `${followed.rest}${text}`.split('\n')
  followed.rest = lines.pop() ?? ''
  return lines.flatMap((one) => {
    const line = traceLineFrom(one)
    return line === undefined ? [] : [{ replica: followed.replica, line }]
  })
}

/** A replica that never ran has no file. */
async function readFrom(followed: Followed): Promise<string> {
  const file = await open(followed.file).catch(() => undefined)
  if (file === undefined) return ''
  try {
    const { size } = await file.stat()
    const bytes = Buffer.alloc(Math.max(0, size - followed.offset))
    const { bytesRead } = await file.read(bytes, 0, bytes.length, followed.offset)
    followed.offset += bytesRead
    return bytes.toString('utf8', 0, bytesRead)
  } finally {
    await file.close()
  }
}

async function sizeOf(path: string): Promise<number> {
  const file = await open(path).catch(() => undefined)
  try {
    return (await file?.stat())?.size ?? 0
  } finally {
    await file?.close()
  }
}
