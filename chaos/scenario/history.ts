import { appendFileSync, writeFileSync } from 'node:fs'
import type { HistoryEvent } from '../check/history.ts'
import { encodeHistoryEvent } from '../check/history-lines.ts'

/** What clients did and were told since the state was fresh, in the file that the checker reads. */
export class History {
  readonly path: string

  constructor(path: string) {
    this.path = path
    this.restart()
  }

  restart(): void {
    writeFileSync(this.path, '')
  }

  record(event: HistoryEvent): void {
    appendFileSync(this.path, `${encodeHistoryEvent(event)}\n`)
  }
}
