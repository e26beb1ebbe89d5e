import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test, vi } from 'vitest'
import { digestOf } from '../../protocol/crypto.ts'
import { seq } from '../../protocol/types.ts'
import { cutToSynced } from '../../replica/runtime/vote-log/synced-note.ts'
import { VoteLog } from '../../replica/runtime/vote-log/vote-log.ts'
import { VoteLogError } from '../../replica/runtime/vote-log/vote-log-error.ts'
import {
  AMNESIA,
  copyLog,
  IDENTITY,
  OpenLog,
  prePrepare,
  prepared,
  stable,
  temporaryDirectory,
} from './vote-log-fixture.ts'
import { syscalls } from './vote-log-syscalls.ts'

vi.mock('node:fs/promises', async (original) => {
  const { mortal } = await import('./vote-log-syscalls.ts')
  return mortal(await original())
})

const FIRST = 'votes-00000001.log'

/** A log whose first record is damaged where a later one says that it was durable. */
async function damagedLog(directory: string): Promise<Buffer> {
  const opened = await OpenLog.createAt(directory)
  await opened.persist(prePrepare(1), prepared(1))
  await opened.persist(prePrepare(2), prepared(2))
  await opened.log.close()
  const file = join(directory, FIRST)
  const bytes = readFileSync(file)
  bytes.writeUInt8(bytes.readUInt8(600) ^ 1, 600)
  writeFileSync(file, bytes)
  return bytes
}

async function recoveredAt(directory: string) {
  const { log, recovered } = await OpenLog.at(directory)
  await log.close()
  return recovered
}

/** Everything that was put aside, by what the first segment holds. */
const asideOf = (parent: string) =>
  readdirSync(parent)
    .filter((name) => name.includes('.lost-'))
    .map((name) => ({ name, files: readdirSync(join(parent, name)).filter((file) => file.endsWith('.log')) }))

describe('[D5] a lost vote log', () => {
  test('that is damaged is kept aside, and the new one says that it is new until there is more', async () => {
    using directory = temporaryDirectory()
    const votes = join(directory.path, 'votes')
    mkdirSync(votes)
    const bytes = await damagedLog(votes)
    await expect(OpenLog.at(votes)).rejects.toMatchObject({ code: 'corrupt' })
    const { keptAt } = await VoteLog.replaceLost(votes, IDENTITY)
    expect(keptAt).toBe(`${votes}.lost-1`)
    expect(readFileSync(join(`${votes}.lost-1`, FIRST))).toEqual(bytes)

    const opened = await OpenLog.at(votes)
    expect(opened.recovered).toEqual([AMNESIA])
    await opened.persist(prePrepare(1), prepared(1))
    await opened.log.close()
    expect(await recoveredAt(votes)).toEqual([AMNESIA, prePrepare(1), prepared(1)])
  })

  test('that is gone leaves nothing to keep, with or without its directory', async () => {
    using directory = temporaryDirectory()
    const votes = join(directory.path, 'votes')
    expect(await VoteLog.replaceLost(votes, IDENTITY)).toEqual({ keptAt: null })
    expect(await recoveredAt(votes)).toEqual([AMNESIA])
    rmSync(join(votes, FIRST))
    expect(await VoteLog.replaceLost(votes, IDENTITY)).toEqual({ keptAt: null })
    expect(await recoveredAt(votes)).toEqual([AMNESIA])
    expect(asideOf(directory.path)).toEqual([])
  })

  test('is kept aside as often as it is lost', async () => {
    using directory = temporaryDirectory()
    const votes = join(directory.path, 'votes')
    mkdirSync(votes)
    for (const n of [1, 2]) {
      await damagedLog(votes)
      expect(await VoteLog.replaceLost(votes, IDENTITY)).toEqual({ keptAt: `${votes}.lost-${n}` })
      if (n === 1) rmSync(join(votes, FIRST))
    }
  })

  test('is none while it opens, is in use, or is another replica’s', async () => {
    using directory = temporaryDirectory()
    const opened = await OpenLog.createAt(directory.path)
    await opened.persist(prePrepare(1), prepared(1))
    await expect(VoteLog.replaceLost(directory.path, IDENTITY)).rejects.toMatchObject({ code: 'locked' })
    await opened.log.close()
    await expect(VoteLog.replaceLost(directory.path, IDENTITY)).rejects.toMatchObject({ code: 'exists' })
    const foreign = { ...IDENTITY, genesisDigest: digestOf(Buffer.from('another genesis')) }
    await expect(VoteLog.replaceLost(directory.path, foreign)).rejects.toMatchObject({ code: 'foreign' })
    expect(await recoveredAt(directory.path)).toEqual([prePrepare(1), prepared(1)])
  })

  test('the log that init wrote is none: it opens, without amnesia', async () => {
    using directory = temporaryDirectory()
    await VoteLog.create(directory.path, IDENTITY)
    expect(await recoveredAt(directory.path)).toEqual([])
  })

  test('what an interrupted replacement leaves is no log, or an amnesiac one, whatever the call', async () => {
    for (let call = 1, died = true; died; call++) {
      using directory = temporaryDirectory()
      const votes = join(directory.path, 'votes')
      mkdirSync(votes)
      const bytes = await damagedLog(votes)
      syscalls.dieIn(call)
      await VoteLog.replaceLost(votes, IDENTITY).catch(() => {})
      died = syscalls.revive()

      const found = await recoveredAt(votes).catch((error: unknown) => error)
      if (found instanceof VoteLogError) {
        expect(['missing', 'corrupt']).toContain(found.code)
        await VoteLog.replaceLost(votes, IDENTITY)
        expect(await recoveredAt(votes)).toEqual([AMNESIA])
      } else {
        expect(found).toEqual([AMNESIA])
      }
      // And the old files are there once, whole.
      const [aside, ...others] = asideOf(directory.path).filter(({ files }) => files.length > 0)
      expect(others).toEqual([])
      expect(readFileSync(join(directory.path, aside?.name ?? '', FIRST))).toEqual(bytes)
    }
  })
})

