import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { cruise, type ICruiseResult } from 'dependency-cruiser'
import extractConfig from 'dependency-cruiser/config-utl/extract-depcruise-config'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { LAYERS, ROOT, sources } from './tree.ts'

const { options, ...ruleSet } = await extractConfig(join(ROOT, '.dependency-cruiser.cjs'))

async function check(baseDir: string, directories: readonly string[]): Promise<ICruiseResult> {
  const { tsConfig: _, ...rest } = options ?? {}
  const { output } = await cruise([...directories], { ...rest, ruleSet, validate: true, baseDir })
  if (typeof output === 'string') throw new Error('expected a result, not a report')
  return output
}

const violations = (result: ICruiseResult): string[] =>
  result.summary.violations.map(({ rule, from, to }) => `${rule.name}: ${from} -> ${to}`)

test('the tree keeps to its layers, and all of it was looked at', async () => {
  const result = await check(ROOT, LAYERS)
  expect(violations(result)).toEqual([])
  const seen = new Set(result.modules.map(({ source }) => source))
  const unseen = sources().filter(({ path }) => !seen.has(path))
  expect(unseen.map(({ path }) => path)).toEqual([])
})

/** A tree that breaks each rule once. */
const BROKEN: readonly { readonly rule: string; readonly from: string; readonly imports: string }[] = [
  { rule: 'protocol-imports-no-sibling', from: 'protocol/a.ts', imports: '../db/b.ts' },
  { rule: 'core-is-pure', from: 'replica/core/channel.ts', imports: '../../protocol/channel.ts' },
  { rule: 'core-is-pure', from: 'replica/core/signing.ts', imports: '../../protocol/signing.ts' },
  { rule: 'core-is-pure', from: 'replica/core/database.ts', imports: '../../db/b.ts' },
  { rule: 'core-is-pure', from: 'replica/core/runtime.ts', imports: '../runtime/ok.ts' },
  { rule: 'core-is-pure', from: 'replica/core/builtin.ts', imports: 'node:fs' },
  { rule: 'runtime-imports-core-protocol-db', from: 'replica/runtime/a.ts', imports: '../byzantine/b.ts' },
  { rule: 'replica-stands-below-its-users', from: 'replica/byzantine/a.ts', imports: '../../client/b.ts' },
  { rule: 'client-imports-protocol-only', from: 'client/a.ts', imports: '../db/b.ts' },
  { rule: 'db-imports-protocol-only', from: 'db/a.ts', imports: '../replica/core/ok.ts' },
  { rule: 'nothing-imports-cli', from: 'chaos/a.ts', imports: '../cli/b.ts' },
  { rule: 'production-imports-no-test', from: 'cli/a.ts', imports: '../test/b.ts' },
  { rule: 'one-place-for-datagrams', from: 'chaos/proxy.ts', imports: 'node:dgram' },
  { rule: 'everything-resolves', from: 'cli/lost.ts', imports: './nowhere.ts' },
]
const ALLOWED: readonly { readonly from: string; readonly imports: string }[] = [
  { from: 'protocol/udp.ts', imports: 'node:dgram' },
  { from: 'replica/core/ok.ts', imports: '../../protocol/messages.ts' },
  { from: 'replica/runtime/ok.ts', imports: '../core/ok.ts' },
  { from: 'test/ok.ts', imports: '../cli/b.ts' },
]
const PLAIN = [
  'protocol/channel.ts',
  'protocol/messages.ts',
  'protocol/signing.ts',
  'replica/byzantine/b.ts',
].concat(['client/b.ts', 'db/b.ts', 'cli/b.ts', 'test/b.ts'])

let tree: string
let found: string[]

beforeAll(async () => {
  tree = mkdtempSync(join(tmpdir(), 'pbft-layers-'))
  const files = new Map(PLAIN.map((path) => [path, 'export type B = 1\n']))
  for (const { from, imports } of [...BROKEN, ...ALLOWED]) {
    files.set(from, `import type { B } from '${imports}'\nexport type A = B\n`)
  }
  files.set('chaos/one.ts', `import { other } from './other.ts'\nexport const one = () => other\n`)
  files.set('chaos/other.ts', `import { one } from './one.ts'\nexport const other = () => one\n`)
  for (const [path, text] of files) {
    mkdirSync(join(tree, dirname(path)), { recursive: true })
    writeFileSync(join(tree, path), text)
  }
  found = violations(await check(tree, [...LAYERS, 'test']))
})

afterAll(() => rmSync(tree, { recursive: true, force: true }))

test.each(BROKEN)('$rule catches $from importing $imports', ({ rule, from }) => {
  expect(found.filter((line) => line.startsWith(`${rule}: ${from} -> `))).toHaveLength(1)
})

test('no-cycles catches two modules that need each other to load', () => {
  expect(found.filter((line) => line.startsWith('no-cycles: '))).not.toEqual([])
})

test.each(ALLOWED)('$from may import $imports', ({ from }) => {
  expect(found.filter((line) => line.includes(`: ${from} -> `))).toEqual([])
})
