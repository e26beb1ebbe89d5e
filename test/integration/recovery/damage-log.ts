import { open } from 'node:fs/promises'
import { segmentPath } from '../../../replica/runtime/vote-log/segment-file.ts'
import { listSegments } from '../../../replica/runtime/vote-log/segment-list.ts'

/** Flips a byte of the first quarter of the newest segment's records, which was on disk long before. */
export async function damageLog(directory: string): Promise<void> {
  const newest = (await listSegments(directory)).at(-1)
  if (newest === undefined) throw new Error(`${directory} has no segments`)
  const file = await open(segmentPath(directory, newest), 'r+')
  try {
    const contents = await file.readFile()
    const end = contents.findLastIndex((byte) => byte !== 0)
    const at = Math.floor(end / 4)
    await file.write(Buffer.of((contents[at] ?? 0) ^ 0x40), 0, 1, at)
  } finally {
    await file.close()
  }
}
