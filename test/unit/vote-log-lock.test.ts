import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { expect, test } from 'vitest'
import { ZERO_DIGEST } from '../../protocol/types.ts'
import { VoteLog } from '../../replica/runtime/vote-log/vote-log.ts'
import { IDENTITY, OpenLog, temporaryDirectory } from './vote-log-fixture.ts'

const LOCK_MODULE = new URL('../../replica/runtime/vote-log/directory-lock.ts', import.meta.url)

/** A process that holds the lock until it is killed. */
async function holderOf(directory: string): Promise<ChildProcess> {
  const script = `
    const { DirectoryLock } = await import(${JSON.stringify(LOCK_MODULE.href)})
    globalThis.held = DirectoryLock.take(${JSON.stringify(directory)})
    console.log('held')
    setInterval(() => {}, 60_000)`
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  if (child.stdout === null) throw new Error('no output')
  await once(child.stdout, 'data')
  return child
}

test('[D2] one process per log: the other is named, and its kill -9 leaves nothing behind', async () => {
  using directory = temporaryDirectory()
  await VoteLog.create(directory.path, IDENTITY)
  const holder = await holderOf(directory.path)
  try {
    await expect(OpenLog.at(directory.path)).rejects.toMatchObject({
      code: 'locked',
      message: expect.stringContaining(`in use by process ${holder.pid}.`),
    })
  } finally {
    holder.kill('SIGKILL')
    await once(holder, 'exit')
  }
  await (await OpenLog.at(directory.path)).log.close()
})

test('[D2] a log is open once in a process, and free again after close or a refused start', async () => {
  using directory = temporaryDirectory()
  const first = await OpenLog.createAt(directory.path)
  await expect(OpenLog.at(directory.path)).rejects.toMatchObject({ code: 'locked' })
  await first.log.close()
  const foreign = { ...IDENTITY, genesisDigest: ZERO_DIGEST }
  await expect(VoteLog.open(directory.path, foreign)).rejects.toMatchObject({ code: 'foreign' })
  await (await OpenLog.at(directory.path)).log.close()
})
