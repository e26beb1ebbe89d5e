import { expect, test } from 'vitest'
import type { Request } from '../../../protocol/messages.ts'
import { type PrincipalId, replicaId, seq } from '../../../protocol/types.ts'
import { Admission } from '../../../replica/core/admission.ts'
import { Allowances } from '../../../replica/core/allowance.ts'
import { ClientTable } from '../../../replica/core/client-table.ts'
import { Outbox } from '../../../replica/core/outbox.ts'
import { Waiting } from '../../../replica/core/waiting.ts'
import { told } from '../../paper/fixture.ts'
import { Harness } from '../../scenarios/harness.ts'
import { CLIENTS, type ClientName, requestOf, tampered } from '../../scenarios/parties.ts'
import { EMPTY, effectsOf, rejectionsIn } from './parts-fixture.ts'

const { alice, bob } = CLIENTS
const PRIMARY = { isPrimary: true, committedUpTo: 0 }
const BACKUP = { isPrimary: false, committedUpTo: 0 }

const requestBy = (client: Exclude<ClientName, 'stranger'>, lane: number, number: number): Request =>
  requestOf({ client: CLIENTS[client], lane, number, operations: [{ kind: 'balance', account: 'a' }] })

function admissionParts() {
  const outbox = new Outbox()
  outbox.nowMs = 10_000
  const table = new ClientTable(new Waiting(outbox))
  const allowances = new Allowances(outbox)
  const admission = new Admission({ outbox, table, allowances })
  const rejected: string[] = []

  /** Requests that are verified now, and held when they are `valid`: each as client/lane/number. */
  function advance({ place = PRIMARY, valid = true } = {}): string[] {
    admission.advance(place)
    const effects = outbox.drain()
    const names = effectsOf(effects, 'verify').map(({ check, claims }) => {
      const admitted = admission.onVerified(
        check,
        claims.map(() => valid),
      )
      if (admitted != null) table.hold(admitted.request)
      return claims.map(({ statement }) => statement.signer).join()
    })
    rejected.push(...rejectionsIn([...effects, ...outbox.drain()]))
    return names
  }

  const offer = (request: Request, from: PrincipalId = request.client) => admission.offer({ from, request })
  return { outbox, table, allowances, admission, rejected, advance, offer }
}

/** Asks on lanes 0 to `lanes` - 1. */
const floodOf = (number: number, lanes = 8): Request[] =>
  Array.from({ length: lanes }, (_, lane) => requestBy('alice', lane, number))

test('[FS3] a client alone may use all its lanes', () => {
  const { advance, offer } = admissionParts()
  for (const request of floodOf(1)) offer(request)
  expect(advance()).toHaveLength(8)
})

test('[FS3] while another is active a client has two lanes under way at the primary, one at a backup', () => {
  for (const [place, lanes] of [
    [PRIMARY, 2],
    [BACKUP, 1],
  ] as const) {
    const { outbox, table, admission, advance, offer } = admissionParts()
    admission.onActive(bob)
    for (const request of floodOf(1)) offer(request)
    expect(advance({ place })).toHaveLength(lanes)
    expect(advance({ place })).toHaveLength(0)
    expect(table.heldCount).toBe(lanes)
    // Ordered is not executed.
    table.ordered([...table.held], seq(1))
    expect(advance({ place })).toHaveLength(0)
    for (const { lane, number, digest } of floodOf(1, lanes)) {
      table.executed({ client: alice, lane, number, requestDigest: digest, result: EMPTY })
    }
    expect(advance({ place: { ...place, committedUpTo: 1 } })).toHaveLength(lanes)
    // The other has been silent since.
    outbox.nowMs += 1_000
    expect(advance({ place: { ...place, committedUpTo: 1 } })).toHaveLength(8 - 2 * lanes)
  }
})

test('[FS3] sources in turn, and of each lane the newest alone', () => {
  const { admission, advance, offer } = admissionParts()
  admission.onActive(bob)
  for (const number of [1, 2]) for (const request of floodOf(number)) offer(request)
  offer(requestBy('bob', 0, 1))
  offer(requestBy('teller', 0, 1))
  expect(advance()).toEqual([alice, bob, CLIENTS.teller, alice].map(String))
})

test("[FS3] a lane's next request waits until its last is committed", () => {
  const { table, advance, offer } = admissionParts()
  offer(requestBy('alice', 0, 1))
  advance()
  table.ordered([...table.held], seq(1))
  offer(requestBy('alice', 0, 2))
  expect(advance()).toEqual([])
  expect(advance({ place: { ...PRIMARY, committedUpTo: 1 } })).toHaveLength(1)
})

test('[FS3] but for one that was executed before, and that a primary orders again', () => {
  const { table, advance, offer } = admissionParts()
  const stale = requestBy('alice', 0, 1)
  table.executed({
    client: alice,
    lane: stale.lane,
    number: stale.number,
    requestDigest: stale.digest,
    result: EMPTY,
  })
  table.ordered([stale], seq(1))
  expect(table.busyLanes(alice)).toEqual(new Set())
  offer(requestBy('alice', 0, 2))
  expect(advance({ place: BACKUP })).toHaveLength(1)
})

