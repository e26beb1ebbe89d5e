import { describeEvidence } from '../../protocol/evidence.ts'
import type { PrincipalId } from '../../protocol/types.ts'
import { assertNever, isDigest } from '../../protocol/types.ts'
import type { Claim, Effect, Observation } from '../../replica/core/effect.ts'
import type { RowMismatch } from '../../replica/core/event.ts'
import type { VoteRecord } from '../../replica/core/vote-record.ts'
import { at, short, tellMessage, tellOrder } from './message-narration.ts'
import { nameOf } from './parties.ts'

export function tellObservation(what: Observation): string {
  switch (what.kind) {
    case 'proposed':
      return `proposed n=${what.seq} operations=${what.operations}`
    case 'accepted':
    case 'prepared':
    case 'body-fetched':
      return `${what.kind} n=${what.seq} ${short(what.digest)}`
    case 'committed':
      return `committed n=${what.seq} ${short(what.digest)}${what.how === 'votes' ? '' : ` by ${what.how}`}`
    case 'executed':
    case 'stable':
    case 'caught-up':
    case 'transfer-started':
    case 'transfer-moved':
    case 'transfer-installed':
      return `${what.kind} n=${what.seq}`
    case 'transfer-source-replaced':
      return `${what.kind} ${nameOf(what.source)}`
    case 'view-change-started':
      return `view-change v=${what.view} prepared=${what.prepared}`
    case 'primary-too-slow':
      return `${what.kind} v=${what.view}`
    case 'view-entered':
      return `new-view v=${what.view}`
    case 'tampered':
    case 'repaired':
      return `${what.kind} ${what.rows.map(tellRow).join(', ')}`
    case 'amnesiac-recovering':
    case 'amnesiac-votes-again':
      return `${what.kind} incarnation=${what.incarnation}`
    case 'evidence':
      return `evidence against ${nameOf(what.evidence.accused)}: ${describeEvidence(what.evidence)}`
    case 'rejected':
      return `rejected ${what.code} from=${nameOf(what.from)}`
    default:
      return assertNever(what)
  }
}

const tellRow = ({ table, key, column, expected, found }: RowMismatch): string =>
  `${table} ${key}${column === null ? '' : `.${column}`}: ${tellCell(expected)} -> ${tellCell(found)}`

/** A digest by its beginning, anything else as it is. */
const tellCell = (cell: string | null): string =>
  cell === null ? 'none' : isDigest(cell) ? short(cell) : cell

export const tellClaims = (claims: readonly Claim[]): string =>
  `verifies ${claims.map(({ statement: { type, signer } }) => `${type} of ${nameOf(signer)}`).join(', ')}`

/** What a core asks of its database, timers and log; null for what is told elsewhere. */
export function tellWork(effect: Effect): string | null {
  switch (effect.type) {
    case 'take-checkpoint':
    case 'install-transfer':
    case 'cancel-transfer':
      return effect.type
    case 'keep-checkpoints':
      return `keep-checkpoints ${effect.seqs.length === 0 ? 'none' : effect.seqs.join(',')}`
    case 'collect-garbage':
      return `collect-garbage up-to=${effect.upTo}`
    case 'begin-transfer':
      return `begin-transfer n=${effect.seq}${effect.rescan ? ' rescan' : ''}`
    case 'stage-partition':
      return `stage-partition "${effect.partition}" ${effect.node.kind}`
    case 'stage-history':
      return `stage-history ${effect.entries.map(({ seq }) => seq).join(',')}`
    case 'read-partitions':
      return `read-partitions n=${effect.seq} for ${nameOf(effect.reader)}`
    case 'read-history':
      return `read-history up-to=${effect.upTo} for ${nameOf(effect.reader)}`
    case 'persist':
    case 'send':
    case 'verify':
    case 'execute':
    case 'read-state':
    case 'read-committed':
    case 'keep-evidence':
    case 'set-timer':
    case 'stop-timer':
    case 'observe':
    case 'halt':
      return null
    default:
      return assertNever(effect)
  }
}

export function tellRecord(record: VoteRecord): string {
  switch (record.kind) {
    case 'pre-prepare':
    case 'prepared':
      return `${record.kind} ${at(record.header)} ${short(record.header.digest)}`
    case 'committed':
      return `committed ${at(record)} ${short(record.digest)} commits=${record.commits.length}`
    case 'batch':
    case 'checkpoint':
    case 'stable':
      return `${record.kind} n=${record.seq}`
    case 'view-change':
      return tellMessage(record.message)
    case 'new-view':
      return `new-view v=${record.message.view} O=${tellOrder(record.message.headers)}`
    case 'amnesia':
      return 'amnesia'
    case 'recovered':
      return `recovered incarnation=${record.incarnation} v=${record.view}`
    default:
      return assertNever(record)
  }
}

/**
 * Lines of one command, those that differ only in the replica made one: `r1,r2 prepared n=1 9c2e`. What one replica
 * did stays in order of its first mention; finer order needs finer commands.
 */
export function grouped(lines: readonly { readonly by: PrincipalId; readonly text: string }[]): string[] {
  const groups = new Map<string, PrincipalId[]>()
  const seen = new Map<string, number>()
  for (const { by, text } of lines) {
    // The second time that a replica says the same is another line.
    const nth = (seen.get(`${by} ${text}`) ?? 0) + 1
    seen.set(`${by} ${text}`, nth)
    const key = `${nth} ${text}`
    groups.set(key, [...(groups.get(key) ?? []), by])
  }
  return [...groups].map(([key, who]) => {
    const names = who.sort((a, b) => a - b).map(nameOf)
    return `${names.join(',')} ${key.slice(key.indexOf(' ') + 1)}`
  })
}
