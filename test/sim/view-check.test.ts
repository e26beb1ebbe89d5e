import { expect, test } from 'vitest'
import { ViewCheck } from '../../chaos/sim/check/view-check.ts'
import { digestOf } from '../../protocol/crypto.ts'
import type { Header, NewView, ViewChange } from '../../protocol/messages.ts'
import { NULL_BATCH_DIGEST } from '../../protocol/signing.ts'
import { type Digest, replicaId, seq, view } from '../../protocol/types.ts'

const SIGNATURE = new Uint8Array(64)
const BODY = new Uint8Array(0)
const named = (name: string): Digest => digestOf(Buffer.from(name))
const header = (v: number, n: number, digest: Digest): Header => ({
  view: view(v),
  seq: seq(n),
  digest,
  signature: SIGNATURE,
})

const viewChange = (replica: number, low: number, prepared: readonly Header[], to = 2): ViewChange => ({
  type: 'view-change',
  newView: view(to),
  lowWaterMark: seq(low),
  incarnation: 0,
  checkpoints: [],
  prepared: prepared.map((of) => ({ header: of, prepares: [] })),
  digest: named(`view-change ${replica} ${to}`),
  body: BODY,
  replica: replicaId(replica),
  signature: SIGNATURE,
})

const newView = (of: readonly ViewChange[], headers: readonly Header[]): NewView => ({
  type: 'new-view',
  view: view(2),
  viewChanges: of.map(({ replica, digest }) => ({ replica, digest })),
  headers,
  digest: named(`new-view ${headers.map(({ digest }) => digest).join()}`),
  body: BODY,
  replica: replicaId(2),
  signature: SIGNATURE,
})

const forged = (of: Header): Header => ({ ...of, signature: new Uint8Array(64) })

/** Prepared: 3 at replica 0, 5 in two views, 4 nowhere; 6 by a certificate that nobody signed. */
const VIEW_CHANGES = [
  viewChange(0, 0, [
    header(0, 3, named('a')),
    header(0, 5, named('old')),
    forged(header(1, 6, named('lie'))),
  ]),
  viewChange(1, 2, []),
  viewChange(2, 1, [header(1, 5, named('b'))]),
]
const ORDER = [header(2, 3, named('a')), header(2, 4, NULL_BATCH_DIGEST), header(2, 5, named('b'))]

function told(message: NewView, viewChanges: readonly ViewChange[] = VIEW_CHANGES): () => void {
  const check = new ViewCheck({
    replicas: 4,
    logWindow: 8,
    exempt: new Set(),
    isSigned: ({ header }) => header.signature === SIGNATURE,
  })
  for (const one of viewChanges) check.onWire(one.replica, one)
  return () => check.onWire(message.replica, message)
}

test('[VC2] an O with the highest views, nulls in the gaps, above the highest checkpoint, passes', () => {
  expect(told(newView(VIEW_CHANGES, ORDER))).not.toThrow()
})

test('[VC2] an O without a prepared batch, with a gap, or of a lower view is caught', () => {
  const [three, four, five] = ORDER as [Header, Header, Header]
  for (const wrong of [
    [three, four],
    [three, five],
    [three, four, five, header(2, 6, named('lie'))],
    [three, four, { ...five, digest: named('old') }],
    [header(2, 2, NULL_BATCH_DIGEST), ...ORDER],
  ]) {
    expect(told(newView(VIEW_CHANGES, wrong))).toThrow('O is [')
  }
})

test('[VC1] a certificate beyond the window of its own VIEW-CHANGE, at its h or of the view to come is absent', () => {
  const [first, second, third] = VIEW_CHANGES as [ViewChange, ViewChange, ViewChange]
  const absent = viewChange(0, 2, [
    ...first.prepared.map((one) => one.header),
    header(1, 2, named('at h')),
    header(2, 7, named('to come')),
    header(1, 11, named('beyond')),
  ])
  expect(told(newView([absent, second, third], ORDER), [absent, second, third])).not.toThrow()
  const last = viewChange(0, 2, [...first.prepared.map((one) => one.header), header(1, 10, named('last'))])
  expect(told(newView([last, second, third], ORDER), [last, second, third])).toThrow('O is [')
})

test('[VC2] a NEW-VIEW of fewer than q, or of VIEW-CHANGEs that nobody sent, is caught', () => {
  expect(told(newView(VIEW_CHANGES.slice(1), ORDER))).toThrow('senders')
  const [first, second] = VIEW_CHANGES as [ViewChange, ViewChange]
  expect(told(newView([first, second, viewChange(3, 0, [])], ORDER))).toThrow('never sent')
})
