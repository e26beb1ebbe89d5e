import type { Read, Request } from '../../protocol/messages.ts'
import type { AccountId } from '../../protocol/operations.ts'
import { requestOf } from '../../protocol/signed.ts'
import { signedBytes } from '../../protocol/signing.ts'
import { type ClientId, type ReplicaId, type RequestNumber, requestNumber } from '../../protocol/types.ts'
import type { ClientConfig } from '../context.ts'

export type Said = Request | Read

/** Who lies, and with what: its own key signs whatever it likes. */
export type ClientLiar = {
  readonly config: ClientConfig
  /** Ed25519 by its own key. */
  readonly sign: (bytes: Uint8Array) => Uint8Array
  /** In [0, 1). */
  readonly random: () => number
  /** Accounts that it knows of, most of them others'. */
  readonly accounts: readonly AccountId[]
  /** Other clients. */
  readonly others: readonly ClientId[]
  /** What others sent, as whoever listens beside a replica might have it; undefined: nothing yet. */
  readonly overheard: () => Request | undefined
}

/** One behaviour: what it tells each replica in place of the truth, and what it adds of its own. */
export type ClientPart = {
  /** What leaves for `to` in place of `messages`. */
  readonly tells?: (to: ReplicaId, messages: readonly Said[]) => readonly Said[]
  /** The same of one encoded message. */
  readonly wire?: (bytes: Uint8Array) => readonly Uint8Array[]
  /** Messages of its own, to all replicas, once in LIE_EVERY_MS. */
  readonly adds?: () => readonly Said[]
}

export const LIE_EVERY_MS = 20

/** Each request is replaced by these; reads stay as they are. */
export const instead = (change: (request: Request, to: ReplicaId) => readonly Request[]): ClientPart => ({
  tells: (to, messages) =>
    messages.flatMap((message): readonly Said[] =>
      message.type === 'request' ? change(message, to) : [message],
    ),
})

/** Properly signed, by the liar itself, whoever `client` is. */
export const signed = (
  { config, sign }: ClientLiar,
  fields: Pick<Request, 'client' | 'lane' | 'number' | 'operations'>,
): Request => requestOf(fields, (statement) => sign(signedBytes(config.clusterId, statement)))

export const pick = <T>(items: readonly T[], random: () => number): T | undefined =>
  items[Math.floor(random() * items.length)]

export const spoiled = (signature: Uint8Array): Uint8Array => signature.map((byte) => byte ^ 0x55)

/** `number` moved by `by`, as far as there are numbers. */
export const moved = (number: RequestNumber, by: number): RequestNumber =>
  requestNumber(Math.min(Number.MAX_SAFE_INTEGER, Math.max(1, number + by)))