test('[FS2] who signs badly has sixteen looked at, then four a second; nobody else waits for it', () => {
  const { outbox, allowances, rejected, advance, offer } = admissionParts()
  const verifiedOf = (requests: number) => {
    let verified = 0
    for (let number = 1; number <= requests; number++) {
      // As the core does: what it does not hear is not offered.
      if (allowances.has(alice)) offer(requestBy('alice', 0, number))
      verified += advance({ valid: false }).length
    }
    return verified
  }
  expect(verifiedOf(100)).toBe(16)
  expect(rejected.filter((code) => code === 'bad-signature')).toHaveLength(16)
  offer(requestBy('bob', 0, 1))
  expect(advance()).toEqual([String(bob)])
  outbox.nowMs += 1_000
  expect(verifiedOf(100)).toBe(4)
})

test('[FS2] a request that replaces another was verified in vain, too', () => {
  const { advance, offer } = admissionParts()
  let verified = 0
  for (let number = 1; number <= 100; number++) {
    offer(requestBy('alice', 0, number))
    verified += advance().length
  }
  expect(verified).toBe(17)
})

test('[FS2] one kept in vain that is replaced before it was verified costs an eighth of that', () => {
  const { allowances, admission, advance, offer } = admissionParts()
  admission.onActive(bob)
  let replaced = 0
  for (let number = 1; allowances.has(alice); number++) {
    for (const request of floodOf(number)) offer(request)
    replaced = 8 * (number - 1)
  }
  // The last of sixteen is not there in full any more.
  expect(replaced).toBe(8 * 16)
  expect(advance()).toEqual([])
})

test('[FS3] what all backups relay of one request is verified once; a relay with another signature is another matter', () => {
  const { admission, outbox, offer } = admissionParts()
  const request = requestBy('alice', 0, 1)
  offer(request)
  for (const backup of [1, 2]) offer(request, replicaId(backup))
  offer({ ...request, signature: tampered(request.signature) }, replicaId(3))
  admission.advance(PRIMARY)
  expect(effectsOf(outbox.drain(), 'verify')).toHaveLength(2)
})

test('[FS2] but not of a backup that relays: a client that floods backups does not make the primary deaf to them', () => {
  const { outbox, allowances, advance, offer } = admissionParts()
  allowances.spend(replicaId(1), 256)
  for (let number = 1; number <= 1_000; number++) offer(requestBy('alice', 0, number), replicaId(1))
  expect(advance()).toEqual([])
  outbox.nowMs += 100
  expect(advance()).toHaveLength(1)
})

test("[FS2] a relay's bad signatures are its own affair, not the client's", () => {
  const { advance, offer } = admissionParts()
  for (let number = 1; number <= 1_000; number++) {
    offer(requestBy('alice', 0, number), replicaId(1))
    advance({ valid: false })
  }
  offer(requestBy('alice', 0, 2_000))
  expect(advance()).toEqual([String(alice)])
})

test('[FS3] what replicas relay is verified whatever else is under way: they judge the primary by it', () => {
  const { admission, advance, offer } = admissionParts()
  admission.onActive(bob)
  for (const request of floodOf(1)) offer(request)
  expect(advance()).toHaveLength(2)
  offer(requestBy('alice', 7, 1), replicaId(2))
  expect(advance()).toHaveLength(1)
})

test('[FS3] what waits of one source is bounded', () => {
  const { allowances, rejected, advance, offer } = admissionParts()
  allowances.spend(replicaId(1), 1_000)
  for (let lane = 0; lane < 1_100; lane++) offer(requestBy('alice', lane, 1), replicaId(1))
  expect(advance()).toEqual([])
  expect(rejected.filter((code) => code === 'rate-limited')).toHaveLength(1_100 - 1_024)
})

test('[FS4] a batch takes one request of each client in turn', () => {
  const { table } = admissionParts()
  for (const request of floodOf(1, 4)) table.hold(request)
  table.hold(requestBy('bob', 0, 1))
  table.hold(requestBy('teller', 5, 1))
  const taken = table.next({ operationsMax: 4, bytesMax: 10_000 })
  expect(taken.map(({ client, lane }) => [client, lane])).toEqual([
    [alice, 0],
    [bob, 0],
    [CLIENTS.teller, 5],
    [alice, 1],
  ])
})

test('[FS2] a client without allowance is not heard, whatever it says, until it has some again', () => {
  const cluster = new Harness()
  const hears = () => cluster.node(0).core?.hears(alice)
  for (let number = 1; number <= 20; number++) {
    const request = requestBy('alice', 0, number)
    cluster.request({ ...request, signature: tampered(request.signature) }, [0])
  }
  const rejected = told(cluster, 0, 'rejected')
  expect(rejected.filter((text) => text.includes('bad-signature'))).toHaveLength(16)
  expect(rejected.filter((text) => text.includes('rate-limited'))).toHaveLength(4)
  expect(hears()).toBe(false)
  cluster.nowMs += 1_000
  cluster.timeout([0])
  expect(hears()).toBe(true)
})

test('[FS2] a client whose many lanes were given up at once is heard again soon', () => {
  const { outbox, allowances } = admissionParts()
  allowances.spend(alice, 500)
  expect(allowances.has(alice)).toBe(false)
  outbox.nowMs += 250
  expect(allowances.has(alice)).toBe(true)
})

test('[FS2] a replica owes what its PRE-PREPARE made others verify in vain', () => {
  const { outbox, allowances } = admissionParts()
  allowances.spend(replicaId(0), 256 + 640)
  outbox.nowMs += 9_900
  expect(allowances.has(replicaId(0))).toBe(false)
  outbox.nowMs += 200
  expect(allowances.has(replicaId(0))).toBe(true)
})
