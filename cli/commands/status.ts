import type { Command } from 'commander'
import { table } from '../../client/format.ts'
import { inspectReplicas } from '../../client/inspect.ts'
import type { ReplicaReport } from '../../protocol/inspection.ts'
import { quorumOf } from '../../protocol/quorum.ts'
import { replicaId } from '../../protocol/types.ts'
import { examples } from '../arguments.ts'
import { claimKey } from '../client-key.ts'
import { EXIT, type ExitCode } from '../exit-code.ts'
import { DEFAULT_CLUSTER, invocation } from '../invocation.ts'
import { roleOf } from '../role.ts'
import { listed } from '../words.ts'

type Options = { readonly cluster: string; readonly json?: boolean }

/** How long a replica may take to answer: a handshake and a question, with room for a busy machine. */
const ANSWER_TIMEOUT_MS = 2_000
const DIGEST_SHOWN = 12

export function define(command: Command, exit: (code: ExitCode) => void): void {
  command
    .option('--cluster <directory>', "the cluster's directory", DEFAULT_CLUSTER)
    .option('--json', 'print one JSON document')
    .addHelpText(
      'after',
      `${examples('pbft status', 'pbft status --cluster bank --json')}\n\nExit code 1 when the cluster can order nothing now.`,
    )
    .action(async (options: Options) => exit(await status(options)))
}

async function status({ cluster, json = false }: Options): Promise<ExitCode> {
  const key = await claimKey(cluster)
  const replicas = key.files.cluster.replicas
  try {
    const reports = await inspectReplicas(key.files, { timeoutMs: ANSWER_TIMEOUT_MS })
    const rows = replicas.map(({ id, host, port }) => ({
      replica: id,
      address: `${host}:${port}`,
      report: reports.get(replicaId(id)),
    }))
    const verdict = judge(rows)
    if (json) process.stdout.write(`${JSON.stringify({ ...verdict, replicas: rows.map(toJson) })}\n`)
    else {
      const lines = [verdict.summary, ...accusations(rows)]
      process.stdout.write(`${table(HEADERS, rows.map(toCells))}\n\n${lines.join('\n')}\n`)
    }
    return verdict.orders && verdict.agree ? EXIT.pass : EXIT.fail
  } finally {
    key.release()
  }
}

export type StatusRow = {
  readonly replica: number
  readonly address: string
  readonly report: ReplicaReport | undefined
}

const HEADERS = ['replica', 'up', 'view', 'role', 'executed', 'chain', 'peers', 'address', 'database']

function toCells({ replica, address, report }: StatusRow): string[] {
  if (report === undefined) return [`${replica}`, 'no answer', '', '', '', '', '', address, '']
  const { view, lastExecuted, chain, peers, database } = report
  return [
    `${replica}`,
    `pid ${report.pid}`,
    `${view}`,
    roleOf(report),
    `${lastExecuted}`,
    chain.slice(0, DIGEST_SHOWN),
    listed(peers),
    address,
    `${database.url}${database.connected ? '' : ' (not connected)'}`,
  ]
}

const toJson = ({ replica, address, report }: StatusRow) =>
  report === undefined
    ? { replica, address, up: false }
    : { address, up: true, role: roleOf(report), ...report }

/** Whether requests can be ordered now, by what the replicas say of themselves. */
export function judge(rows: readonly StatusRow[]): {
  readonly orders: boolean
  /** False when two replicas say that they hold different histories at the same seq. */
  readonly agree: boolean
  readonly up: number
  readonly quorum: number
  readonly summary: string
} {
  const { quorum, f } = quorumOf(rows.length)
  const reports = rows.flatMap(({ report }) => report ?? [])
  const up = reports.length
  const amnesiacs = reports.filter(({ isAmnesiac }) => isAmnesiac).map(({ replica }) => replica)
  const conflict = conflictOf(reports)
  const facts = { up, quorum, agree: conflict === undefined }
  if (up < quorum) {
    const down = rows.filter(({ report }) => report === undefined).map(({ replica }) => replica)
    const summary = `no quorum: ${up} of ${rows.length} replicas answer, ${quorum} are needed (no answer from ${listed(down)})`
    return { ...facts, orders: false, summary }
  }
  if (up - amnesiacs.length < quorum) {
    const summary = `no quorum: ${listed(amnesiacs)} lost the vote log and may not vote yet; ${quorum} that vote are needed`
    return { ...facts, orders: false, summary }
  }
  const view = Math.max(...reports.map((report) => report.view))
  const primary = view % rows.length
  const spare = Math.min(up - amnesiacs.length - quorum, f)
  const lines = [
    `${up} of ${rows.length} replicas are up; ${spare} more may fail`,
    ...(reports.some(({ replica }) => replica === primary)
      ? []
      : [`replica ${primary} leads view ${view} and does not answer: the next request replaces it`]),
    ...(conflict === undefined ? [] : [conflict]),
  ]
  return { ...facts, orders: true, summary: lines.join('\n') }
}

/** [EV3] By whom, and where the proof is: a replica's word alone accuses nobody. */
export function accusations(rows: readonly StatusRow[]): string[] {
  const held = rows.flatMap(({ replica, report }) =>
    (report?.accused ?? []).map((one) => ({ holder: replica, ...one })),
  )
  const accused = [...new Set(held.map(({ replica }) => replica))].sort((a, b) => a - b)
  return accused.flatMap((replica) => {
    const against = held.filter((one) => one.replica === replica)
    const [first] = against
    if (first === undefined) return []
    const holders = against.map(({ holder }) => holder)
    return [
      `accused: replica ${replica} (${first.of}), evidence in ${first.file}` +
        ` (kept by ${holders.length === 1 ? 'replica' : 'replicas'} ${listed(holders)};` +
        ` \`${invocation()} evidence verify FILE\` judges it)`,
    ]
  })
}

/** Reports are not of one instant, so only those at the same seq can contradict each other. */
function conflictOf(reports: readonly ReplicaReport[]): string | undefined {
  for (const { lastExecuted, chain, replica } of reports) {
    const other = reports.find((report) => report.lastExecuted === lastExecuted && report.chain !== chain)
    if (other === undefined) continue
    return `replicas ${replica} and ${other.replica} have different chains at ${lastExecuted}: run \`${invocation()} check\`, which names the row`
  }
  return undefined
}
