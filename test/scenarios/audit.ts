import type { Message } from '../../protocol/messages.ts'
import type { Digest, ReplicaId, Seq, View } from '../../protocol/types.ts'
import type { VoteRecord } from '../../replica/core/vote-record.ts'
import { bodyIn } from './disk.ts'

/** What a replica says in a message that binds it. */
type Said = {
  /** It says one thing for each key, ever. */
  readonly key: string
  readonly what: string
  /** Of a vote in a view. */
  readonly view: View | null
  readonly isDurable: (durable: readonly VoteRecord[]) => boolean
}

/**
 * [D1] Watches what one replica says over all its restarts, in every scenario: nothing leaves before its record is
 * durable, nothing contradicts what was said before, no vote is below a VIEW-CHANGE [VC3], and an amnesiac is silent
 * [D5].
 */
export class VoteAudit {
  readonly #said = new Map<string, string>()
  #highestViewChange = 0

  /** @throws when `message` must not leave. */
  check(self: ReplicaId, message: Message, durable: readonly VoteRecord[]): void {
    const said = saidIn(self, message)
    if (said === null) return
    const { key, what, view } = said
    const before = this.#said.get(key)
    if (before !== undefined && before !== what) {
      throw new Error(`[D1] r${self} said ${key} ${before.slice(0, 4)}, now ${what.slice(0, 4)}`)
    }
    this.#said.set(key, what)
    if (isAmnesiac(durable)) throw new Error(`[D5] r${self} says ${key} though it lost its vote log`)
    if (view !== null && view < this.#highestViewChange) {
      throw new Error(`[VC3] r${self} says ${key} after its VIEW-CHANGE for ${this.#highestViewChange}`)
    }
    if (message.type === 'view-change') {
      this.#highestViewChange = Math.max(this.#highestViewChange, message.newView)
    }
    if (!said.isDurable(durable)) {
      throw new Error(`[D1] r${self} says ${key} ${what.slice(0, 4)} before it is durable`)
    }
  }

  /** [D5] It comes back under another incarnation, which the VIEW-CHANGEs of this one do not bind. */
  forgetViewChanges(): void {
    this.#highestViewChange = 0
  }
}

export const isAmnesiac = (durable: readonly VoteRecord[]): boolean =>
  durable.findLast(({ kind }) => kind === 'amnesia' || kind === 'recovered')?.kind === 'amnesia'

/** Null for what binds nobody, and for what is others' and only passed on. */
function saidIn(self: ReplicaId, message: Message): Said | null {
  switch (message.type) {
    case 'pre-prepare': {
      const { view, seq, digest } = message.header
      return {
        key: `pre-prepare v=${view} n=${seq}`,
        what: digest,
        view,
        isDurable: (durable) => isAccepted(durable, message.header),
      }
    }
    case 'prepare':
      return voteSaid(message, (durable) => isAccepted(durable, message))
    case 'commit':
      return voteSaid(message, (durable) => durable.some((record) => isHeader(record, 'prepared', message)))
    case 'checkpoint': {
      const { seq, stateRoot, chain, replica } = message
      if (replica !== self) return null
      return {
        key: `checkpoint n=${seq}`,
        what: `${chain} ${stateRoot}`,
        view: null,
        isDurable: (durable) =>
          durable.some(
            (record) => record.kind === 'checkpoint' && record.seq === seq && record.chain === chain,
          ),
      }
    }
    case 'view-change':
    case 'new-view':
      return bodySaid(self, message)
    default:
      return null
  }
}

type HeaderLike = { readonly view: View; readonly seq: Seq; readonly digest: Digest }

const voteSaid = (
  { type, view, seq, digest }: HeaderLike & { readonly type: 'prepare' | 'commit' },
  isDurable: Said['isDurable'],
): Said => ({ key: `${type} v=${view} n=${seq}`, what: digest, view, isDurable })

function bodySaid(
  self: ReplicaId,
  message: Extract<Message, { type: 'view-change' | 'new-view' }>,
): Said | null {
  const { type, replica, digest } = message
  if (replica !== self) return null
  const name = type === 'new-view' ? `v=${message.view}` : `v=${message.newView} i=${message.incarnation}`
  return {
    key: `${type} ${name}`,
    what: digest,
    view: null,
    isDurable: (durable) =>
      durable.some((record) => record.kind === type && record.message.digest === digest),
  }
}

const isHeader = (record: VoteRecord, kind: 'pre-prepare' | 'prepared', said: HeaderLike): boolean =>
  record.kind === kind && isSame(record.header, said)

const isSame = (one: HeaderLike, other: HeaderLike): boolean =>
  one.view === other.view && one.seq === other.seq && one.digest === other.digest

/** A PRE-PREPARE record of that view, or a NEW-VIEW that puts it there and the body beside it [VC6]. */
function isAccepted(durable: readonly VoteRecord[], said: HeaderLike): boolean {
  if (durable.some((record) => isHeader(record, 'pre-prepare', said))) return true
  const ordered = durable.some(
    (record) => record.kind === 'new-view' && record.message.headers.some((header) => isSame(header, said)),
  )
  return ordered && bodyIn(durable, said) !== undefined
}
