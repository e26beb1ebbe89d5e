import { expect, test } from 'vitest'
import type { Request } from '../../../protocol/messages.ts'
import { batchOf } from '../../../protocol/signing.ts'
import { replicaId, view } from '../../../protocol/types.ts'
import { batchRefusal, requestRefusal } from '../../../replica/core/request-rules.ts'
import { transfer } from '../../paper/fixture.ts'
import { STRANGER } from '../../scenarios/parties.ts'
import { configFor } from './parts-fixture.ts'

const config = configFor(1)
const refusal = (changed: Partial<Request>) => requestRefusal({ ...transfer(1), ...changed }, config)
const macs = (count: number) => Array.from({ length: count }, () => new Uint8Array(32))

test('[AU3] one MAC for each replica is all there can be: no digest covers them, so they cost their sender nothing', () => {
  expect(refusal({ macs: macs(4) })).toBeNull()
  expect(refusal({ macs: macs(5) })).toBe('out-of-bounds')
  const recover = { client: replicaId(2), operations: [{ kind: 'recover' as const, view: view(0) }] }
  expect(refusal({ ...recover, macs: macs(4) })).toBeNull()
  expect(refusal({ ...recover, macs: macs(5) })).toBe('out-of-bounds')
})

test('[NC3] nor is a batch accepted that holds such a request', () => {
  expect(batchRefusal(batchOf([transfer(1), { ...transfer(2), macs: macs(4) }]), config)).toBeNull()
  expect(batchRefusal(batchOf([transfer(1), { ...transfer(2), macs: macs(5) }]), config)).toBe(
    'out-of-bounds',
  )
})

test('[D5] a replica asks for one thing, on one lane, and only for itself', () => {
  const operations = [{ kind: 'recover' as const, view: view(3) }]
  expect(refusal({ client: replicaId(2), operations })).toBeNull()
  expect(refusal({ client: replicaId(4), operations })).toBe('not-admitted')
  expect(refusal({ client: replicaId(2), operations: [...operations, ...operations] })).toBe('not-admitted')
  expect(refusal({ client: replicaId(2), operations: [] })).toBe('not-admitted')
  expect(refusal({ client: replicaId(2) })).toBe('not-admitted')
  expect(refusal({ client: replicaId(2), operations, lane: 1 as Request['lane'] })).toBe('not-admitted')
})

test('[NC1] lanes, operations and bytes are bounded, and strangers are not admitted', () => {
  const { lanesPerClientMax, requestOperationsMax, requestBytesMax } = config
  const [one] = transfer(1).operations
  const many = (count: number) => Array<Request['operations'][number]>(count).fill(one as never)
  expect(refusal({ client: STRANGER })).toBe('not-admitted')
  expect(refusal({ lane: (lanesPerClientMax - 1) as Request['lane'] })).toBeNull()
  expect(refusal({ lane: lanesPerClientMax as Request['lane'] })).toBe('out-of-bounds')
  expect(refusal({ operations: many(requestOperationsMax) })).toBeNull()
  expect(refusal({ operations: many(requestOperationsMax + 1) })).toBe('out-of-bounds')
  expect(refusal({ body: new Uint8Array(requestBytesMax) })).toBeNull()
  expect(refusal({ body: new Uint8Array(requestBytesMax + 1) })).toBe('out-of-bounds')
})
