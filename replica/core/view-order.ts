import type { Checkpoint, PreparedCertificate, ViewChange } from '../../protocol/messages.ts'
import type { Quorum } from '../../protocol/quorum.ts'
import type { Digest, ReplicaId, Seq } from '../../protocol/types.ts'
import { primaryOf } from './config.ts'

/** One seq of O: the certificate that decides it; null where nothing was prepared: a null batch. */
export type OrderEntry = { readonly seq: Seq; readonly certificate: PreparedCertificate | null }

/** [VC2] What a new view starts from. */
export type Order = {
  /** min-s: the highest checkpoint that a VIEW-CHANGE proves, and the CHECKPOINTs that prove it. */
  readonly minS: Seq
  readonly checkpoints: readonly Checkpoint[]
  /** For every seq of (min-s, max-s], ascending. */
  readonly entries: readonly OrderEntry[]
}

export const maxSeqOf = ({ minS, entries }: Order): Seq => entries.at(-1)?.seq ?? minS

/**
 * [VC2] O as a function of all VIEW-CHANGEs that a NEW-VIEW names, in any order: min-s the highest checkpoint, max-s
 * the highest prepared seq, of each seq the certificate of the highest view, gaps null (paper, section 4.4). The
 * checkpoints are proven already. `isRefuted`: this certificate's signatures do not hold, so it is absent [VC1];
 * whoever calls verifies what was chosen, and calls again if some of it is refuted.
 */
export function orderOf(
  viewChanges: readonly ViewChange[],
  {
    quorum,
    window,
    isRefuted,
  }: {
    readonly quorum: Quorum
    readonly window: number
    readonly isRefuted: (certificate: PreparedCertificate) => boolean
  },
): Order {
  let minS = 0 as Seq
  let checkpoints: readonly Checkpoint[] = []
  for (const viewChange of viewChanges) {
    if (viewChange.lowWaterMark <= minS) continue
    minS = viewChange.lowWaterMark
    checkpoints = viewChange.checkpoints
  }
  const chosen = new Map<Seq, PreparedCertificate>()
  let maxS = minS
  for (const viewChange of viewChanges) {
    for (const certificate of viewChange.prepared) {
      const { seq } = certificate.header
      if (seq <= minS || !isWellFormed(certificate, { viewChange, quorum, window })) continue
      if (isRefuted(certificate)) continue
      if (outranks(certificate, chosen.get(seq))) chosen.set(seq, certificate)
      if (seq > maxS) maxS = seq
    }
  }
  const entries: OrderEntry[] = []
  for (let seq = minS + 1; seq <= maxS; seq++) {
    entries.push({ seq: seq as Seq, certificate: chosen.get(seq as Seq) ?? null })
  }
  return { minS, checkpoints, entries }
}

/**
 * [VC1] What can be seen of an entry without verifying it: within its VIEW-CHANGE's window and below its view, and
 * signed by q-1 distinct backups of the view that it names.
 */
function isWellFormed(
  { header, prepares }: PreparedCertificate,
  {
    viewChange,
    quorum,
    window,
  }: { readonly viewChange: ViewChange; readonly quorum: Quorum; readonly window: number },
): boolean {
  const { lowWaterMark, newView } = viewChange
  if (header.view >= newView || header.seq <= lowWaterMark || header.seq > lowWaterMark + window) return false
  const primary = primaryOf(header.view, quorum)
  const signers = new Set<ReplicaId>()
  for (const { replica } of prepares) if (replica < quorum.n && replica !== primary) signers.add(replica)
  return prepares.length === quorum.quorum - 1 && signers.size === prepares.length
}

/**
 * The higher view. Two valid certificates of one view have one digest; the order of digests only makes the choice the
 * same at every replica while one of them is not verified yet.
 */
function outranks(one: PreparedCertificate, other: PreparedCertificate | undefined): boolean {
  if (other === undefined || one.header.view !== other.header.view) {
    return other === undefined || one.header.view > other.header.view
  }
  return one.header.digest < other.header.digest
}

/** The batch at each seq of O. */
export const digestOfEntry = ({ certificate }: OrderEntry, nullBatch: Digest): Digest =>
  certificate?.header.digest ?? nullBatch
