import type { Checkpoint, ViewChange } from '../../protocol/messages.ts'
import type { Digest, PrincipalId, ReplicaId, Seq, View } from '../../protocol/types.ts'
import { type Checkpoints, checkpointClaim } from './checkpoint.ts'
import type { CoreConfig } from './config.ts'
import type { CheckId, Claim } from './effect.ts'
import type { Incarnations } from './incarnations.ts'
import type { Outbox } from './outbox.ts'

type Pending = { readonly from: PrincipalId; readonly viewChange: ViewChange }

/** What a NEW-VIEW names a VIEW-CHANGE by: the digest alone does not say whose it is. */
export type ViewChangeName = { readonly replica: ReplicaId; readonly digest: Digest }

/** `found`: null while it is not here. */
type Wanted = { readonly view: View; readonly found: Map<NameKey, ViewChange | null> }

type NameKey = `${ReplicaId}/${Digest}`
const nameKey = ({ replica, digest }: ViewChangeName): NameKey => `${replica}/${digest}`
const replicaOf = (name: NameKey): ReplicaId => Number.parseInt(name, 10) as ReplicaId

/**
 * [VC1] Proven VIEW-CHANGEs: the newest of each sender, and those that a NEW-VIEW under check names, whoever relays
 * them. A VIEW-CHANGE counts once its signature and its low water mark are proven.
 */
export class ViewChanges {
  readonly #config: CoreConfig
  readonly #outbox: Outbox
  readonly #checkpoints: Checkpoints
  readonly #incarnations: Incarnations
  readonly #newest = new Map<ReplicaId, ViewChange>()
  /** What the NEW-VIEW under check of each primary names. */
  readonly #wanted = new Map<ReplicaId, Wanted>()
  readonly #pending = new Map<CheckId, Pending>()

  constructor(args: {
    config: CoreConfig
    outbox: Outbox
    checkpoints: Checkpoints
    incarnations: Incarnations
  }) {
    this.#config = args.config
    this.#outbox = args.outbox
    this.#checkpoints = args.checkpoints
    this.#incarnations = args.incarnations
  }

  /** This replica's own, or out of its own log: proven. */
  addOwn(viewChange: ViewChange): void {
    this.#newest.set(viewChange.replica, viewChange)
  }

  of(replica: ReplicaId): ViewChange | undefined {
    return this.#newest.get(replica)
  }

