import { describeEvidence } from '../../protocol/evidence.ts'
import type {
  Header,
  Message,
  PreparedCertificate,
  Reply,
  Status,
  ViewChange,
} from '../../protocol/messages.ts'
import type { OperationResult } from '../../protocol/operations.ts'
import { decodeResults } from '../../protocol/results-codec.ts'
import { NULL_BATCH } from '../../protocol/signing.ts'
import { assertNever, type Digest } from '../../protocol/types.ts'
import { nameOf } from './parties.ts'

export const short = (digest: Digest): string => (digest === NULL_BATCH.digest ? 'null' : digest.slice(0, 4))

/** Where a vote stands; view 0 goes without saying. */
export const at = ({ view, seq }: { readonly view: number; readonly seq: number }): string =>
  view === 0 ? `n=${seq}` : `v=${view} n=${seq}`

/** `[1:9c2e 2:null]` */
export const tellOrder = (headers: readonly Pick<Header, 'seq' | 'digest'>[]): string =>
  `[${headers.map(({ seq, digest }) => `${seq}:${short(digest)}`).join(' ')}]`

const tellPrepared = (prepared: readonly PreparedCertificate[]): string =>
  `[${prepared.map(({ header: { view, seq, digest } }) => `${seq}:${short(digest)}@${view}`).join(' ')}]`

/** A message in a line: what tells it from another one of its type. */
export function tellMessage(message: Message): string {
  switch (message.type) {
    case 'request':
      return `request ${nameOf(message.client)}#${message.lane}/${message.number}`
    case 'pre-prepare':
      return `pre-prepare ${at(message.header)} ${short(message.header.digest)}`
    case 'prepare':
    case 'commit':
      return `${message.type} ${at(message)} ${short(message.digest)}`
    case 'checkpoint':
      return `checkpoint n=${message.seq} of r${message.replica}`
    case 'view-change':
      return tellViewChange(message)
    case 'new-view': {
      const names = message.viewChanges.map(({ replica }) => replica).join(',')
      return `new-view v=${message.view} of=${names} O=${tellOrder(message.headers)}`
    }
    case 'status':
      return tellStatus(message)
    case 'committed': {
      const with_ = message.batch === null ? 'word' : `body and ${message.commits.length} commits`
      return `committed n=${message.seq} ${short(message.digest)} ${with_}`
    }
    case 'fetch-batch':
      return `fetch-batch n=${message.seq} ${short(message.digest)}`
    case 'fetched-batch':
      return `fetched-batch n=${message.seq} ${short(message.batch.digest)}`
    case 'fetch-checkpoint':
      return `fetch-checkpoint above=${message.above}`
    case 'state-offer':
      return `state-offer n=${message.checkpoint.seq}`
    case 'fetch-partitions':
      return `fetch-partitions n=${message.seq} ${message.partitions.map((p) => `"${p}"`).join(' ')}`
    case 'partitions': {
      const nodes = message.nodes.map(({ partition, node }) => `"${partition}" ${node.kind}`).join(', ')
      return `partitions n=${message.seq} ${message.isHeld ? nodes : 'not held'}`
    }
    case 'fetch-history':
      return `fetch-history up-to=${message.upTo}`
    case 'history':
      return `history up-to=${message.upTo} entries=${message.entries.length}`
    case 'testimony': {
      const { type, view, seq, signer, digests } = message.claim.statement
      return `testimony ${type} of r${signer} ${at({ view, seq })} ${short(digests[0] ?? NULL_BATCH.digest)}`
    }
    case 'evidence':
      return `evidence against r${message.accused}: ${describeEvidence(message)}`
    case 'reply':
      return `reply ${tellReply(message)}`
    case 'read':
    case 'read-reply':
    case 'inspect':
    case 'inspection':
      return message.type
    default:
      return assertNever(message)
  }
}

function tellViewChange({ newView, replica, lowWaterMark, incarnation, prepared }: ViewChange): string {
  const since = incarnation === 0 ? '' : ` incarnation=${incarnation}`
  return `view-change v=${newView} of r${replica} h=${lowWaterMark}${since} P=${tellPrepared(prepared)}`
}

function tellStatus(status: Status): string {
  const { view, highestViewChange, lowWaterMark, lastExecuted, isAmnesiac, bodies, wordsWanted } = status
  const views = highestViewChange > view ? ` v=${view}->${highestViewChange}` : view > 0 ? ` v=${view}` : ''
  const wants = bodies === null ? '' : ` wants bodies after ${bodies.after} from r${bodies.source}`
  const marks = `${isAmnesiac ? ' amnesiac' : ''}${wants}${wordsWanted ? ' wants words' : ''}`
  return `status${views} h=${lowWaterMark} executed=${lastExecuted}${marks}`
}

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
