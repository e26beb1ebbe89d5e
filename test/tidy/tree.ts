import { readdirSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'

export const ROOT = join(import.meta.dirname, '..', '..')
export const LAYERS = ['protocol', 'replica', 'client', 'db', 'chaos', 'cli']

/** `path` is relative to the repository, with forward slashes. */
export type SourceFile = { readonly path: string; readonly text: string }

const read = (path: string): SourceFile => ({ path, text: readFileSync(join(ROOT, path), 'utf8') })

/** All files below these directories, in order of their paths. */
export function filesBelow(...directories: readonly string[]): SourceFile[] {
  return directories
    .flatMap((directory) => readdirSync(join(ROOT, directory), { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map((entry) => relative(ROOT, join(entry.parentPath, entry.name)))
    .sort()
    .map(read)
}

/** The files that people write in the root directory: the lock file is npm's. */
export const rootFiles = (): SourceFile[] =>
  readdirSync(ROOT, { withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name !== 'package-lock.json')
    .map((entry) => read(entry.name))

export const sources = (): SourceFile[] => filesBelow(...LAYERS).filter(({ path }) => path.endsWith('.ts'))

/** TypeScript without comments and without the contents of strings: what remains is code, on the same lines. */
export const codeOf = (text: string): string =>
  text.replace(/\/\*[\s\S]*?\*\/|\/\/[^\n]*|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"/g, (match) =>
    match.startsWith('/') ? match.replace(/[^\n]/g, '') : `''`,
  )

/** `path:line: text` of every line that matches. */
export const linesMatching = (files: readonly SourceFile[], pattern: RegExp): string[] =>
  files.flatMap(({ path, text }) =>
    text
      .split('\n')
      .flatMap((line, index) => (pattern.test(line) ? [`${path}:${index + 1}: ${line.trim()}`] : [])),
  )
