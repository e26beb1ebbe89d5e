import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import type { Genesis } from '../../../protocol/config.ts'
import { SIGNATURE_BYTES } from '../../../protocol/crypto.ts'
import type { Statement } from '../../../protocol/messages.ts'
import { signedBytes } from '../../../protocol/signing.ts'
import { PACKED_HEAD_BYTES, writePacked } from './packed.ts'
import { type ShareVerdict, verifyShare } from './worker.ts'

/** Beside this file, under the same name: TypeScript in a checkout, JavaScript in a package. */
const WORKER = new URL(`./worker${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url)

/** So many signatures are worth a message to a thread: 40 ms of its time. */
const SHARE_COUNT = 1_000
const SHARE_BYTES = SHARE_COUNT * (PACKED_HEAD_BYTES + 128)
/** Threads cost a tenth of a second to start: what verifies faster is verified here. */
const INLINE_COUNT_MAX = 2_000
/** Not verified yet; whoever has more waits. */
const OUTSTANDING_MAX = 40_000
const WORKERS_MIN = 2
const WORKERS_MAX = 16

export type SignedStatement = { readonly statement: Statement; readonly signature: Uint8Array }

type Asker = { readonly count: number; readonly answer: (valid: Uint8Array) => void }
type Open = { buffer: Buffer; length: number; count: number; askers: Asker[] }

/**
 * Verifies Ed25519 signatures of genesis' principals on several threads. What is asked for together is answered together,
 * with a byte for each: 1 where the signature holds. `flush` when nothing more comes for a while.
 */
export class SignaturePool {
  readonly #clusterId: Buffer
  readonly #keys: Uint8Array
  readonly #indexes: ReadonlyMap<number, number>
  readonly #sent = new Map<number, readonly Asker[]>()
  #workers: Worker[] | null = null
  #open: Open = emptyShare()
  #shares = 0
  #outstanding = 0
  #verified = 0
  #failure: unknown = null
  #wake = Promise.withResolvers<void>()

  constructor(genesis: Genesis) {
    this.#clusterId = Buffer.from(genesis.clusterId, 'hex')
    const principals = [...genesis.replicas, ...genesis.clients]
    this.#keys = Buffer.concat(principals.map(({ publicKey }) => Buffer.from(publicKey, 'hex')))
    this.#indexes = new Map(principals.map(({ id }, index) => [id, index]))
  }

  /** How many were verified so far. */
  get verified(): number {
    return this.#verified
  }

  /** A byte for each, in order; a principal that genesis does not know signs nothing. */
  check(statements: readonly SignedStatement[]): Promise<Uint8Array> {
    const { promise, resolve } = Promise.withResolvers<Uint8Array>()
    const valid = new Uint8Array(statements.length)
    let missing = 0
    const places: number[] = []
    const done = (part: Uint8Array, from: number) => {
      part.forEach((one, i) => {
        valid[places[from + i] ?? 0] = one
      })
      missing -= part.length
      if (missing === 0) resolve(valid)
    }
    statements.forEach((signed, place) => {
      if (this.#indexes.has(signed.statement.signer) && signed.signature.length === SIGNATURE_BYTES)
        places.push(place)
    })
    missing = places.length
    if (missing === 0) resolve(valid)
    let from = 0
    while (from < places.length) {
      const begun = from
      while (from < places.length && this.#pack(statements[places[from] ?? 0])) from += 1
      const answer = (part: Uint8Array) => done(part, begun)
      this.#open.askers.push({ count: from - begun, answer })
      if (this.#open.count >= SHARE_COUNT) this.flush()
    }
    return promise
  }

  /** False where the share is full. */
  #pack(signed: SignedStatement | undefined): boolean {
    const { count, length } = this.#open
    if (signed === undefined || count >= SHARE_COUNT) return false
    const { statement, signature } = signed
    const bytes = signedBytes(this.#clusterId, statement)
    const key = this.#indexes.get(statement.signer) ?? 0
    this.#open.length = writePacked(this.#open.buffer, length, { key, signature, bytes })
    this.#open.count = count + 1
    return true
  }

  flush(): void {
    const { buffer, length, count, askers } = this.#open
    if (askers.length === 0) return
    this.#open = emptyShare()
    const packed = new Uint8Array(buffer.buffer, buffer.byteOffset, length)
    if (this.#verified + this.#outstanding + count <= INLINE_COUNT_MAX) {
      this.#verified += count
      answerAll(askers, verifyShare({ packed: Uint8Array.from(packed), count }, this.#keys))
      return
    }
    const id = ++this.#shares
    this.#sent.set(id, askers)
    this.#outstanding += count
    this.#workers ??= this.#start()
    const share = { id, packed: Uint8Array.from(packed), count }
    this.#workers[id % this.#workers.length]?.postMessage(share, [share.packed.buffer])
  }

  /** Resolves when few enough are under way. Rejects when a thread failed. */
  async room(): Promise<void> {
    while (this.#outstanding > OUTSTANDING_MAX) await this.#next()
  }

  /** Resolves when all that was asked for is answered. Rejects when a thread failed. */
  async drain(): Promise<void> {
    this.flush()
    while (this.#outstanding > 0) await this.#next()
  }

  async close(): Promise<void> {
    await Promise.all((this.#workers ?? []).map((worker) => worker.terminate()))
  }

  async #next(): Promise<void> {
    await this.#wake.promise
    this.#wake = Promise.withResolvers<void>()
    if (this.#failure !== null) throw this.#failure
  }

  #start(): Worker[] {
    const count = Math.min(WORKERS_MAX, Math.max(WORKERS_MIN, availableParallelism()))
    return Array.from({ length: count }, () => {
      const worker = new Worker(WORKER, { workerData: this.#keys })
      worker.on('message', (verdict: ShareVerdict) => this.#onVerdict(verdict))
      worker.on('error', (error) => {
        this.#failure = error
        this.#wake.resolve()
      })
      return worker
    })
  }

  #onVerdict({ id, valid }: ShareVerdict): void {
    const askers = this.#sent.get(id) ?? []
    this.#sent.delete(id)
    this.#outstanding -= valid.length
    this.#verified += valid.length
    answerAll(askers, valid)
    this.#wake.resolve()
  }
}

function answerAll(askers: readonly Asker[], valid: Uint8Array): void {
  let at = 0
  for (const { count, answer } of askers) {
    answer(valid.subarray(at, at + count))
    at += count
  }
}

function emptyShare(): Open {
  return { buffer: Buffer.allocUnsafeSlow(SHARE_BYTES), length: 0, count: 0, askers: [] }
}
