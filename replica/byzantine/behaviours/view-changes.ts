import type { PreparedCertificate, ViewChange, Vote } from '../../../protocol/messages.ts'
import type { Digest, ReplicaId, Seq, View } from '../../../protocol/types.ts'
import type { VoteRecord } from '../../../replica/core/vote-record.ts'
import { instead, type Liar, otherThan, type Part } from '../liar.ts'

const SIGNATURE_BYTES = 64
const REMEMBERED_MAX = 1_000

type Body = Pick<ViewChange, 'newView' | 'lowWaterMark' | 'incarnation' | 'checkpoints' | 'prepared'>

const withBody = (liar: Liar, change: (body: Body) => Body): Part =>
  instead((message) =>
    message.type === 'view-change' && message.replica === liar.config.self
      ? [liar.crypto.viewChange(change(message))]
      : [message],
  )

/** [VC1] Everything that it shows was true once: the checkpoint before the last, the lowest certificate of each number. */
export function staleCertificates(liar: Liar): Part {
  const oldest = new Map<Seq, PreparedCertificate>()
  const stable: Extract<VoteRecord, { kind: 'stable' }>[] = []
  const remember = (record: VoteRecord) => {
    if (record.kind === 'stable') {
      stable.push(record)
      if (stable.length > 2) stable.shift()
    } else if (record.kind === 'prepared' && !oldest.has(record.header.seq)) {
      oldest.set(record.header.seq, { header: record.header, prepares: record.prepares })
      if (oldest.size > REMEMBERED_MAX) for (const seq of [...oldest.keys()].slice(0, 100)) oldest.delete(seq)
    }
  }
  const stale = withBody(liar, (body) => {
    const [before] = stable
    const low = before === undefined || before.seq > body.lowWaterMark ? null : before
    const lowWaterMark = low?.seq ?? body.lowWaterMark
    const highest = Math.max(lowWaterMark, ...body.prepared.map(({ header }) => header.seq))
    return {
      ...body,
      lowWaterMark,
      checkpoints:
        low === null
          ? body.checkpoints
          : low.checkpoints.map((vote) => ({ type: 'checkpoint', ...low, ...vote })),
      // The newest is left out: whoever trusts this forgets what may be committed.
      prepared: [...oldest.values()]
        .filter(({ header: { seq } }) => seq > lowWaterMark && seq < highest)
        .sort((one, other) => one.header.seq - other.header.seq),
    }
  })
  return {
    effects: (effects) => {
      for (const effect of effects) if (effect.type === 'persist') remember(effect.record)
      return stale.effects?.(effects) ?? effects
    },
  }
}

/** [VC1] Its own certificates name other batches, and every number of the window has one, of the last view. */
export function forgedCertificates(liar: Liar): Part {
  const { quorum, logWindow } = liar.config
  const signature = () => Uint8Array.from({ length: SIGNATURE_BYTES }, () => Math.floor(256 * liar.random()))
  const forged = (view: View, seq: Seq, digest: Digest): PreparedCertificate => {
    const backups = Array.from({ length: quorum.n }, (_, id) => id as ReplicaId).filter(
      (id) => id !== view % quorum.n,
    )
    const prepares = backups
      .slice(0, quorum.quorum - 1)
      .map((replica): Vote => ({ replica, signature: signature() }))
    return { header: { view, seq, digest, signature: signature() }, prepares }
  }
  return withBody(liar, (body) => {
    const view = (body.newView - 1) as View
    const digest = otherThan(body.prepared[0]?.header.digest ?? liar.crypto.batchDigest([]))
    const prepared = Array.from({ length: logWindow }, (_, index) =>
      forged(view, (body.lowWaterMark + 1 + index) as Seq, digest),
    )
    return { ...body, prepared }
  })
}
