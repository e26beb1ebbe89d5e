import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { mutated } from './mutants.ts'

/**
 * Does the checker explain it? Seeds a bug into a copy of the tree, lets a chaos run of real processes meet it, and
 * demands that the run fails and the checker names the row. Prints what a user would see.
 *
 *   node test/mutants/chaos.ts [DIRECTORY OF THE RUN]
 */
const ROOT = resolve(import.meta.dirname, '../..')
const COPIED = [
  'protocol',
  'replica',
  'client',
  'db',
  'chaos',
  'cli',
  'migrations',
  'package.json',
  'tsconfig.json',
]

/** The row of an account that took part in seven transfers is written with six: what reads it next is none the wiser. */
const BUG = {
  name: 'an account’s seventh transfer is not counted in its row',
  rule: 'D3',
  file: 'db/postgres/write.ts',
  find: "{ type: 'int8', of: ({ after }) => after.entries },",
  replace: "{ type: 'int8', of: ({ after }) => (after.entries === 7 ? 6 : after.entries) },",
}
const PLAN = `name: seeded bug
seconds: 8
cluster: { scrubIntervalMs: 60000, checkpointInterval: 128 }
load: { clients: 2, callers: 2, coldAccounts: 100, floor: 1 }
steps:
  - { kind: ProcessChaos, action: kill, mode: one, duration: 1s }
`

const directory = await mkdtemp(join(tmpdir(), 'pbft-chaos-bug-'))
try {
  for (const name of COPIED) await cp(join(ROOT, name), join(directory, name), { recursive: true })
  await symlink(join(ROOT, 'node_modules'), join(directory, 'node_modules'))
  const file = join(directory, BUG.file)
  await writeFile(file, mutated(BUG, await readFile(file, 'utf8')))
  const plan = join(directory, 'plan.yaml')
  await writeFile(plan, PLAN)
  const run = process.argv[2] ?? join(directory, 'run')
  const { code, out } = await pbft(directory, ['chaos', 'run', plan, '--seed', '1', '--out', run])
  const isExplained = /table accounts, row \S+, column entries/.test(out)
  process.stdout.write(`\n${isExplained ? 'explained' : 'NOT EXPLAINED'}: ${BUG.name} (exit code ${code})\n`)
  process.exitCode = code === 1 && isExplained ? 0 : 1
} finally {
  await rm(directory, { recursive: true, force: true })
}

async function pbft(cwd: string, args: readonly string[]): Promise<{ code: number | null; out: string }> {
  const child = spawn(process.execPath, ['cli/main.ts', ...args], {
    cwd,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let out = ''
  child.stdout.on('data', (chunk: Buffer) => {
    out += chunk.toString()
    process.stdout.write(chunk)
  })
  const [code] = await once(child, 'close')
  return { code, out }
}
