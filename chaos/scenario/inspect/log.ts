import type { VoteRecord } from '../../../replica/core/vote-record.ts'
import type { TraceLine } from '../../../replica/runtime/message-trace.ts'
import type { ReplicaEvidence } from '../evidence.ts'
import { describeReplicas, nameOf, REPLICAS } from '../scenario.ts'
import { describeBatch, senderName, short } from './batches.ts'

/** The last messages that are shown; all are too many to read. */
const MESSAGES_SHOWN = 200

/** A replica's vote log, record by record, and the messages that it sent and received. */
export function logLines({ replica, role, lastExecuted, records, messages }: ReplicaEvidence): string[] {
  const [firstMs = 0] = messages.map(({ atMs }) => atMs)
  const telling = messages.filter((line) => 'event' in line || line.type !== 'status')
  const lines = messageLines(telling, firstMs)
  const shown = lines.slice(-MESSAGES_SHOWN)
  const left = shown.length < lines.length ? `, the last ${shown.length} lines` : ''
  return [
    `${nameOf(replica)} (${role}), executed up to seq ${lastExecuted}`,
    'its vote log:',
    ...(records.length === 0 ? ['  empty'] : records.map((record) => `  ${describeRecord(record)}`)),
    `its messages: ${messages.length}, of which ${messages.length - telling.length} are STATUS${left}`,
    ...shown,
  ]
}

/** What was sent to several at once is one line. */
function messageLines(messages: readonly TraceLine[], firstMs: number): string[] {
  const groups: { readonly line: TraceLine; readonly peers: number[] }[] = []
  for (const line of messages) {
    const last = groups.at(-1)
    if (last !== undefined && isSameSent(last.line, line)) last.peers.push(line.peer)
    else groups.push({ line, peers: 'event' in line ? [] : [line.peer] })
  }
  return groups.map(({ line, peers }) => {
    const seconds = ((line.atMs - firstMs) / 1_000).toFixed(3).padStart(8)
    return `  ${seconds} s  ${describeTraceLine(line, peers)}`
  })
}

type MessageLine = Exclude<TraceLine, { readonly event: string }>

function isSameSent(first: TraceLine, line: TraceLine): line is MessageLine {
  if ('event' in first || 'event' in line) return false
  return (
    first.atMs === line.atMs &&
    first.direction === 'sent' &&
    line.direction === 'sent' &&
    describeMessage(first) === describeMessage(line)
  )
}

export function describeRecord(record: VoteRecord): string {
  switch (record.kind) {
    case 'pre-prepare': {
      const { view, seq, digest } = record.header
      return `PRE-PREPARE  view ${view} seq ${seq} ${short(digest)}: ${describeBatch(record.batch)}`
    }
    case 'prepared': {
      const { view, seq, digest } = record.header
      return `prepared     view ${view} seq ${seq} ${short(digest)}: PREPAREs of ${votersOf(record.prepares)}`
    }
    case 'committed': {
      const by =
        record.commits.length === 0 ? 'the word of f+1 replicas' : `COMMITs of ${votersOf(record.commits)}`
      return `committed    view ${record.view} seq ${record.seq} ${short(record.digest)}: ${by}`
    }
    case 'batch':
      return `batch        seq ${record.seq}: ${describeBatch(record.batch)}`
    case 'checkpoint':
      return `CHECKPOINT   seq ${record.seq} state ${short(record.stateRoot)}`
    case 'stable':
      return `stable       seq ${record.seq}: CHECKPOINTs of ${votersOf(record.checkpoints)}`
    case 'view-change':
      return `VIEW-CHANGE  to view ${record.message.newView}, prepared: ${record.message.prepared.length}`
    case 'new-view':
      return `NEW-VIEW     view ${record.message.view}, O of ${record.message.headers.length}`
    case 'amnesia':
      return 'lost its log'
    case 'recovered':
      return `votes again from view ${record.view} on`
  }
}

const votersOf = (votes: readonly { readonly replica: number }[]): string =>
  describeReplicas(votes.map(({ replica }) => replica).sort((a, b) => a - b))

/** Replicas as n1 to n7, clients by their letters. */
export const peerName = (peer: number): string => (peer < REPLICAS ? nameOf(peer) : senderName(peer))

/** Each message once, by who sent it; of clients' by who received it. STATUS is sent all the time. */
export const isWorthSaying = (line: TraceLine): boolean =>
  'event' in line || (line.type !== 'status' && (line.direction === 'sent' || line.peer >= REPLICAS))

/** @param peers whom it went to, when these are several */
export function describeTraceLine(line: TraceLine, peers?: readonly number[]): string {
  if ('event' in line) {
    return line.event === 'full' ? 'no more is written: the file is full' : `${line.event} ${line.view}`
  }
  const names = (peers ?? [line.peer]).map(peerName).join(', ')
  return `${line.direction === 'sent' ? '->' : '<-'} ${names}  ${describeMessage(line)}`
}

function describeMessage({ type, view, seq, digest }: MessageLine): string {
  return [
    type.toUpperCase(),
    ...(view === undefined ? [] : [`view ${view}`]),
    ...(seq === undefined ? [] : [`seq ${seq}`]),
    ...(digest === undefined ? [] : [digest]),
  ].join(' ')
}
