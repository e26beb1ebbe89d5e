import { mkdir, readdir, rename } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { randomBytes } from '../../../protocol/crypto.ts'
import { DirectoryLock } from './directory-lock.ts'
import { MARKER_BYTES } from './frames.ts'
import { Group } from './group.ts'
import { encodeRecord, RECORD_TYPE } from './record-codec.ts'
import { recoverLog } from './recovery.ts'
import { SegmentFile, syncDirectory } from './segment-file.ts'
import { EMPTY_LOG, type LogIdentity, type SegmentHeader } from './segment-header.ts'
import { listSegments } from './segment-list.ts'
import { guarded, VoteLogError } from './vote-log-error.ts'

/** What `init` does, once in a replica's life: a log without a record. */
export async function createLog(directory: string, identity: LogIdentity): Promise<void> {
  await inDirectory(directory, () =>
    writeFirst(directory, { header: firstHeader(identity), carried: Buffer.alloc(0) }),
  )
}

/** Where the old files were put; null when there were none. */
export type Replaced = { readonly keptAt: string | null }

/**
 * [D5] A log in the place of one that is missing or corrupt, and of no other. Its only segment carries the amnesia
 * record and so never exists without it: wherever this is interrupted, there is no log that opens, or one that says
 * what it is.
 */
export function replaceLog(directory: string, identity: LogIdentity): Promise<Replaced> {
  return inDirectory(directory, async () => {
    await checkLost(directory, identity)
    const keptAt = await putAside(directory)
    const write = () => writeFirst(directory, amnesiac(firstHeader(identity)))
    await (keptAt === null ? write() : inDirectory(directory, write))
    return { keptAt }
  })
}

/** @throws VoteLogError 'exists' when the log is whole, and what `open` throws when it is something else than lost. */
async function checkLost(directory: string, identity: LogIdentity): Promise<void> {
  try {
    const { tail } = await recoverLog(directory, identity)
    await tail.close()
  } catch (error) {
    if (error instanceof VoteLogError && (error.code === 'missing' || error.code === 'corrupt')) return
    throw error
  }
  throw existingLog(directory)
}

type FirstSegment = { readonly header: SegmentHeader; readonly carried: Buffer }

function amnesiac(header: SegmentHeader): FirstSegment {
  const carried = new Group()
  carried.add(
    { ordinal: header.firstOrdinal, durable: 0, type: RECORD_TYPE.amnesia, seq: 0 },
    { marker: header.marker, payload: encodeRecord({ kind: 'amnesia' }) },
  )
  return {
    header: { ...header, firstOrdinal: header.firstOrdinal + 1, carriedBytes: carried.length },
    carried: carried.bytes,
  }
}

const firstHeader = (identity: LogIdentity): SegmentHeader => ({
  ...identity,
  marker: randomBytes(MARKER_BYTES),
  segment: 1,
  firstOrdinal: 1,
  carriedBytes: 0,
  earlier: EMPTY_LOG,
  previous: null,
})

async function inDirectory<T>(directory: string, work: () => Promise<T>): Promise<T> {
  await guarded(directory, 'making the directory', async () => {
    await mkdir(directory, { recursive: true })
    await syncDirectory(dirname(directory))
  })
  const lock = DirectoryLock.take(directory)
  try {
    return await work()
  } finally {
    lock.release()
  }
}

async function writeFirst(directory: string, first: FirstSegment): Promise<void> {
  if ((await listSegments(directory)).length > 0) throw existingLog(directory)
  const file = await SegmentFile.create(directory, first)
  await file.close()
}

/** Renames the directory, unless there is nothing in it worth keeping. */
function putAside(directory: string): Promise<string | null> {
  return guarded(directory, 'putting the old files aside', async () => {
    const names = await readdir(directory)
    if (names.every((name) => DirectoryLock.FILES.includes(name))) return null
    const parent = dirname(directory)
    const prefix = `${basename(directory)}.lost-`
    const earlier = (await readdir(parent))
      .filter((name) => name.startsWith(prefix))
      .map((name) => Number(name.slice(prefix.length)))
      .filter(Number.isInteger)
    const aside = join(parent, `${prefix}${Math.max(0, ...earlier) + 1}`)
    await rename(directory, aside)
    await syncDirectory(parent)
    return aside
  })
}

const existingLog = (directory: string): VoteLogError =>
  new VoteLogError(
    'exists',
    { file: directory },
    `${directory}: there is a vote log already, and it is never overwritten: a replica that forgets what it said can ` +
      'break the cluster. Choose another directory.',
  )
