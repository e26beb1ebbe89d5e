/**
 * The names that every layer shares. Integers are JavaScript numbers below 2^53; on the wire and in signed layouts
 * they are unsigned 64-bit big-endian. Money is `bigint` minor units.
 */

declare const brand: unique symbol
type Branded<T, Name extends string> = T & { readonly [brand]: Name }

/** A principal of genesis: a replica (0 .. n-1) or a client (>= CLIENT_ID_MIN). */
export type PrincipalId = Branded<number, 'PrincipalId'>
/** 0 .. n-1. */
export type ReplicaId = PrincipalId & { readonly __replica: true }
/** >= CLIENT_ID_MIN. */
export type ClientId = PrincipalId & { readonly __client: true }
export type View = Branded<number, 'View'>
/** Sequence number of a batch; 1 is the first ordered one, 0 is genesis. */
export type Seq = Branded<number, 'Seq'>
/** 32 bytes of BLAKE2b as 64 lower-case hex digits. */
export type Digest = Branded<string, 'Digest'>
/** A client's independent stream of requests; one request is outstanding per lane [NC1]. */
export type Lane = Branded<number, 'Lane'>
/** Microseconds of the client's wall clock, or more: rises along a lane [NC5]. */
export type RequestNumber = Branded<number, 'RequestNumber'>
/** Ordinal of a record handed to the vote log by this process, from 1; 0 means "nothing". Not a file offset. */
export type LogPosition = Branded<number, 'LogPosition'>

export const CLIENT_ID_MIN = 1000

export const replicaId = (id: number): ReplicaId => id as ReplicaId
export const clientId = (id: number): ClientId => id as ClientId
export const principalId = (id: number): PrincipalId => id as PrincipalId
export const view = (v: number): View => v as View
export const seq = (n: number): Seq => n as Seq
export const lane = (n: number): Lane => n as Lane
export const requestNumber = (n: number): RequestNumber => n as RequestNumber
export const logPosition = (n: number): LogPosition => n as LogPosition
export const isReplica = (id: PrincipalId): id is ReplicaId => id < CLIENT_ID_MIN

const DIGEST_PATTERN = /^[0-9a-f]{64}$/
export const isDigest = (text: string): text is Digest => DIGEST_PATTERN.test(text)
export const ZERO_DIGEST = '0'.repeat(64) as Digest

export const digestToBytes = (digest: Digest): Buffer => Buffer.from(digest, 'hex')
/** `bytes` must be 32 long; decoders check that before. */
export const digestFromBytes = (bytes: Uint8Array): Digest =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex') as Digest

/** The end of an exhaustive switch: a missing case does not compile. */
export function assertNever(value: never): never {
  throw new Error(`unreachable case: ${JSON.stringify(value)}`)
}
