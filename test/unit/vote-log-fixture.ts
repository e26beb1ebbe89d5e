import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'vitest'
import { encodeRequestBody } from '../../protocol/codec.ts'
import { digestOf } from '../../protocol/crypto.ts'
import type { Batch, Request, Vote } from '../../protocol/messages.ts'
import { newViewOf, viewChangeOf } from '../../protocol/signed.ts'
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

const viewChangeMessage = (v: number, replica: number) =>
  viewChangeOf(
    {
      newView: view(v),
      lowWaterMark: seq(0),
      incarnation: 0,
      checkpoints: [
        { type: 'checkpoint', ...stateOf(128), replica: replicaId(1), signature: signatureOf(v) },
      ],
      prepared: [{ header: headerOf(129, batchNumber(129).digest, 0), prepares: votesOf(129, 2) }],
    },
    replicaId(replica),
    () => signatureOf(v),
  )
export const viewChange = (v: number): VoteRecord => ({
  kind: 'view-change',
  message: viewChangeMessage(v, IDENTITY.replica),
})
export function newView(v: number): VoteRecord {
  const viewChanges = [0, 1, 3].map((replica) => viewChangeMessage(v, replica))
  const fields = {
    view: view(v),
    viewChanges: viewChanges.map(({ replica, digest }) => ({ replica, digest })),
    headers: [headerOf(129, batchNumber(129).digest, v)],
  }
  return { kind: 'new-view', message: newViewOf(fields, replicaId(1), () => signatureOf(v)), viewChanges }
}
export const AMNESIA: VoteRecord = { kind: 'amnesia' }
export const recovered = (incarnation: number): VoteRecord => ({
  kind: 'recovered',
  incarnation,
  view: view(incarnation),
})

/** A directory that disappears with the test. */
export function temporaryDirectory(): { readonly path: string } & Disposable {
  const path = mkdtempSync(join(tmpdir(), 'pbft-vote-log-'))
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) }
}

/** The files as a process that dies now leaves them; a write that is under way may be in them in part. */
export function copyLog(from: string, to: string): void {
  mkdirSync(to)
  // Newest first: a segment may get its name while this goes on, and others be cut, oldest first.
  for (const name of readdirSync(from).toSorted().toReversed()) {
    if (!/^(votes-|synced$)/.test(name)) continue
    try {
      copyFileSync(join(from, name), join(to, name))
    } catch (error) {
      if (existsSync(join(from, name))) throw error
    }
  }
}

/** A log with what a test wants to know of it. */
export class OpenLog {
  readonly log: VoteLog
  readonly recovered: readonly VoteRecord[]
  readonly stats: { readonly segments: number; readonly records: number; readonly tornBytesCut: number }
  /** The highest position reported persisted. */
  persisted = 0
  failures: VoteLogError[] = []
  readonly #failed = Promise.withResolvers<void>()
  #position = 0
  #waiting: { readonly upTo: number; readonly resolve: () => void }[] = []

  private constructor(opened: Awaited<ReturnType<typeof VoteLog.open>>) {
    this.log = opened.log
    this.recovered = opened.recovered
    this.stats = opened.stats
    this.log.onPersisted = (upTo) => this.#onPersisted(upTo)
    this.log.onFailure = (error) => {
      this.failures.push(error)
      this.#failed.resolve()
    }
  }

  static async at(
    directory: string,
    segmentBytesMax = 2 ** 20,
    options: {
      readonly archive?: boolean
      readonly noteSynced?: boolean
      readonly inlineSyncMsMax?: number
    } = {},
  ): Promise<OpenLog> {
    // Through the thread pool unless said otherwise: what a disk does there does not depend on its speed.
    const always = { ...IDENTITY, inlineSyncMsMax: 0, segmentBytesMax }
    return new OpenLog(await VoteLog.open(directory, { ...always, ...options }))
  }

  static async createAt(...args: Parameters<typeof OpenLog.at>): Promise<OpenLog> {
    await VoteLog.create(args[0], IDENTITY)
    return OpenLog.at(...args)
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

  failed(): Promise<void> {
    return this.#failed.promise
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
