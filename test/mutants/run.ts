import { spawn } from 'node:child_process'
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { MUTANTS, type Mutant, mutated } from './mutants.ts'

/**
 * Would it notice? Seeds each bug of mutants.ts into a copy of the tree, and lets the simulator, or the tests that the
 * mutant names, look for it. Exit code 0: every one was caught, and the tree without a bug was clean.
 *
 *   npm run mutants
 *   npm run mutants -- --only "quorum" --seeds 50
 */
const ROOT = resolve(import.meta.dirname, '../..')
const COPIED = ['protocol', 'replica', 'client', 'db', 'chaos', 'cli', 'migrations', 'docs', 'test']
const FILES = ['package.json', 'tsconfig.json', 'vitest.config.ts']

/** Simulated first, with no bug seeded. */
const CLEAN_SEEDS = 10

type Outcome =
  | { readonly caught: true; readonly by: string; readonly seeds: number | null; readonly how: string }
  | { readonly caught: false; readonly seeds: number }

const { values } = parseArgs({
  options: {
    only: { type: 'string', default: '' },
    seeds: { type: 'string', default: '100' },
    workers: { type: 'string', default: '2' },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})

if (values.help) {
  process.stdout.write(
    'npm run mutants -- [--only <part of a name>] [--seeds <n>] [--workers <n>] [--json]\n',
  )
} else {
  const chosen = MUTANTS.filter(({ name }) => name.includes(values.only))
  process.exitCode = await runAll(chosen, { seeds: Number(values.seeds), workers: Number(values.workers) })
}

type Effort = { readonly seeds: number; readonly workers: number }

async function runAll(mutants: readonly Mutant[], effort: Effort): Promise<number> {
  const directory = await mkdtemp(join(tmpdir(), 'pbft-mutants-'))
  try {
    for (const name of COPIED) await cp(join(ROOT, name), join(directory, name), { recursive: true })
    for (const name of FILES) await cp(join(ROOT, name), join(directory, name))
    await symlink(join(ROOT, 'node_modules'), join(directory, 'node_modules'))
    await requireClean(directory, mutants)
    const results: { readonly mutant: Mutant; readonly outcome: Outcome }[] = []
    for (const mutant of mutants) {
      const outcome = await withMutation(directory, mutant, () => look(directory, mutant, effort))
      results.push({ mutant, outcome })
      if (!values.json) process.stdout.write(`${line(mutant, outcome)}\n`)
    }
    const caught = results.filter(({ outcome }) => outcome.caught).length
    if (values.json) process.stdout.write(`${JSON.stringify({ caught, of: results.length, results })}\n`)
    else process.stdout.write(`\n${caught} of ${results.length} bugs caught\n`)
    return caught === results.length ? 0 : 1
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

/** A tree that fails without a bug would catch anything. @throws */
async function requireClean(directory: string, mutants: readonly Mutant[]): Promise<void> {
  const tests = [...new Set(mutants.flatMap((mutant) => mutant.tests ?? []))]
  const { code } = tests.length === 0 ? { code: 0 } : await run(directory, vitest(tests))
  if (code !== 0) throw new Error(`without any bug these fail: ${tests.join(' ')}`)
  const found = await hunt(directory, { seeds: CLEAN_SEEDS, workers: 1 })
  if (found !== undefined) throw new Error(`without any bug seed ${found.seed} fails: ${found.message}`)
}

function vitest(tests: readonly string[]): string[] {
  return ['node_modules/vitest/vitest.mjs', 'run', ...tests]
}

async function withMutation<T>(directory: string, mutant: Mutant, work: () => Promise<T>): Promise<T> {
  const path = join(directory, mutant.file)
  const text = await readFile(path, 'utf8')
  await writeFile(path, mutated(mutant, text))
  try {
    return await work()
  } finally {
    await writeFile(path, text)
  }
}

async function look(directory: string, mutant: Mutant, { seeds, workers }: Effort): Promise<Outcome> {
  if (mutant.tests !== undefined) {
    const { code } = await run(directory, vitest(mutant.tests))
    return code === 0
      ? { caught: false, seeds: 0 }
      : { caught: true, by: 'tests', seeds: null, how: mutant.tests.join(' ') }
  }
  const found = await hunt(directory, { seeds, workers })
  if (found === undefined) return { caught: false, seeds }
  return { caught: true, by: 'simulator', seeds: found.seed, how: `${found.kind}: ${found.message}` }
}

type Found = { readonly seed: number; readonly kind: string; readonly message: string }

/** The seeds are dealt out; the others stop when one found something. */
async function hunt(directory: string, { seeds, workers }: Effort): Promise<Found | undefined> {
  const stop = new AbortController()
  const shares = Array.from({ length: workers }, async (_, index): Promise<Found | undefined> => {
    const args = [
      'test/mutants/hunt.ts',
      '--from',
      `${index + 1}`,
      '--step',
      `${workers}`,
      '--seeds',
      `${seeds}`,
    ]
    const { out } = await run(directory, args, stop.signal)
    if (out.trim() === '') return undefined
    stop.abort()
    return JSON.parse(out) as Found
  })
  return (await Promise.all(shares)).filter((found) => found !== undefined).sort((a, b) => a.seed - b.seed)[0]
}

function run(
  directory: string,
  args: readonly string[],
  signal?: AbortSignal,
): Promise<{ readonly code: number | null; readonly out: string }> {
  return new Promise((settle, reject) => {
    const child = spawn(process.execPath, args, {
      cwd: directory,
      stdio: ['ignore', 'pipe', 'ignore'],
      ...(signal === undefined ? {} : { signal }),
    })
    let out = ''
    child.stdout.on('data', (chunk: Buffer) => {
      out += chunk.toString()
    })
    child.on('error', (error) =>
      error.name === 'AbortError' ? settle({ code: null, out: '' }) : reject(error),
    )
    child.on('close', (code) => settle({ code, out }))
  })
}

function line({ name, rule }: Mutant, outcome: Outcome): string {
  const head = `${outcome.caught ? 'caught' : 'MISSED'}  [${rule}] ${name}`
  if (!outcome.caught) return `${head}: nothing in ${outcome.seeds} seeds`
  return `${head}: ${outcome.seeds === null ? '' : `seed ${outcome.seeds}, `}${outcome.how.split('\n')[0]?.slice(0, 120)}`
}
