import { expect, test } from 'vitest'
import { codeOf, filesBelow, LAYERS, linesMatching, rootFiles, sources } from './tree.ts'

const LINES_MAX = 500

// This file has to spell out what it forbids.
const everything = [...filesBelow(...LAYERS, 'test', 'docs', 'migrations', '.ci'), ...rootFiles()].filter(
  ({ path }) => path !== 'test/tidy/files.test.ts',
)
const code = everything.filter(({ path }) => path.endsWith('.ts'))

test(`no file has more than ${LINES_MAX} lines`, () => {
  const long = everything.filter(
    ({ path, text }) => path !== 'LICENSE' && !path.endsWith('.svg') && text.split('\n').length > LINES_MAX,
  )
  expect(long.map(({ path }) => path)).toEqual([])
})

test('no test is left out, singled out or repeated until it passes', () => {
  const tests = code.filter(({ path }) => path.endsWith('.test.ts'))
  expect(
    linesMatching(tests, /\b(test|it|describe)\.(skip|only|todo|fails|skipIf|runIf)\b|\bretry: *[1-9]/),
  ).toEqual([])
})

test('no check of types or style is switched off', () => {
  expect(linesMatching(code, /@ts-(ignore|expect-error|nocheck)|biome-ignore|eslint-disable/)).toEqual([])
})

test('nothing is left for later without an issue', () => {
  expect(linesMatching(everything, /\b(TODO|FIXME|XXX|HACK)\b/)).toEqual([])
})

test('no path of one machine', () => {
  expect(linesMatching(everything, /(^|[^\w.~-])\/(home|work|Users|mnt)\/\w/)).toEqual([])
})

test('names are those of the field', () => {
  const names = sources().map(({ path, text }) => ({ path, text: codeOf(text) }))
  expect(
    linesMatching(names, /\b(leader|term|manager|helpers?|utils?)\b|[a-z](Leader|Manager|Helper|Util)\b/),
  ).toEqual([])
  expect(sources().filter(({ path }) => /(^|[/.-])(helpers?|utils?|manager|misc)[./-]/.test(path))).toEqual(
    [],
  )
})
