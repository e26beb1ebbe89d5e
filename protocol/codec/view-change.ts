import { digestOf } from '../crypto.ts'
import type { NewView, PreparedCertificate, ViewChange } from '../messages.ts'
import { pack, unpack } from '../msgpack.ts'
import { Reader } from '../reader.ts'
import type { Seq, View } from '../types.ts'
import { digestToBytes } from '../types.ts'
import { BODY_BYTES_MAX, REPLICAS_MAX, WINDOW_MAX } from './bounds.ts'
import {
  checkpointFromFields,
  checkpointToFields,
  headerFromFields,
  headerToFields,
  replicaFrom,
  voteFromFields,
  votesFrom,
  voteToFields,
} from './votes.ts'

/** VIEW-CHANGE and NEW-VIEW: a body, which is what is signed [AU1], and the vote on it. */
export type ViewChangeBody = Pick<
  ViewChange,
  'newView' | 'lowWaterMark' | 'incarnation' | 'checkpoints' | 'prepared'
>

export const encodeViewChangeBody = (body: ViewChangeBody): Uint8Array =>
  Uint8Array.from(
    pack([
      body.newView,
      body.lowWaterMark,
      body.incarnation,
      body.checkpoints.map(checkpointToFields),
      body.prepared.map(certificateToFields),
    ]),
  )

export type NewViewBody = Pick<NewView, 'view' | 'viewChanges' | 'headers'>

export const encodeNewViewBody = (body: NewViewBody): Uint8Array =>
  Uint8Array.from(
    pack([
      body.view,
      body.viewChanges.map(({ replica, digest }) => [replica, digestToBytes(digest)]),
      body.headers.map(headerToFields),
    ]),
  )

export const signedBodyToFields = (message: ViewChange | NewView): unknown[] => [
  message.body,
  ...voteToFields(message),
]

const certificateToFields = (certificate: PreparedCertificate): unknown[] => [
  headerToFields(certificate.header),
  certificate.prepares.map(voteToFields),
]

function certificateFromFields(value: unknown): PreparedCertificate {
  const fields = Reader.of(value, 2)
  return { header: headerFromFields(fields.any()), prepares: votesFrom(fields) }
}

/** @throws MalformedError */
export function viewChangeFromFields(fields: Reader): ViewChange {
  const body = fields.bytes(BODY_BYTES_MAX)
  const vote = voteFromFields([fields.any(), fields.any()])
  const inner = Reader.of(unpack(body), 5)
  return {
    type: 'view-change',
    newView: inner.integer() as View,
    lowWaterMark: inner.integer() as Seq,
    incarnation: inner.integer(),
    checkpoints: inner.list(REPLICAS_MAX, checkpointFromFields),
    prepared: inner.list(WINDOW_MAX, certificateFromFields),
    digest: digestOf(body),
    body,
    ...vote,
  }
}

/** @throws MalformedError */
export function newViewFromFields(fields: Reader): NewView {
  const body = fields.bytes(BODY_BYTES_MAX)
  const vote = voteFromFields([fields.any(), fields.any()])
  const inner = Reader.of(unpack(body), 3)
  return {
    type: 'new-view',
    view: inner.integer() as View,
    viewChanges: inner.list(REPLICAS_MAX, (value) => {
      const entry = Reader.of(value, 2)
      return { replica: replicaFrom(entry), digest: entry.digest() }
    }),
    headers: inner.list(WINDOW_MAX, headerFromFields),
    digest: digestOf(body),
    body,
    ...vote,
  }
}
