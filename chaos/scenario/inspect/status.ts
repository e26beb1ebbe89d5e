import { table } from '../../../client/format.ts'
import { parseRequestName } from '../../../protocol/operations.ts'
import type { Digest } from '../../../protocol/types.ts'
import type { ReplicaEvidence } from '../evidence.ts'
import { nameOf } from '../scenario.ts'
import { batchAt, type Slot, slotsOf, stateOf } from '../slots.ts'
import { describeBatch } from './batches.ts'

/** What `status` is asked about; 'all': every sequence number that anybody knows of. */
export type StatusQuery =
  | { readonly kind: 'all' }
  | { readonly kind: 'seq'; readonly seq: number }
  /** A transaction, written as in files and without spaces; or the digest of a request. */
  | { readonly kind: 'transaction'; readonly text: string }
  | { readonly kind: 'request'; readonly digest: Digest }

/** Undefined: it is none of these. Empty: all. */
export function parseStatusQuery(text: string): StatusQuery | undefined {
  const plain = text.trim()
  if (plain === '') return { kind: 'all' }
  if (/^[1-9]\d{0,8}$/.test(plain)) return { kind: 'seq', seq: Number(plain) }
  const name = parseRequestName(plain)
  if (name !== undefined) return { kind: 'request', digest: name.digest }
  const parts = plain.replaceAll(/[()\s]/g, '')
  if (/^[a-j](,[a-j],\d+)?$/i.test(parts)) return { kind: 'transaction', text: `(${parts.toUpperCase()})` }
  return undefined
}

/** A row for each sequence number, a column for each replica: PP, P, C, E or X. */
export function statusLines(query: StatusQuery, replicas: readonly ReplicaEvidence[]): string[] {
  const logs = new Map(
    replicas.map((replica) => [replica, new Map(slotsOf(replica).map((slot) => [slot.seq as number, slot]))]),
  )
  const known = [...new Set([...logs.values()].flatMap((slots) => [...slots.keys()]))].sort((a, b) => a - b)
  const slotsAt = (seq: number): Slot[] => [...logs.values()].flatMap((slots) => slots.get(seq) ?? [])
  const seqs =
    query.kind === 'seq'
      ? [query.seq]
      : known.filter((seq) => slotsAt(seq).some((slot) => isMeant(slot, query)))
  if (seqs.length === 0)
    return [query.kind === 'all' ? 'nothing was proposed' : 'no replica was ever proposed that: X everywhere']
  const rows = seqs.map((seq) => [
    `${seq}`,
    ...replicas.map((replica) => stateOf(seq, logs.get(replica)?.get(seq), replica)),
    batchOf(slotsAt(seq)),
  ])
  return [
    table(['seq', ...replicas.map(({ replica }) => nameOf(replica)), 'batch'], rows),
    'PP pre-prepared, P prepared, C committed, E executed, X none of them',
  ]
}

/** As anybody who has it knows it. */
function batchOf(slots: readonly Slot[]): string {
  if (slots.length === 0) return '-'
  return describeBatch(slots.map(batchAt).find((batch) => batch !== undefined))
}

function isMeant({ batches }: Slot, query: StatusQuery): boolean {
  const requests = [...batches.values()].flatMap(({ requests }) => requests)
  switch (query.kind) {
    case 'all':
    case 'seq':
      return true
    case 'request':
      return requests.some(({ digest }) => digest === query.digest)
    case 'transaction':
      return [...batches.values()].some((batch) =>
        describeBatch(batch).replaceAll(' ', '').includes(query.text),
      )
  }
}
