import type { Message, Reply } from '../../protocol/messages.ts'
import type { OperationResult } from '../../protocol/operations.ts'
import { decodeResults } from '../../protocol/results-codec.ts'
import { assertNever, type PrincipalId } from '../../protocol/types.ts'
import type { Claim, Observation } from '../../replica/core/effect.ts'
import type { VoteRecord } from '../../replica/core/vote-record.ts'
import { nameOf } from './parties.ts'

export const short = (digest: string): string => digest.slice(0, 4)

export function tellObservation(what: Observation): string {
  switch (what.kind) {
    case 'proposed':
      return `proposed n=${what.seq} operations=${what.operations}`
    case 'accepted':
    case 'prepared':
      return `${what.kind} n=${what.seq} ${short(what.digest)}`
    case 'committed':
      return `committed n=${what.seq} ${short(what.digest)}${what.how === 'votes' ? '' : ` by ${what.how}`}`
    case 'executed':
    case 'stable':
    case 'caught-up':
      return `${what.kind} n=${what.seq}`
    case 'rejected':
      return `rejected ${what.code} from=${nameOf(what.from)}`
    default:
      return assertNever(what)
  }
}

/** A message in a line: what tells it from another one of its type. */
export function tellMessage(message: Message): string {
  switch (message.type) {
    case 'request':
      return `request ${nameOf(message.client)}#${message.lane}/${message.number}`
    case 'pre-prepare':
      return `pre-prepare n=${message.header.seq} ${short(message.header.digest)}`
    case 'prepare':
    case 'commit':
      return `${message.type} n=${message.seq} ${short(message.digest)}`
    case 'checkpoint':
      return `checkpoint n=${message.seq} of r${message.replica}`
    case 'status': {
      const { lowWaterMark, lastExecuted, bodies, wordsWanted } = message
      const wants = bodies === null ? '' : ` wants bodies after ${bodies.after} from r${bodies.source}`
      return `status h=${lowWaterMark} executed=${lastExecuted}${wants}${wordsWanted ? ' wants words' : ''}`
    }
    case 'committed': {
      const with_ = message.batch === null ? 'word' : `body and ${message.commits.length} commits`
      return `committed n=${message.seq} ${short(message.digest)} ${with_}`
    }
    default:
      return message.type
  }
}

export const tellClaims = (claims: readonly Claim[]): string =>
  `verifies ${claims.map(({ statement: { type, signer } }) => `${type} of ${nameOf(signer)}`).join(', ')}`

export function tellReply({ client, lane, number, outcome }: Reply): string {
  return `-> ${nameOf(client)}#${lane}/${number} ${tellOutcome(outcome)}`
}

function tellOutcome(outcome: Reply['outcome']): string {
  switch (outcome.kind) {
    case 'executed':
      return (decodeResults(outcome.result) ?? []).map(tellResult).join(', ')
    case 'number-reused':
      return 'number-reused'
    case 'superseded':
      return `superseded by ${outcome.entryNumber}`
    default:
      return assertNever(outcome)
  }
}

function tellResult(result: OperationResult): string {
  switch (result.kind) {
    case 'refused':
      return `refused ${result.code}`
    case 'balance':
      return `balance ${result.balance}@${result.version}`
    default:
      return result.kind
  }
}

export function tellRecord(record: VoteRecord): string {
  switch (record.kind) {
    case 'pre-prepare':
    case 'prepared':
      return `${record.kind} n=${record.header.seq} ${short(record.header.digest)}`
    case 'committed':
      return `committed n=${record.seq} ${short(record.digest)} commits=${record.commits.length}`
    case 'batch':
    case 'checkpoint':
    case 'stable':
      return `${record.kind} n=${record.seq}`
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
