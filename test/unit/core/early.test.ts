import { beforeEach, expect, test } from 'vitest'
import type { Batch, PrePrepare } from '../../../protocol/messages.ts'
import { batchOf } from '../../../protocol/signing.ts'
import { replicaId, view } from '../../../protocol/types.ts'
import { Early, type Ordering, viewOf } from '../../../replica/core/early.ts'
import { prePrepare, transfer, vote } from '../../paper/fixture.ts'
import { batchAt } from './parts-fixture.ts'

const MESSAGES_MAX = 6
/** In early.ts, of one sender. */
const BYTES_MAX = 4_000_000

let early: Early

beforeEach(() => {
  early = new Early(MESSAGES_MAX)
})

const commitOf = (from: number, at: { readonly n: number; readonly v: number }): Ordering =>
  vote('commit', batchAt(at.n), at, from) as Ordering
const prePrepareOf = (batch: Batch, v: number): PrePrepare => prePrepare(batch, { n: 1, v }) as PrePrepare

/** `sender:view` of what is taken. */
const taken = (v: number) => early.take(view(v)).map(({ from, message }) => `${from}:${viewOf(message)}`)

test('[NC4] what was said in the view that is entered comes, in order, and once', () => {
  early.keep(replicaId(2), commitOf(2, { n: 1, v: 3 }))
  early.keep(replicaId(1), commitOf(1, { n: 1, v: 3 }))
  early.keep(replicaId(2), commitOf(2, { n: 2, v: 3 }))
  const messages = early.take(view(3)).map(({ from, message }) => [from, message])
  expect(messages).toEqual([
    [2, commitOf(2, { n: 1, v: 3 })],
    [2, commitOf(2, { n: 2, v: 3 })],
    [1, commitOf(1, { n: 1, v: 3 })],
  ])
  expect(taken(3)).toEqual([])
})

test('[NC4] of each sender one view is kept, the highest', () => {
  for (const v of [3, 5, 4, 5]) early.keep(replicaId(2), commitOf(2, { n: 1, v }))
  early.keep(replicaId(1), commitOf(1, { n: 1, v: 3 }))
  expect(taken(3)).toEqual(['1:3'])
  expect(taken(5)).toEqual(['2:5', '2:5'])
})

test('[NC4] of views that were passed over nothing is kept', () => {
  early.keep(replicaId(1), commitOf(1, { n: 1, v: 3 }))
  expect(taken(4)).toEqual([])
  expect(taken(3)).toEqual([])
})

test('[NC4] the messages of one sender are bounded, and take nothing from the others', () => {
  for (let n = 1; n <= 3 * MESSAGES_MAX; n++) early.keep(replicaId(2), commitOf(2, { n, v: 3 }))
  early.keep(replicaId(1), commitOf(1, { n: 1, v: 3 }))
  expect(taken(3)).toEqual([...Array<string>(MESSAGES_MAX).fill('2:3'), '1:3'])
})

test('[NC4] so are the bytes of its requests', () => {
  const body = new Uint8Array(BYTES_MAX / 2)
  const large = batchOf([{ ...transfer(1), body, signature: new Uint8Array(0) }])
  for (let count = 0; count < 3; count++) early.keep(replicaId(0), prePrepareOf(large, 4))
  early.keep(replicaId(0), commitOf(0, { n: 1, v: 4 }))
  expect(taken(4)).toEqual(['0:4', '0:4', '0:4'])
})

test('[NC4] and the bytes of their MACs and signatures, which no digest covers', () => {
  const macs = Array.from({ length: 1_000 }, () => new Uint8Array(1_000))
  const many = batchOf([{ ...transfer(1), macs }])
  for (let count = 0; count < 5; count++) early.keep(replicaId(0), prePrepareOf(many, 4))
  expect(taken(4)).toHaveLength(3)
  const signature = new Uint8Array(BYTES_MAX / 2)
  const signed = { ...batchAt(1), requests: [{ ...transfer(1), signature }] }
  for (let count = 0; count < 3; count++) early.keep(replicaId(0), prePrepareOf(signed, 4))
  expect(taken(4)).toHaveLength(1)
})

test('[NC4] a higher view has the whole budget again', () => {
  const body = new Uint8Array(BYTES_MAX)
  const large = batchOf([{ ...transfer(1), body, signature: new Uint8Array(0) }])
  for (const v of [4, 8]) early.keep(replicaId(0), prePrepareOf(large, v))
  expect(taken(8)).toEqual(['0:8'])
})
