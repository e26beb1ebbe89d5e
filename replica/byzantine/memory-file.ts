import { appendFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { decodeMessage, encodeMessage, isMalformed } from '../../protocol/codec.ts'
import type { PrincipalId } from '../../protocol/types.ts'
import type { Memory, Said } from '../runtime/adversary.ts'

/** Of what earlier processes said the newest are kept. */
const BEFORE_MAX = 512

/** A message a line: its receivers, and its bytes in base64. A line that was cut short by a kill is passed over. */
export class MemoryFile implements Memory {
  readonly before: readonly Said[]
  readonly #path: string

  private constructor(path: string, before: readonly Said[]) {
    this.#path = path
    this.before = before
  }

  static open(path: string): MemoryFile {
    const text = existsSync(path) ? readFileSync(path, 'utf8') : ''
    const before = text.split('\n').flatMap(saidIn).slice(-BEFORE_MAX)
    writeFileSync(path, before.map(lineOf).join(''))
    return new MemoryFile(path, before)
  }

  remember(said: Said): void {
    appendFileSync(this.#path, lineOf(said))
  }
}

const lineOf = ({ to, message }: Said): string =>
  `${to.join()} ${Buffer.from(encodeMessage(message)).toString('base64')}\n`

function saidIn(line: string): Said[] {
  const [, to, bytes] = /^(\d+(?:,\d+)*) (\S+)$/.exec(line) ?? []
  if (to === undefined || bytes === undefined) return []
  const message = decodeMessage(Buffer.from(bytes, 'base64'))
  return isMalformed(message) ? [] : [{ to: to.split(',').map(Number) as PrincipalId[], message }]
}
