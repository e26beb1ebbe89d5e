import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { MUTANTS, mutated } from '../mutants/mutants.ts'

test('there are enough seeded bugs, each with a name of its own', () => {
  expect(MUTANTS.length).toBeGreaterThanOrEqual(25)
  expect(new Set(MUTANTS.map(({ name }) => name)).size).toBe(MUTANTS.length)
})

test.each(MUTANTS.map((mutant) => [mutant.name, mutant] as const))('%s still fits its file', (_, mutant) => {
  const text = readFileSync(mutant.file, 'utf8')
  expect(mutated(mutant, text)).not.toBe(text)
})
