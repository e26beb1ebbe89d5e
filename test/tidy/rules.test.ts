import { expect, test } from 'vitest'
import { filesBelow, LAYERS } from './tree.ts'

const ID = /[A-Z]{1,3}\d+/
/** A rule heads its paragraph in docs/protocol.md. */
const RULE = new RegExp(`^- \\*\\*\\[(${ID.source})\\]\\*\\*`, 'gm')

const protocol = filesBelow('docs').find(({ path }) => path === 'docs/protocol.md')?.text ?? ''
const rules = new Set([...protocol.matchAll(RULE)].map(([, id]) => id ?? ''))

/** Tests and scenarios are named after the rules that they show: `[NC5] ...`, or `[NC5] [D1] ...`. */
function tested(): Map<string, string> {
  const found = new Map<string, string>()
  for (const { path, text } of filesBelow('test')) {
    if (path.startsWith('test/tidy/')) continue
    for (const [name] of text.matchAll(/(?:['"`]|^# )(?:\[[A-Z]{1,3}\d+\] ?)+/gm)) {
      for (const [id] of name.matchAll(new RegExp(ID, 'g'))) found.set(id, path)
    }
  }
  return found
}

test('docs/protocol.md has rules, each of them once', () => {
  expect(rules.size).toBeGreaterThan(25)
  expect([...protocol.matchAll(RULE)]).toHaveLength(rules.size)
})

test('every rule has a test that is named after it', () => {
  const named = tested()
  expect([...rules].filter((id) => !named.has(id))).toEqual([])
})

test('every rule that a test is named after is in docs/protocol.md', () => {
  const unknown = [...tested()].filter(([id]) => !rules.has(id))
  expect(unknown.map(([id, path]) => `${path}: [${id}]`)).toEqual([])
})

test('every rule that the code cites is in docs/protocol.md', () => {
  const cited = filesBelow(...LAYERS).flatMap(({ path, text }) =>
    [...text.matchAll(/\[((?:NC|CP|VC|AU|EV|FS|D)\d+)\]/g)].map(([, id]) => ({ path, id: id ?? '' })),
  )
  const unknown = cited.filter(({ id }) => !rules.has(id))
  expect(unknown.map(({ path, id }) => `${path}: [${id}]`)).toEqual([])
})
