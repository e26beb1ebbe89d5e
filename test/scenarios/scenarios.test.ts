import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { parseScenarios, play, rewritten } from './runner.ts'

const FILES = readdirSync(import.meta.dirname).filter((name) => name.endsWith('.txt'))
/** `REWRITE=1 npx vitest run test/scenarios` takes what happens as what is expected. Read the diff. */
const REWRITE = process.env.REWRITE === '1'

for (const file of FILES) {
  const path = join(import.meta.dirname, file)
  const text = readFileSync(path, 'utf8')
  describe(file, () => {
    if (REWRITE) return test('is written anew', () => writeFileSync(path, rewritten(text)))
    for (const scenario of parseScenarios(text)) {
      test(scenario.title, () => expect(play(scenario).text).toBe(scenario.text))
      test(`[style] ${scenario.title}: the same events give the same effects`, () => {
        expect(play(scenario).transcript).toEqual(play(scenario).transcript)
      })
    }
    return undefined
  })
}
