import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { ROOT } from './tree.ts'

type Package = {
  readonly hasInstallScript?: boolean
  readonly optionalDependencies?: Readonly<Record<string, string>>
}
const readJson = (name: string) => JSON.parse(readFileSync(join(ROOT, name), 'utf8'))
const manifest: { allowScripts: Record<string, boolean>; license: string; files: string[]; bin: unknown } =
  readJson('package.json')
const packages = Object.entries<Package>(readJson('package-lock.json').packages)

const nameOf = (path: string): string =>
  path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length)

test('allowScripts decides on every package that has an install script, on every platform', () => {
  const undecided = packages.filter(([path, { hasInstallScript }]) => {
    return hasInstallScript === true && manifest.allowScripts[nameOf(path)] === undefined
  })
  expect(undecided.map(([path]) => path)).toEqual([])
})

test('the lock file has the optional packages of every platform, without which npm ci refuses it', () => {
  const locked = new Set(packages.map(([path]) => path))
  const missing = packages.flatMap(([path, { optionalDependencies }]) =>
    Object.keys(optionalDependencies ?? {}).filter(
      (name) => !locked.has(`node_modules/${name}`) && !locked.has(`${path}/node_modules/${name}`),
    ),
  )
  expect(missing).toEqual([])
})

test('what is published is compiled, with its migrations and licence', () => {
  expect(manifest).toMatchObject({
    license: 'Apache-2.0',
    bin: { pbft: 'dist/cli/main.js' },
    files: expect.arrayContaining(['dist', 'migrations']),
  })
  expect(readFileSync(join(ROOT, 'LICENSE'), 'utf8')).toContain('Version 2.0, January 2004')
})
