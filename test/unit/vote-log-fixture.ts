import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'vitest'
import { encodeRequestBody } from '../../protocol/codec.ts'
import { digestOf } from '../../protocol/crypto.ts'
import type { Batch, Request, Vote } from '../../protocol/messages.ts'
import { batchOf, NULL_BATCH } from '../../protocol/signing.ts'
import {
  clientId,
  type Digest,
  type LogPosition,
  lane,
  logPosition,
  replicaId,
  requestNumber,
  seq,
  view,
} from '../../protocol/types.ts'
import { isVote, type VoteRecord } from '../../replica/core/vote-record.ts'
import { VoteLog } from '../../replica/runtime/vote-log/vote-log.ts'
import type { VoteLogError } from '../../replica/runtime/vote-log/vote-log-error.ts'

// Byte strings are equal by their bytes, whether Buffer or Uint8Array.
expect.addEqualityTesters([
  (a: unknown, b: unknown) =>
    a instanceof Uint8Array && b instanceof Uint8Array ? Buffer.compare(a, b) === 0 : undefined,
])

export const IDENTITY = { genesisDigest: digestOf(Buffer.from('a genesis')), replica: replicaId(2) }

const signatureOf = (n: number): Uint8Array => Buffer.alloc(64, n % 251)
export const votesOf = (n: number, count = 3): Vote[] =>
  Array.from({ length: count }, (_, i) => ({ replica: replicaId(i), signature: signatureOf(n + i) }))

/** A batch of one request, different for each `n`; `bytes` of account name make it larger. */
export function batchNumber(n: number, bytes = 1): Batch {
  const body = encodeRequestBody({
    client: clientId(1000),
    lane: lane(0),
    number: requestNumber(n),
    operations: [{ kind: 'balance', account: 'a'.repeat(bytes) }],
  })
  const request: Request = {
    type: 'request',
    client: clientId(1000),
    lane: lane(0),
    number: requestNumber(n),
    operations: [{ kind: 'balance', account: 'a'.repeat(bytes) }],
    digest: digestOf(body),
    body,
    signature: signatureOf(n),
    macs: [],
  }
  return batchOf([request])
}

const headerOf = (n: number, digest: Digest, v: number) => ({
  view: view(v),
  seq: seq(n),
  digest,
  signature: signatureOf(n),
})

export const prePrepare = (n: number, { v = 0, batch = batchNumber(n) } = {}): VoteRecord => ({
  kind: 'pre-prepare',
  header: headerOf(n, batch.digest, v),
  batch,
})
export const prepared = (n: number, v = 0): VoteRecord => ({
  kind: 'prepared',
  header: headerOf(n, batchNumber(n).digest, v),
  prepares: votesOf(n, 2),
})
export const committed = (
  n: number,
  { v = 0, batch = batchNumber(n), commits = votesOf(n) } = {},
): VoteRecord => ({
  kind: 'committed',
  seq: seq(n),
  view: view(v),
  digest: batch.digest,
  commits,
})
export const batchRecord = (n: number, batch = batchNumber(n)): VoteRecord => ({
  kind: 'batch',
  seq: seq(n),
  batch,
})
const stateOf = (n: number) => ({ seq: seq(n), stateRoot: NULL_BATCH.digest, chain: batchNumber(n).digest })
export const checkpoint = (n: number): VoteRecord => ({
  kind: 'checkpoint',
  ...stateOf(n),
  signature: signatureOf(n),
})
export const stable = (n: number): VoteRecord => ({ kind: 'stable', ...stateOf(n), checkpoints: votesOf(n) })

/** A directory that disappears with the test. */
export function temporaryDirectory(): { readonly path: string } & Disposable {
  const path = mkdtempSync(join(tmpdir(), 'pbft-vote-log-'))
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) }
}

/** A log with what a test wants to know of it. */
export class OpenLog {
  readonly log: VoteLog
  readonly recovered: readonly VoteRecord[]
  readonly stats: { readonly segments: number; readonly records: number; readonly tornBytesCut: number }
  /** The highest position reported persisted. */
  persisted = 0
  failures: VoteLogError[] = []
  #position = 0
  #waiting: { readonly upTo: number; readonly resolve: () => void }[] = []

  private constructor(opened: Awaited<ReturnType<typeof VoteLog.open>>) {
    this.log = opened.log
    this.recovered = opened.recovered
    this.stats = opened.stats
    this.log.onPersisted = (upTo) => this.#onPersisted(upTo)
    this.log.onFailure = (error) => this.failures.push(error)
  }

  static async at(directory: string, segmentBytesMax = 2 ** 20): Promise<OpenLog> {
    return new OpenLog(await VoteLog.open(directory, { ...IDENTITY, segmentBytesMax }))
  }

  static async createAt(directory: string, segmentBytesMax?: number): Promise<OpenLog> {
    await VoteLog.create(directory, IDENTITY)
    return OpenLog.at(directory, segmentBytesMax)
  }

  append(...records: readonly VoteRecord[]): void {
    for (const record of records) this.log.append(logPosition(++this.#position), record, isVote(record))
  }

  /** Appends and waits until it is durable; the last record must be a vote. */
  async persist(...records: readonly VoteRecord[]): Promise<void> {
    this.append(...records)
    this.log.flush()
    await this.settled()
  }

  /** All that was appended is reported persisted. */
  settled(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#waiting.push({ upTo: this.#position, resolve })
    this.#settle()
    return promise
  }

  #onPersisted(upTo: LogPosition): void {
    if (upTo <= this.persisted) throw new Error('reports must rise')
    this.persisted = upTo
    this.#settle()
  }

  #settle(): void {
    this.#waiting = this.#waiting.filter(({ upTo, resolve }) => {
      if (upTo <= this.persisted) resolve()
      return upTo > this.persisted
    })
  }
}
