import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { BEHAVIOURS } from '../../../replica/byzantine/behaviour.ts'

test('docs/adversaries.md lists the behaviours as the code has them', () => {
  const page = readFileSync(join(import.meta.dirname, '../../../docs/adversaries.md'), 'utf8')
  const listed = [...page.matchAll(/^\| `([\w-]+)` \| (\w*) ?\| (.*) \|$/gm)].map((row) => row.slice(1, 4))
  const known = Object.entries(BEHAVIOURS).map(([name, { argument, does }]) => [
    name,
    argument === 'none' ? '' : argument,
    does,
  ])
  expect(listed).toEqual(known)
})
