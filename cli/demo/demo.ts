import { compareDatabases } from '../../chaos/check/compare-databases.ts'
import { openDatabases } from '../../chaos/check/databases.ts'
import { Random } from '../../chaos/sim/random.ts'
import { abandon, Load } from '../../chaos/workload/load.ts'
import { drawOperation } from '../../chaos/workload/operations.ts'
import { type Bank, connect } from '../../client/client.ts'
import { runCommands } from '../../client/run.ts'
import type { ReplicaReport } from '../../protocol/inspection.ts'
import type { LocalCluster } from '../../replica/local-cluster.ts'
import { claimKeys } from '../client-key.ts'
import { describeFindings } from '../commands/check.ts'
import { EXIT, type ExitCode } from '../exit-code.ts'
import type { Scope } from '../scope.ts'
import { makeTemporaryCluster } from '../temporary-cluster.ts'
import { grouped, listed, plural } from '../words.ts'
import { sideBySide } from './account-tables.ts'
import { Observer } from './observer.ts'

const REPLICAS = 4
const COMMANDS = 'deposit A 100, get A, deposit B 200, get B, withdraw C 100, get C'
/** As many as the killed replica has to miss, and some. */
const MISSED_MIN = 500
const MISS = 550
/** Few operations to a batch, so that many batches pass in a short time. */
const CALLERS = 8
const LANES = 8

/** Rejects a demonstration that does not show what it should. */
class DemoError extends Error {
  override name = 'DemoError'
}

export async function runDemo(scope: Scope, { keep }: { readonly keep: boolean }): Promise<ExitCode> {
  const startedMs = performance.now()
  const say = (line: string) => {
    const at = ((performance.now() - startedMs) / 1_000).toFixed(1).padStart(5)
    process.stdout.write(`${at} s  ${line}\n`)
  }
  say(`starting ${REPLICAS} replicas, each with a Postgres server of its own ...`)
  const { cluster, directory } = await makeTemporaryCluster(scope, { name: 'demo', replicas: REPLICAS, keep })
  await cluster.start()
  const [own, observing] = await claimKeys(directory, 2)
  if (own === undefined || observing === undefined) throw new Error('two keys were asked for')
  scope.defer(() => own.release())
  scope.defer(() => observing.release())
  const bank = await connect({ cluster: own.files, limits: { lanes: LANES, divideOperationsMin: 1 } })
  const loads: Load[] = []
  scope.defer(() => abandon(loads, [bank]))
  const observer = new Observer(observing.files, scope.signal)
  say(`all ${REPLICAS} serve over UDP; a quorum is 3, so one may fail`)
  await showCommands(bank, say)
  await loseAndRecover({ loads, bank, cluster, observer, say })
  const code = await compare(scope, { cluster, say })
  if (keep) say(`the cluster is in ${directory}`)
  return code
}

type Say = (line: string) => void

async function showCommands(bank: Bank, say: Say): Promise<void> {
  say(`client: ${COMMANDS}`)
  const out = { write: (text: string) => say(`  ${text.trimEnd()}`) }
  const code = await runCommands(bank, COMMANDS, { json: false, out })
  if (code !== 0) throw new DemoError('the first commands were not all executed')
}

type Stage = {
  readonly loads: Load[]
  readonly bank: Bank
  readonly cluster: LocalCluster
  readonly observer: Observer
  readonly say: Say
}

async function loseAndRecover(stage: Stage): Promise<void> {
  const { loads, bank, cluster, observer, say } = stage
  const random = new Random(1)
  const accounts = cluster.genesis.accounts.map(({ id }) => id)
  const load = new Load([bank], {
    callersEach: CALLERS,
    draw: () => drawOperation('transfer', { random, accounts }),
  })
  loads.push(load)
  say(`load: ${CALLERS} callers move money between ${accounts.length} accounts`)
  await bringBack(await losePrimary(stage), stage)
  const { operations, errors } = load.cut()
  await load.stop()
  say(`load stopped: ${plural(operations, 'transfer')} answered, ${errors} without an answer`)
  await observer.until('all replicas are at the same batch', (reports) => {
    const positions = [...reports.values()].map(({ lastExecuted }) => lastExecuted)
    return positions.length === REPLICAS && new Set(positions).size === 1
  })
}

