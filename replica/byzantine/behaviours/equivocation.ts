import type { Message, PrePrepare, Request } from '../../../protocol/messages.ts'
import type { Digest, Seq } from '../../../protocol/types.ts'
import { apart, halfUnless, headerOf, type Liar, type Part, voteFor } from '../liar.ts'

/** Every third batch: the fooled are told the next number, the others the true one. */
const SHIFTED_EVERY = 3

/**
 * [NC3] Proposes to some what it proposes to the others, but with an old request, executed before [NC5], in place of its
 * first; or the same batch at the next number. Commits to each what each was told, everything properly signed. Its own
 * log holds the first version.
 */
export function equivocation(targets: readonly number[], liar: Liar): Part {
  const isTarget = halfUnless(targets)
  /** What the fooled were told in place of a batch, by its place. */
  const second = new Map<string, { readonly seq: Seq; readonly digest: Digest }>()
  let old: Request | undefined
  const place = ({ view, seq }: { readonly view: number; readonly seq: number }) => `${view}/${seq}`

  const proposal = (message: PrePrepare): PrePrepare => {
    const { header, batch } = message
    const known = second.get(place(header))
    const isShifted = header.seq % SHIFTED_EVERY === 0
    const [first, ...rest] = batch.requests
    const requests = isShifted ? batch.requests : old === undefined ? rest : [...rest, old]
    if (known === undefined) old = first
    const digest = liar.crypto.batchDigest(requests)
    const seq = (isShifted ? header.seq + 1 : header.seq) as Seq
    second.set(place(header), { seq, digest })
    const lie = headerOf(liar, { view: header.view, seq, digest })
    return { type: 'pre-prepare', header: lie, batch: { digest, requests } }
  }

  const lie = (message: Message): Message => {
    if (message.type === 'pre-prepare') {
      return message.batch.requests.length === 0 ? message : proposal(message)
    }
    if (message.type !== 'commit') return message
    const told = second.get(place(message))
    return told === undefined ? message : voteFor(liar, message, told)
  }
  return apart((peer, message) => {
    if (message.type === 'pre-prepare') return isTarget(peer, message.header.seq)
    return message.type === 'commit' && isTarget(peer, message.seq)
  }, lie)
}
