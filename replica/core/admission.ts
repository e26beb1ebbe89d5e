import type { Request } from '../../protocol/messages.ts'
import { isReplica, type PrincipalId } from '../../protocol/types.ts'
import type { Allowances } from './allowance.ts'
import { type ClientTable, laneKey } from './client-table.ts'
import type { CheckId } from './effect.ts'
import type { Outbox } from './outbox.ts'
import { isSameRequest, requestClaim } from './request-rules.ts'
import type { LaneKey } from './waiting.ts'

/**
 * [FS3] Lanes of one client that are under way while another client is active, too. A backup needs one request of a
 * client to judge the primary by, and what it admits the primary must take in addition.
 */
const SHARED_LANES = { primary: 2, backup: 1 } as const
/** A client is active so long after its last request. */
const ACTIVE_MS = 1_000
/** Requests of one source that wait to be verified: as many as a client may have lanes. */
const WAITING_MAX = 1_024

/** [FS2] Of what a signature in vain costs, what it costs to replace a request that was only kept. */
const REPLACED_COST = 1 / 8

type Place = { readonly isPrimary: boolean; readonly committedUpTo: number }

export type Candidate = { readonly from: PrincipalId; readonly request: Request }

/**
 * Requests that are not verified yet, of each source the newest of each lane. They cost nothing but room, and nobody
 * waits for them [NC8]; whose turn it is to be verified is decided by what is under way of its client [FS3] and by how
 * often its source had verified in vain [FS2].
 */
export class Admission {
  readonly #outbox: Outbox
  readonly #table: ClientTable
  readonly #allowances: Allowances
  /** The source that was served last is the last. */
  readonly #waiting = new Map<PrincipalId, Map<LaneKey, Request>>()
  readonly #checks = new Map<CheckId, Candidate>()
  /** The last client that was active, and the last before it that was another one. */
  #active: { readonly client: PrincipalId; readonly atMs: number } | undefined
  #activeBefore: { readonly client: PrincipalId; readonly atMs: number } | undefined

  constructor(args: { outbox: Outbox; table: ClientTable; allowances: Allowances }) {
    this.#outbox = args.outbox
    this.#table = args.table
    this.#allowances = args.allowances
  }

  /** A request that may be authentic, and new. */
  offer({ from, request }: Candidate): void {
    const lanes = this.#waiting.get(from) ?? new Map<LaneKey, Request>()
    const key = laneKey(request)
    const known = lanes.get(key)
    if (known === undefined && lanes.size >= WAITING_MAX) return this.#outbox.reject(from, 'rate-limited')
    if (known !== undefined && known.number >= request.number) return
    // What a backup relays is another's pace, for which the primary must not be deaf to it. A client waits for answers, but
    // those of the others may do, while this replica is late.
    if (known !== undefined && !isReplica(from)) this.#allowances.spend(from, REPLACED_COST)
    lanes.set(key, request)
    this.#waiting.set(from, lanes)
  }

  /** Has verified what may be, one of each source in turn. */
  advance(place: Place): void {
    for (let served = this.#waiting.size > 0; served; ) {
      served = false
      for (const [from, lanes] of [...this.#waiting]) {
        const mayCheck = this.#allowances.has(from, this.#pendingOf(from))
        const request = mayCheck ? this.#take(from, lanes, place) : undefined
        if (request === undefined) continue
        served = true
        this.#checks.set(this.#outbox.verify([requestClaim(request)]), { from, request })
      }
    }
  }

  #pendingOf(source: PrincipalId): number {
    let pending = 0
    for (const { from } of this.#checks.values()) if (from === source) pending += 1
    return pending
  }

  #take(from: PrincipalId, lanes: Map<LaneKey, Request>, place: Place): Request | undefined {
    const shares = new Map<PrincipalId, (request: Request) => boolean>()
    for (const [key, request] of lanes) {
      const { kind } = this.#table.standing(request)
      if (isReplica(from) && this.#isUnderCheck(request)) {
        lanes.delete(key)
        continue
      }
      if (kind === 'new' && !isReplica(from)) {
        const mayCheck = shares.get(request.client) ?? this.#shareOf(request.client, place)
        shares.set(request.client, mayCheck)
        if (!mayCheck(request)) continue
      }
      lanes.delete(key)
      this.#waiting.delete(from)
      if (lanes.size > 0) this.#waiting.set(from, lanes)
      // What became of it meanwhile its client hears when it asks again.
      if (kind === 'new') return request
    }
    if (lanes.size === 0) this.#waiting.delete(from)
    return undefined
  }

  /** The very same, of whatever source. All backups relay what a client sends to all. */
  #isUnderCheck(relayed: Request): boolean {
    for (const { request } of this.#checks.values()) if (isSameRequest(request, relayed)) return true
    return false
  }

  /** Which requests of a client may go on now. */
  #shareOf(client: PrincipalId, { isPrimary, committedUpTo }: Place): (request: Request) => boolean {
    const busy = new Set(this.#table.busyLanes(client))
    for (const { request } of this.#checks.values()) if (request.client === client) busy.add(laneKey(request))
    const lanesMax = isPrimary ? SHARED_LANES.primary : SHARED_LANES.backup
    const isFree = !this.isShared(client)
    return (request) => {
      // [NC1] Nobody asks for a lane's next before its last is committed.
      if (this.#table.isUnderWay(request, committedUpTo)) return false
      return isFree || busy.size - (busy.has(laneKey(request)) ? 1 : 0) < lanesMax
    }
  }

  /** Another client was active within the last second. */
  isShared(client: PrincipalId): boolean {
    const other = this.#active?.client === client ? this.#activeBefore : this.#active
    return other !== undefined && this.#outbox.nowMs - other.atMs < ACTIVE_MS
  }

  /** Requests of this client were admitted, or ordered. */
  onActive(client: PrincipalId): void {
    if (isReplica(client)) return
    if (this.#active !== undefined && this.#active.client !== client) this.#activeBefore = this.#active
    this.#active = { client, atMs: this.#outbox.nowMs }
  }

  /** [FS2] Undefined: not asked for here; null: not to be held. */
  onVerified(check: CheckId, valid: readonly boolean[]): Candidate | null | undefined {
    const candidate = this.#checks.get(check)
    if (candidate === undefined) return undefined
    this.#checks.delete(check)
    const { from, request } = candidate
    if (valid[0] !== true) {
      this.#allowances.spend(from, 1)
      this.#outbox.reject(from, 'bad-signature')
      return null
    }
    if (this.#table.standing(request).kind !== 'new') return null
    if (this.#table.holdsAny(request)) this.#allowances.spend(from, 1)
    this.onActive(request.client)
    return candidate
  }
}