type Lost = { readonly replica: number; readonly stoodAt: number }

/** @returns the primary, which was killed, and has missed enough by now */
async function losePrimary({ loads, cluster, observer, say }: Stage): Promise<Lost> {
  const reports = await observer.until('all replicas answer', ({ size }) => size === REPLICAS)
  const [any] = reports.values()
  const victim = [...reports.values()].find(({ replica }) => replica === any?.primary)
  if (victim === undefined) throw new DemoError('the primary does not say how it is')
  for (const load of loads) load.cutSilence()
  const killedMs = performance.now()
  await cluster.killReplica(victim.replica)
  say(`killed replica ${victim.replica}, the primary (pid ${victim.pid}), with SIGKILL`)
  const from = victim.lastExecuted
  const after = await observer.until(
    `the others commit ${MISS} batches`,
    (now) => highestOf(now) >= from + MISS,
  )
  const [next] = after.values()
  const silence = loads[0]?.cutSilence()
  const waited =
    silence === undefined ? '' : `, first answer ${Math.round(silence.endedMs - killedMs)} ms after the kill`
  say(`view ${next?.view}: replica ${next?.primary} is the primary now${waited}`)
  say(`the other three went on: ${grouped(highestOf(after) - from)} batches committed without it`)
  return { replica: victim.replica, stoodAt: from }
}

async function bringBack({ replica, stoodAt }: Lost, { cluster, observer, say }: Stage): Promise<void> {
  const missed = (await observer.highest()) - stoodAt
  await cluster.startReplica(replica)
  say(`started replica ${replica} again; the load goes on`)
  const report = await observer.untilCaughtUp(replica)
  say(
    `replica ${replica} has caught up at ${report.lastExecuted}: it missed ${grouped(missed)} batches, ${waysBack(report)}`,
  )
  if (missed < MISSED_MIN) throw new DemoError(`it missed only ${missed} batches, not ${MISSED_MIN}`)
}

/** How the replica came back, in this process's life. */
function waysBack({ committed, counters }: ReplicaReport): string {
  const { proof = 0, words = 0, log = 0, votes = 0 } = committed
  const installed = counters['transfer-installed'] ?? 0
  const ways = [
    log > 0 ? `${grouped(log)} redone from its own log` : '',
    installed > 0 ? `${plural(installed, 'state')} fetched from the others' checkpoints` : '',
    proof > 0 ? `${grouped(proof)} taken with proofs of commitment` : '',
    words > 0 ? `${grouped(words)} on the word of f+1 replicas` : '',
    `${grouped(votes)} voted on since`,
  ]
  return listed(ways.filter((way) => way !== ''))
}

const highestOf = (reports: ReadonlyMap<number, ReplicaReport>): number =>
  Math.max(0, ...[...reports.values()].map(({ lastExecuted }) => lastExecuted))

async function compare(
  scope: Scope,
  { cluster, say }: { readonly cluster: LocalCluster; readonly say: Say },
): Promise<ExitCode> {
  const { opened, unreachable } = await openDatabases(cluster.directory, cluster.genesis)
  for (const { close } of opened) scope.defer(close)
  for (const { replica, reason } of unreachable) say(`replica ${replica}: ${reason}`)
  const views = new Map(opened.map(({ replica, snapshot }) => [replica, snapshot]))
  const comparison = await compareDatabases(views, cluster.genesis)
  say(`the four databases at sequence number ${comparison.seq}, read from Postgres:\n`)
  process.stdout.write(`${await sideBySide(views, comparison)}\n\n`)
  const findings = describeFindings(comparison)
  for (const finding of findings) say(finding)
  if (findings.length > 0 || opened.length < REPLICAS) {
    say('The databases do NOT agree.')
    return EXIT.fail
  }
  say(`All ${REPLICAS} databases agree: same rows, same digest, at sequence number ${comparison.seq}.`)
  return EXIT.pass
}
