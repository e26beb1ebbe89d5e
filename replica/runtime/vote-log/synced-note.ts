import { closeSync, openSync, writeSync } from 'node:fs'
import { readFile, truncate } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { DirectoryLock } from './directory-lock.ts'
import { segmentOfName, segmentPath } from './segment-file.ts'
import { listSegments, readHeader } from './segment-list.ts'
import { guarded, ioError, missingLog } from './vote-log-error.ts'

const NOTE_FILE = 'synced'
const NUMBER_BYTES = 8
const NOTE_BYTES = 2 * NUMBER_BYTES

/**
 * How far the log is synced, on file: segment and length, each a u64. Written before anybody hears of it and never
 * synced itself: it outlives a kill of the process, and tells from outside what a power cut would have left. The
 * records' own `durable` can't: of the last group, which others may know of, it says nothing yet.
 */
export class SyncedNote {
  readonly #path: string
  readonly #file: number
  readonly #bytes = Buffer.alloc(NOTE_BYTES)

  private constructor(path: string, file: number) {
    this.#path = path
    this.#file = file
  }

  /** In the directory of this segment. */
  static beside(segment: string): SyncedNote {
    const path = join(dirname(segment), NOTE_FILE)
    return new SyncedNote(path, openSync(path, 'w', 0o600))
  }

  /** @throws VoteLogError 'io' */
  write({ segment, bytes }: { readonly segment: string; readonly bytes: number }): void {
    this.#bytes.writeBigUInt64BE(BigInt(segmentOfName(basename(segment)) ?? 0))
    this.#bytes.writeBigUInt64BE(BigInt(bytes), NUMBER_BYTES)
    try {
      writeSync(this.#file, this.#bytes, 0, NOTE_BYTES, 0)
    } catch (cause) {
      throw ioError(this.#path, 'a write', cause)
    }
  }

  close(): void {
    closeSync(this.#file)
  }
}

/**
 * Imitates a power cut: of the log of a process that was killed, opened with `noteSynced`, it leaves what was synced.
 * Returns how many bytes went, zeros written ahead included.
 *
 * @throws VoteLogError 'missing', 'locked', 'corrupt', 'other-version' or 'io'; 'io' also when there is no note
 */
export async function cutToSynced(directory: string): Promise<{ readonly bytesCut: number }> {
  const last = (await listSegments(directory)).at(-1)
  if (last === undefined) throw missingLog(directory)
  const lock = DirectoryLock.take(directory)
  try {
    const note = await guarded(directory, 'reading how far it is synced', () =>
      readFile(join(directory, NOTE_FILE)),
    )
    const path = segmentPath(directory, last)
    const { header, headerBytes, fileBytes } = await readHeader(path)
    // An earlier segment was synced whole before the last one was made, and that one with what it carries.
    const isNoted = Number(note.readBigUInt64BE()) === last
    const synced = isNoted ? Number(note.readBigUInt64BE(NUMBER_BYTES)) : headerBytes + header.carriedBytes
    await guarded(path, 'cutting it', () => truncate(path, synced))
    return { bytesCut: fileBytes - synced }
  } finally {
    lock.release()
  }
}
