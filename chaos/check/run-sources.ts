import { access, readFile } from 'node:fs/promises'
import { type Genesis, parseGenesis } from '../../protocol/config.ts'
import { replicaPaths, runPaths } from '../run/layout.ts'
import { DumpedDatabase } from './dump/dumped-database.ts'
import { logsBelow } from './logs/log-sources.ts'
import type { CheckSources, UnreadableDatabase } from './sources.ts'

/** Where each database is, for people. */
export type Places = ReadonlyMap<number, string>
export type Gathered = { readonly sources: CheckSources; readonly places: Places }

/** What is needed before anything can be judged is not there; the message says which file. */
export class NothingToCheckError extends Error {
  override name = 'NothingToCheckError'
}

/** What a chaos run left. @throws NothingToCheckError where there is no genesis; ConfigError where it is none */
export async function sourcesOfRun(directory: string): Promise<Gathered> {
  const paths = runPaths(directory)
  const genesis = await genesisFrom(paths.genesis)
  const replicas = genesis.replicas.map(({ id }) => ({ id, at: replicaPaths(directory, id) }))
  const logs = await Promise.all(replicas.map(({ id, at }) => logsBelow(at.directory, id)))
  const read = await Promise.all(replicas.map(({ id, at }) => readDump(id, async () => at.database)))
  return {
    places: new Map(replicas.map(({ id, at }) => [id, at.database])),
    sources: {
      genesis,
      logs: logs.flat(),
      databases: read.flatMap(({ databases }) => databases),
      unreadable: read.flatMap(({ unreadable }) => unreadable),
      doubts: [],
      history: paths.history,
      samples: (await exists(paths.samples)) ? paths.samples : null,
      expected: { logs: true, wholeLogs: true, history: true },
    },
  }
}

/** @throws NothingToCheckError; ConfigError where the file is no genesis */
export async function genesisFrom(name: string): Promise<Genesis> {
  const text = await readFile(name, 'utf8').catch((error: Error) => {
    const hint = 'Give the file that `pbft init` made, or the directory of a run that has it.'
    throw new NothingToCheckError(`${name}: it cannot be read: ${error.message}. ${hint}`)
  })
  return parseGenesis({ name, text })
}

export type ReadDump = {
  readonly databases: readonly DumpedDatabase[]
  readonly unreadable: readonly UnreadableDatabase[]
}

/** `dumped` resolves with the directory of the dump. `replica`: whose it should be; null: anybody's. */
export async function readDump(replica: number | null, dumped: () => Promise<string>): Promise<ReadDump> {
  try {
    const database = await DumpedDatabase.open(await dumped())
    const id = database.meta.replica
    if (replica !== null && id !== replica)
      return { databases: [], unreadable: [{ replica, reason: `it says that it is of replica ${id}` }] }
    return { databases: [database], unreadable: [] }
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    return { databases: [], unreadable: [{ replica, reason }] }
  }
}

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  )
