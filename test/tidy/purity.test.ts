import { expect, test } from 'vitest'
import { codeOf, filesBelow, linesMatching, type SourceFile, sources } from './tree.ts'

/** Whatever makes two runs with the same events differ: clocks, randomness, I/O, and turns of the event loop. */
const IMPURE =
  /\b(async|await|Promise|Date|performance|process|fetch|globalThis|queueMicrotask|set(Timeout|Interval|Immediate)|WeakRef|FinalizationRegistry)\b|\bMath\.random\b|\bcrypto\.(randomUUID|getRandomValues|subtle)\b/
const SURROUNDINGS = /\bprocess\.(argv|env)\b/

const inCode = (files: readonly SourceFile[], pattern: RegExp): string[] =>
  linesMatching(
    files.map(({ path, text }) => ({ path, text: codeOf(text) })),
    pattern,
  )

test('the core and the channel use no clock, randomness, I/O or promise', () => {
  const files = filesBelow('replica/core', 'protocol/channel')
  expect(files.length).toBeGreaterThan(0)
  expect(inCode(files, IMPURE)).toEqual([])
  expect(linesMatching(files, /from '(node:|(fs|crypto|timers|os|net|dgram|child_process)')/)).toEqual([])
})

test('only commands and entry points read the arguments and the environment', () => {
  const files = sources().filter(({ path }) => !path.startsWith('cli/') && path !== 'replica/runtime/main.ts')
  expect(inCode(files, SURROUNDINGS)).toEqual([])
  expect(linesMatching(files, /from '(node:)?process'/)).toEqual([])
})

test.each([
  'const now = Date.now()',
  'const n = Math.random()',
  'export async function step() {}',
  'setTimeout(tick, 5)',
  'const t = performance.now()',
  'const home = process.env.HOME',
])('"%s" would be caught in the core', (line) => {
  expect(inCode([{ path: 'replica/core/x.ts', text: line }], IMPURE)).toHaveLength(1)
})

test('comments and strings are no code', () => {
  const text = `// the Date of a message\n/* await\n   Date */ const s = 'Date'; const t = "it's async" // Date`
  expect(inCode([{ path: 'x.ts', text }], IMPURE)).toEqual([])
})
