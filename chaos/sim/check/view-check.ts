import type { Header, Message, NewView, PreparedCertificate, ViewChange } from '../../../protocol/messages.ts'
import { quorumOf } from '../../../protocol/quorum.ts'
import { NULL_BATCH_DIGEST } from '../../../protocol/signing.ts'
import type { Digest, ReplicaId } from '../../../protocol/types.ts'
import type { VoteRecord } from '../../../replica/core/vote-record.ts'
import { Violation } from '../violation.ts'

/** As many bodies are remembered; older ones no NEW-VIEW names any more. */
const REMEMBERED_MAX = 4_096

/** [VC1] Whether the PRE-PREPARE and all PREPAREs of a certificate were signed by who is named. */
export type IsSigned = (certificate: PreparedCertificate) => boolean

/** [VC2] Every NEW-VIEW on the wire is computed again from the VIEW-CHANGEs that it names, by the rule's plain words. */
export class ViewCheck {
  readonly #quorum: number
  readonly #logWindow: number
  readonly #exempt: ReadonlySet<number>
  readonly #isSigned: IsSigned
  /** By sender and digest: equal bodies of two senders have one digest. */
  readonly #viewChanges = new Map<string, ViewChange>()
  readonly #newViews = new Map<number, Digest>()

  /** NEW-VIEWs of `exempt`, who are made to lie in them, are for the replicas to find out. */
  constructor(args: {
    readonly replicas: number
    readonly logWindow: number
    readonly exempt: ReadonlySet<number>
    readonly isSigned: IsSigned
  }) {
    this.#quorum = quorumOf(args.replicas).quorum
    this.#logWindow = args.logWindow
    this.#exempt = args.exempt
    this.#isSigned = args.isSigned
  }

  onWire(replica: ReplicaId, message: Message): void {
    if (message.type === 'view-change') this.#remember(message)
    else if (message.type === 'new-view' && message.replica === replica && !this.#exempt.has(replica)) {
      this.#check(message)
    }
  }

  /** An own VIEW-CHANGE stands from its record on: a crash may come before it is sent, and a NEW-VIEW may name it. */
  onLogged(record: VoteRecord): void {
    if (record.kind === 'view-change') this.#remember(record.message)
  }

  #remember(message: ViewChange): void {
    const name = nameOf(message)
    if (this.#viewChanges.has(name)) return
    this.#viewChanges.set(name, message)
    if (this.#viewChanges.size <= REMEMBERED_MAX) return
    for (const oldest of this.#viewChanges.keys()) {
      this.#viewChanges.delete(oldest)
      return
    }
  }

  #check(newView: NewView): void {
    const before = this.#newViews.get(newView.view)
    if (before === newView.digest) return
    const wrong = before === undefined ? this.#wrong(newView) : 'another was sent before'
    if (wrong !== null) {
      throw new Violation(
        'new-view',
        `replica ${newView.replica} sends NEW-VIEW for view ${newView.view}: ${wrong}`,
      )
    }
    this.#newViews.set(newView.view, newView.digest)
  }

  #wrong({ view, viewChanges, headers }: NewView): string | null {
    const senders = new Set(viewChanges.map(({ replica }) => replica))
    if (senders.size !== viewChanges.length || senders.size < this.#quorum) {
      return `${senders.size} senders of ${viewChanges.length} VIEW-CHANGEs`
    }
    const bodies: ViewChange[] = []
    for (const named of viewChanges) {
      const body = this.#viewChanges.get(nameOf(named))
      if (body === undefined || body.newView !== view) {
        return `names a VIEW-CHANGE of ${named.replica} that it never sent for this view`
      }
      bodies.push(body)
    }
    const wanted = orderOf(bodies, { isSigned: this.#isSigned, logWindow: this.#logWindow })
    const given = headers.map(({ seq, digest }: Header) => `${seq} ${digest.slice(0, 12)}`)
    if (headers.some((header) => header.view !== view)) return 'a header of another view'
    if (wanted.join() === given.join()) return null
    return `O is [${given.join(', ')}] and should be [${wanted.join(', ')}]`
  }
}

const nameOf = ({ replica, digest }: { readonly replica: ReplicaId; readonly digest: Digest }) =>
  `${replica} ${digest}`

function orderOf(
  viewChanges: readonly ViewChange[],
  { isSigned, logWindow }: { readonly isSigned: IsSigned; readonly logWindow: number },
): string[] {
  // [VC1] Of the window above the h that came with it, and of an earlier view; else it is absent.
  const entries = viewChanges.flatMap(({ newView, lowWaterMark, prepared }) =>
    prepared
      .filter(isSigned)
      .map(({ header }) => header)
      .filter(({ view, seq }) => view < newView && seq > lowWaterMark && seq <= lowWaterMark + logWindow),
  )
  const low = Math.max(...viewChanges.map(({ lowWaterMark }) => lowWaterMark))
  const high = Math.max(low, ...entries.map(({ seq }) => seq))
  const wanted: string[] = []
  for (let seq = low + 1; seq <= high; seq++) {
    const here = entries.filter((header) => header.seq === seq)
    const highest = Math.max(...here.map(({ view }) => view))
    const digest = here.find(({ view }) => view === highest)?.digest ?? NULL_BATCH_DIGEST
    wanted.push(`${seq} ${digest.slice(0, 12)}`)
  }
  return wanted
}