  /** Of this view exactly, in order of replica. */
  forView(view: View): ViewChange[] {
    return [...this.#newest.values()]
      .filter((viewChange) => viewChange.newView === view && !this.#incarnations.isVoid(viewChange))
      .sort((a, b) => a.replica - b.replica)
  }

  /** The views that distinct senders want, ascending. */
  viewsAbove(view: View): View[] {
    return [...this.#newest.values()]
      .filter((viewChange) => viewChange.newView > view && !this.#incarnations.isVoid(viewChange))
      .map(({ newView }) => newView)
      .sort((a, b) => a - b)
  }

  /** [VC2] The NEW-VIEW under check of this primary names these. */
  want(primary: ReplicaId, view: View, names: readonly ViewChangeName[]): void {
    const found = new Map<NameKey, ViewChange | null>()
    for (const name of names) {
      const newest = this.#newest.get(name.replica)
      // Only q VIEW-CHANGEs for this very view show that anybody wanted it [VC5].
      const isNamed = newest?.digest === name.digest && newest.newView === view
      found.set(nameKey(name), isNamed ? newest : null)
    }
    this.#wanted.set(primary, { view, found })
  }

  /** All that this primary's NEW-VIEW names, once they are here. */
  complete(primary: ReplicaId): ViewChange[] | null {
    const found = [...(this.#wanted.get(primary)?.found.values() ?? [null])]
    return found.every((one) => one !== null) ? found : null
  }

  /** This primary's NEW-VIEW is not under check any more. */
  forget(primary: ReplicaId): void {
    this.#wanted.delete(primary)
  }

  /** [D5] Whether one of these was said before its sender forgot it. */
  areVoid(viewChanges: readonly ViewChange[]): boolean {
    return viewChanges.some((one) => this.#incarnations.isVoid(one))
  }

  /** For STATUS: whose VIEW-CHANGE for `view` is here, and is the one that the NEW-VIEW names. */
  sendersFor(view: View): ReplicaId[] {
    const lacking = new Set<ReplicaId>()
    const here = new Set<ReplicaId>()
    for (const { newView, replica } of this.#newest.values()) if (newView === view) here.add(replica)
    for (const wanted of this.#wanted.values()) {
      if (wanted.view !== view) continue
      for (const [name, found] of wanted.found) {
        if (found === null) lacking.add(replicaOf(name))
        else here.add(found.replica)
      }
    }
    return [...here].filter((replica) => !lacking.has(replica)).sort((a, b) => a - b)
  }

  #isWanted(viewChange: ViewChange): boolean {
    const name = nameKey(viewChange)
    for (const { view, found } of this.#wanted.values()) {
      if (view === viewChange.newView && found.get(name) === null) return true
    }
    return false
  }

  onViewChange(from: PrincipalId, viewChange: ViewChange): void {
    const { replica, newView, digest, lowWaterMark, checkpoints, signature } = viewChange
    const wanted = this.#isWanted(viewChange)
    // Its own comes back to a replica that forgot it, when a NEW-VIEW names it.
    if (replica >= this.#config.quorum.n || (replica === this.#config.self && !wanted)) {
      return this.#outbox.reject(from, 'not-own-vote')
    }
    const newest = this.#newest.get(replica)
    // A sender's newest is the one with the highest view: an old one replayed changes nothing.
    if (!wanted && newest !== undefined && newest.newView >= newView) return
    if (this.#incarnations.isVoid(viewChange)) return this.#outbox.reject(from, 'superseded-view')
    const proof = this.#proofOf(lowWaterMark, checkpoints)
    if (proof === null || !this.#isOrderly(viewChange)) return this.#outbox.reject(from, 'out-of-bounds')
    const statement = {
      type: 'view-change' as const,
      view: newView,
      seq: 0,
      signer: replica,
      digests: [digest],
    }
    const check = this.#outbox.verify([{ statement, signature }, ...proof])
    this.#pending.set(check, { from, viewChange })
  }

  /** [VC1] One entry of P for a seq, in order: else one sender could have thousands verified in turn for a single seq. */
  #isOrderly({ prepared }: ViewChange): boolean {
    if (prepared.length > this.#config.logWindow) return false
    return prepared.every(({ header }, index) => header.seq > (prepared[index - 1]?.header.seq ?? 0))
  }

  /** What must be verified for h to be proven: nothing at 0; null where it is not proven whatever verifies. */
  #proofOf(lowWaterMark: Seq, checkpoints: readonly Checkpoint[]): Claim[] | null {
    const { quorum, n } = this.#config.quorum
    if (lowWaterMark === 0) return checkpoints.length === 0 ? [] : null
    const [first] = checkpoints
    const signers = new Set<ReplicaId>()
    for (const { seq, stateRoot, chain, replica } of checkpoints) {
      if (seq !== lowWaterMark || stateRoot !== first?.stateRoot || chain !== first.chain || replica >= n) {
        return null
      }
      signers.add(replica)
    }
    if (signers.size < quorum || checkpoints.length !== signers.size) return null
    return checkpoints.filter((one) => !this.#checkpoints.isVerified(one)).map(checkpointClaim)
  }

  /** The VIEW-CHANGE that this proved; null when it is not proven; undefined when the check is not one of these. */
  onVerified(check: CheckId, valid: readonly boolean[]): ViewChange | null | undefined {
    const pending = this.#pending.get(check)
    if (pending === undefined) return undefined
    this.#pending.delete(check)
    const { from, viewChange } = pending
    if (!valid.every((verdict) => verdict)) {
      this.#outbox.reject(from, 'bad-signature')
      return null
    }
    this.#checkpoints.admit(viewChange.checkpoints)
    const name = nameKey(viewChange)
    for (const { view, found } of this.#wanted.values()) {
      if (view === viewChange.newView && found.has(name)) found.set(name, viewChange)
    }
    const newest = this.#newest.get(viewChange.replica)
    const isOwn = viewChange.replica === this.#config.self
    if (!isOwn && (newest === undefined || newest.newView < viewChange.newView)) {
      this.#newest.set(viewChange.replica, viewChange)
    }
    return viewChange
  }
}
