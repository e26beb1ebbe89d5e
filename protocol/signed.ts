import type { NewViewBody, RequestBody, ViewChangeBody } from './codec.ts'
import { encodeNewViewBody, encodeRequestBody, encodeViewChangeBody } from './codec.ts'
import { digestOf } from './crypto.ts'
import type { NewView, Request, Statement, ViewChange } from './messages.ts'
import type { ReplicaId } from './types.ts'

/** Messages whose signature covers a body: laid out in bytes once, hashed, and signed [AU1]. */
export type Sign = (statement: Statement) => Uint8Array

export function requestOf(fields: RequestBody, sign: Sign): Request {
  const { client, lane, number, operations } = fields
  const body = encodeRequestBody(fields)
  const digest = digestOf(body)
  const signature = sign({ type: 'request', view: 0, seq: 0, signer: client, digests: [digest] })
  return { type: 'request', client, lane, number, operations, digest, body, signature, macs: [] }
}

export function viewChangeOf(fields: ViewChangeBody, replica: ReplicaId, sign: Sign): ViewChange {
  const { newView, lowWaterMark, incarnation, checkpoints, prepared } = fields
  const body = encodeViewChangeBody(fields)
  const digest = digestOf(body)
  const signature = sign({ type: 'view-change', view: newView, seq: 0, signer: replica, digests: [digest] })
  const content = { newView, lowWaterMark, incarnation, checkpoints, prepared }
  return { type: 'view-change', ...content, digest, body, replica, signature }
}

export function newViewOf(fields: NewViewBody, replica: ReplicaId, sign: Sign): NewView {
  const { view, viewChanges, headers } = fields
  const body = encodeNewViewBody(fields)
  const digest = digestOf(body)
  const signature = sign({ type: 'new-view', view, seq: 0, signer: replica, digests: [digest] })
  return { type: 'new-view', view, viewChanges, headers, digest, body, replica, signature }
}
