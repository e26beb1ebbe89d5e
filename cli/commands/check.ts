import { setTimeout as delay } from 'node:timers/promises'
import type { Command } from 'commander'
import { type Comparison, compareDatabases } from '../../chaos/check/compare-databases.ts'
import { type OpenedDatabase, openDatabases, type UnreachableDatabase } from '../../chaos/check/databases.ts'
import { table } from '../../client/format.ts'
import { type Genesis, logWindowOf } from '../../protocol/config.ts'
import { loadCluster } from '../../replica/local-cluster.ts'
import { examples, wholeNumber } from '../arguments.ts'
import { EXIT, type ExitCode } from '../exit-code.ts'
import { DEFAULT_CLUSTER } from '../invocation.ts'
import { type Scope, withScope } from '../scope.ts'
import { listed, plural } from '../words.ts'

type Options = { readonly cluster: string; readonly wait: number; readonly json?: boolean }

const LOOK_AGAIN_MS = 250
const DIGEST_SHOWN = 16

export function define(command: Command, exit: (code: ExitCode) => void): void {
  command
    .option('--cluster <directory>', "the cluster's directory, with the replicas' bundles", DEFAULT_CLUSTER)
    .option(
      '--wait <seconds>',
      'how long a database that lags behind may take to catch up',
      wholeNumber(0, 3_600),
      10,
    )
    .option('--json', 'print one JSON document')
    .addHelpText('after', `${examples('pbft check', 'pbft check --cluster bank --json')}\n${EXPLANATION}`)
    .action(async (options: Options) => exit(await withScope((scope) => check(scope, options))))
}

const EXPLANATION = `
Compares every row at the highest sequence number that all databases have executed, on a running cluster or a stopped
one (embedded databases are started for it), and recomputes the chain and the balances from the transfers.

Exit codes: 0 all databases are equal, 1 they are not, 2 it can't be told (one is unreachable, or far behind).`

export type CheckVerdict = {
  readonly verdict: 'equal' | 'different' | 'unknown'
  readonly comparison: Comparison | null
  /** Why it can't be told. */
  readonly doubts: readonly string[]
}

async function check(scope: Scope, { cluster: directory, wait, json = false }: Options): Promise<ExitCode> {
  const { genesis } = await loadCluster(directory)
  const deadlineMs = performance.now() + wait * 1_000
  const found = await openSettled(scope, { directory, genesis, deadlineMs })
  const verdict = await judge(found, genesis)
  if (json) process.stdout.write(`${JSON.stringify({ ...verdict, databases: found.opened.map(toJson) })}\n`)
  else print(verdict, found)
  return { equal: EXIT.pass, different: EXIT.fail, unknown: EXIT.unknown }[verdict.verdict]
}

type Found = {
  readonly opened: readonly OpenedDatabase[]
  readonly unreachable: readonly UnreachableDatabase[]
}

const toJson = ({ replica, url, snapshot }: OpenedDatabase) => ({
  replica,
  url,
  lastExecuted: snapshot.position.lastExecuted,
})

/** Opened again while one lags behind but moves, until the deadline. */
async function openSettled(
  scope: Scope,
  args: { readonly directory: string; readonly genesis: Genesis; readonly deadlineMs: number },
): Promise<Found> {
  let lowestBefore = -1
  for (;;) {
    const found = await openDatabases(args.directory, args.genesis)
    const positions = positionsOf(found.opened)
    const lowest = Math.min(...positions)
    const isSettled = Math.max(...positions) - lowest <= logWindowOf(args.genesis.parameters)
    if (isSettled || lowest === lowestBefore || performance.now() > args.deadlineMs) {
      for (const { close } of found.opened) scope.defer(close)
      return found
    }
    await Promise.all(found.opened.map(({ close }) => close()))
    lowestBefore = lowest
    await delay(LOOK_AGAIN_MS)
  }
}

const positionsOf = (opened: readonly OpenedDatabase[]): number[] =>
  opened.map(({ snapshot }) => snapshot.position.lastExecuted)

async function judge({ opened, unreachable }: Found, genesis: Genesis): Promise<CheckVerdict> {
  const doubts = unreachable.map(
    ({ replica, reason }) => `replica ${replica}: its database can't be read: ${reason}`,
  )
  if (opened.length < 2) return { verdict: 'unknown', comparison: null, doubts }
  const window = logWindowOf(genesis.parameters)
  const highest = Math.max(...positionsOf(opened))
  for (const { replica, snapshot } of opened) {
    const behind = highest - snapshot.position.lastExecuted
    if (behind <= window) continue
    doubts.push(
      `replica ${replica}: its database is ${plural(behind, 'batch', 'batches')} behind and does not catch up`,
    )
  }
  const views = new Map(opened.map(({ replica, snapshot }) => [replica, snapshot]))
  const comparison = await compareDatabases(views, genesis)
  const differs = comparison.differences.length + comparison.contradictions.length > 0
  return { verdict: differs ? 'different' : doubts.length > 0 ? 'unknown' : 'equal', comparison, doubts }
}

function print({ verdict, comparison, doubts }: CheckVerdict, { opened }: Found): void {
  const out = (line: string) => process.stdout.write(`${line}\n`)
  if (comparison !== null) {
    const digests = new Map(comparison.databases.map(({ replica, digest }) => [replica, digest]))
    const rows = opened.map(({ replica, url, snapshot }) => [
      `${replica}`,
      `${snapshot.position.lastExecuted}`,
      (digests.get(replica) ?? '').slice(0, DIGEST_SHOWN),
      url,
    ])
    out(`${table(['replica', 'last_executed', `digest at ${comparison.seq}`, 'database'], rows)}\n`)
    for (const line of describeFindings(comparison)) out(line)
  }
  for (const doubt of doubts) out(doubt)
  const at = comparison === null ? '' : ` at sequence number ${comparison.seq}`
  if (verdict === 'equal')
    out(`all ${opened.length} databases hold the same rows${at}, and their chain follows from them`)
  else if (verdict === 'different') out(`the databases are NOT equal${at}`)
  else
    out(
      `it can't be told whether all databases are equal${comparison === null ? '' : `; those above are${at}`}`,
    )
}

/** One line per replica whose database is wrong. */
export function describeFindings({
  reference,
  databases,
  differences,
  contradictions,
}: Comparison): string[] {
  const wrong = new Set(differences.map(({ replica }) => replica))
  const equal = databases.map(({ replica }) => replica).filter((replica) => !wrong.has(replica))
  return [
    ...differences.map(({ replica, difference: { table, key, column, values } }) => {
      const [theirs, its] = values.map((value) => value ?? (column === null ? '(no such row)' : 'null'))
      const where = `table ${table}, row ${key}${column === null ? '' : `, column ${column}`}`
      return `replica ${replica} differs first in ${where}: it has ${its}, ${equal.length > 1 ? 'replicas' : 'replica'} ${listed(equal.length > 0 ? equal : [reference])} ${equal.length > 1 ? 'have' : 'has'} ${theirs}`
    }),
    ...contradictions.map(({ replica, contradiction: { table, key, column, is, shouldBe } }) => {
      const where = `table ${table}, row ${key}${column === null ? '' : `, column ${column}`}`
      return `replica ${replica} contradicts its own history in ${where}: it has ${is}, its transfers make it ${shouldBe}`
    }),
  ]
}
