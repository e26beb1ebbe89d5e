import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { openDatabases } from '../../chaos/check/databases.ts'
import { dumpDatabase } from '../../chaos/check/dump/dump-database.ts'
import { type LogSource, logsBelow } from '../../chaos/check/logs/log-sources.ts'
import { type Gathered, genesisFrom, readDump } from '../../chaos/check/run-sources.ts'
import { redactUrl } from '../../db/provision/url.ts'
import { type Genesis, logWindowOf } from '../../protocol/config.ts'
import { bundleOf } from '../../replica/local-cluster/layout.ts'
import { loadCluster } from '../../replica/local-cluster.ts'
import { scanVoteLog } from '../../replica/runtime/vote-log/offline-scan.ts'
import { UsageError } from '../failure.ts'
import type { Scope } from '../scope.ts'
import { makeScratchDirectory } from '../temporary-directory.ts'
import { plural } from '../words.ts'

const LOOK_AGAIN_MS = 250

/** A cluster's own directory, whether its replicas run or not: the databases first, so that the logs know all of it. */
export async function sourcesOfCluster(
  scope: Scope,
  { directory, waitMs, history }: { directory: string; waitMs: number; history: string | null },
): Promise<Gathered> {
  const { genesis } = await loadCluster(directory)
  const { opened, unreachable } = await openSettled(scope, { directory, genesis, waitMs })
  const shelf = await makeScratchDirectory(scope, 'check')
  const read = await Promise.all(
    opened.map(({ replica, dump }) =>
      readDump(replica, async () => {
        const to = join(shelf, `${replica}`)
        await dump(to)
        return to
      }),
    ),
  )
  const positions = opened.map(({ replica, snapshot }) => ({ replica, at: snapshot.position.lastExecuted }))
  const logs = await Promise.all(genesis.replicas.map(({ id }) => logsBelow(bundleOf(directory, id), id)))
  return {
    places: new Map(opened.map(({ replica, url }) => [replica, url])),
    sources: {
      genesis,
      logs: logs.flat(),
      databases: read.flatMap(({ databases }) => databases),
      unreadable: [...unreachable, ...read.flatMap(({ unreadable }) => unreadable)],
      doubts: laggards(positions, genesis),
      history,
      samples: null,
      expected: { logs: true, wholeLogs: false, history: history !== null },
    },
  }
}

/** Databases anywhere, by URL, and vote logs by their directories. */
export async function sourcesOfUrls(
  scope: Scope,
  args: {
    readonly genesis: string
    readonly databases: readonly string[]
    readonly votes: readonly string[]
    readonly history: string | null
  },
): Promise<Gathered> {
  const genesis = await genesisFrom(args.genesis)
  const shelf = await makeScratchDirectory(scope, 'check')
  const read = await Promise.all(
    args.databases.map((url, index) =>
      readDump(null, async () => {
        const to = join(shelf, `${index}`)
        await dumpDatabase(url, to)
        return to
      }),
    ),
  )
  const databases = read.flatMap(({ databases }) => databases)
  const twice = databases.find(
    ({ meta }, i) => databases.findIndex((one) => one.meta.replica === meta.replica) < i,
  )
  if (twice !== undefined)
    throw new UsageError(`two of the databases are of replica ${twice.meta.replica}: give each once`)
  const places = read.flatMap(({ databases: [database] }, index): [number, string][] =>
    database === undefined ? [] : [[database.meta.replica, redactUrl(args.databases[index] ?? '')]],
  )
  const logs = await Promise.all(args.votes.map(logAt))
  return {
    places: new Map(places),
    sources: {
      genesis,
      logs,
      databases,
      unreadable: read.flatMap(({ unreadable }) => unreadable),
      doubts: [],
      history: args.history,
      samples: null,
      expected: { logs: logs.length > 0, wholeLogs: false, history: args.history !== null },
    },
  }
}

/** @throws UsageError when there is no vote log */
async function logAt(directory: string): Promise<LogSource> {
  for await (const { header } of scanVoteLog(directory)) {
    if (header !== null) return { replica: header.replica, directory, isCurrent: true }
    break
  }
  throw new UsageError(`${directory}: there is no vote log, or its first segment cannot be read`)
}

/** Opened again while one lags behind but moves, until the deadline. */
async function openSettled(
  scope: Scope,
  args: { readonly directory: string; readonly genesis: Genesis; readonly waitMs: number },
): ReturnType<typeof openDatabases> {
  const deadlineMs = performance.now() + args.waitMs
  let lowestBefore = -1
  for (;;) {
    const found = await openDatabases(args.directory, args.genesis)
    const positions = found.opened.map(({ snapshot }) => snapshot.position.lastExecuted)
    const lowest = Math.min(...positions)
    const isSettled = Math.max(...positions) - lowest <= logWindowOf(args.genesis.parameters)
    if (isSettled || lowest === lowestBefore || performance.now() > deadlineMs) {
      for (const { close } of found.opened) scope.defer(close)
      return found
    }
    await Promise.all(found.opened.map(({ close }) => close()))
    lowestBefore = lowest
    await delay(LOOK_AGAIN_MS, undefined, { signal: scope.signal })
  }
}

function laggards(
  positions: readonly { readonly replica: number; readonly at: number }[],
  { parameters }: Genesis,
): string[] {
  const highest = Math.max(...positions.map(({ at }) => at))
  return positions.flatMap(({ replica, at }) => {
    const behind = highest - at
    if (behind <= logWindowOf(parameters)) return []
    return [
      `replica ${replica}: its database is ${plural(behind, 'batch', 'batches')} behind and does not catch up`,
    ]
  })
}
