import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { removeEmbedded } from '../../db/provision/embedded.ts'
import { isRunning } from '../../db/provision/postmaster.ts'
import { bundleOf } from '../../replica/local-cluster/layout.ts'
import { bundlePaths } from '../../replica/runtime/bundle.ts'

test('a harness that is killed with SIGKILL leaves no replica behind, and no server', async () => {
  const parent = await mkdtemp(join(tmpdir(), 'pbft-abandoned-'))
  // As root, Postgres runs as another user, who has to get to its files.
  await chmod(parent, 0o755)
  const directory = join(parent, 'cluster')
  const script = join(import.meta.dirname, 'live', 'abandoned.ts')
  const harness = spawn(process.execPath, [script, directory], { stdio: ['ignore', 'pipe', 'inherit'] })
  try {
    const [line] = await once(harness.stdout, 'data')
    const pids: number[] = JSON.parse(String(line))
    expect(pids).toHaveLength(8)
    harness.kill('SIGKILL')
    await expect.poll(() => pids.filter(isRunning), { timeout: 30_000 }).toEqual([])
  } finally {
    harness.kill('SIGKILL')
    const servers = [0, 1, 2, 3].map((id) => bundlePaths(bundleOf(directory, id)).postgres)
    await Promise.all(servers.map(removeEmbedded))
    await rm(parent, { recursive: true, force: true })
  }
})