describe('[D1] the imitation of a power cut', () => {
  test('leaves all that was reported persisted, and nothing that was only written', async () => {
    using directory = temporaryDirectory()
    const [live, dead] = [join(directory.path, 'live'), join(directory.path, 'dead')]
    const opened = await OpenLog.createAt(live, 3_000, { noteSynced: true })
    const durable = [prePrepare(1), prepared(1), stable(1), prePrepare(2), prepared(2)]
    for (let n = 0; n < durable.length; n++) await opened.persist(...durable.slice(n, n + 1))
    opened.append(prePrepare(3))
    await opened.log.readCommitted({ from: seq(1), upTo: seq(1), bytesMax: 1 })
    copyLog(live, dead)
    await opened.log.close()
    await expect(recoveredAt(dead)).resolves.toContainEqual(prePrepare(3))

    expect((await cutToSynced(dead)).bytesCut).toBeGreaterThan(0)
    expect(await recoveredAt(dead)).toEqual([stable(1), prePrepare(2), prepared(2)])
  })

  test('[D2] of a log that began a segment behind the last sync leaves what that carries', async () => {
    using directory = temporaryDirectory()
    const [live, dead] = [join(directory.path, 'live'), join(directory.path, 'dead')]
    const opened = await OpenLog.createAt(live, 1_500, { noteSynced: true })
    await opened.persist(prePrepare(1), prepared(1))
    for (const n of [2, 3, 4]) {
      opened.append(prePrepare(n), prepared(n))
      await opened.log.readCommitted({ from: seq(1), upTo: seq(1), bytesMax: 1 })
    }
    copyLog(live, dead)
    await opened.log.close()
    await cutToSynced(dead)
    const left = await recoveredAt(dead)
    expect(left.slice(0, 2)).toEqual([prePrepare(1), prepared(1)])
    expect(left).not.toContainEqual(prepared(4))
  })

  test('refuses a log that is in use or was opened without the note', async () => {
    using directory = temporaryDirectory()
    const opened = await OpenLog.createAt(directory.path)
    await expect(cutToSynced(directory.path)).rejects.toMatchObject({ code: 'locked' })
    await opened.log.close()
    await expect(cutToSynced(directory.path)).rejects.toMatchObject({ code: 'io' })
  })
})
