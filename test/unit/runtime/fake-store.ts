import type {
  BatchAt,
  Connected,
  Executed,
  LaneEntry,
  RowMismatch,
  Store,
  StoreError,
  StoreErrorCode,
  TransferTarget,
} from '../../../db/store.ts'
import type { Partition } from '../../../protocol/messages.ts'
import { type Digest, type Seq, seq } from '../../../protocol/types.ts'
import type { DatabaseState, Event } from '../../../replica/core/event.ts'
import type { ExecutorEvents } from '../../../replica/runtime/executor.ts'

/** The checkpoint interval of these tests. */
export const K = 4
export const chainOf = (n: number): Digest => n.toString(16).padStart(64, '0') as Digest

export type Run = {
  readonly seqs: number[]
  readonly durable: boolean
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

/** Lets everything go on that waits for no timer. */
export const turn = () => new Promise<void>((resolve) => setImmediate(resolve))

export const lastRun = (store: FakeStore): Run => {
  const run = store.runs.at(-1)
  if (run === undefined) throw new Error('nothing was executed')
  return run
}

/** Sorts what an executor says. */
export function eventsOf() {
  const all: Event[] = []
  const executed: number[] = []
  const connected: DatabaseState[] = []
  const disconnected: StoreErrorCode[] = []
  const fatal: Error[] = []
  const events: ExecutorEvents = {
    onEvent: (event) => {
      all.push(event)
      if (event.type === 'executed') executed.push(event.seq)
      if (event.type === 'database-connected') connected.push(event.database)
    },
    onDisconnected: ({ code }) => disconnected.push(code),
    onFatal: (error) => fatal.push(error),
  }
  return { events, all, executed, connected, disconnected, fatal }
}

/** A store that executes when a test says so. `calls` names everything else that it was asked to do, in order. */
export class FakeStore implements Store {
  readonly runs: Run[] = []
  readonly calls: string[] = []
  lastExecuted = 0
  lanes: LaneEntry[] = []
  connects = 0
  /** Errors of the next connects, first one first. */
  connectErrors: StoreError[] = []
  readError: StoreError | undefined
  /** What the next call of that name rejects with. */
  readonly failures = new Map<string, StoreError>()
  closed = false
  root: Promise<Digest> = Promise.resolve(chainOf(0xabc))
  mismatches: Promise<readonly RowMismatch[]> = Promise.resolve([])
  repaired: readonly RowMismatch[] = []
  #target = 0

  async connect(): Promise<Connected> {
    this.connects += 1
    const error = this.connectErrors.shift()
    if (error !== undefined) throw error
    return this.#state()
  }

  #state(): Connected {
    const { lastExecuted, lanes } = this
    return { lastExecuted: seq(lastExecuted), chain: chainOf(lastExecuted), lanes, incarnations: [] }
  }

  execute(run: readonly BatchAt[], { durable }: { readonly durable: boolean }): Promise<readonly Executed[]> {
    const { promise, resolve, reject } = Promise.withResolvers<readonly Executed[]>()
    const seqs = run.map((one) => one.seq)
    this.runs.push({
      seqs,
      durable,
      resolve: () => {
        this.lastExecuted = seqs.at(-1) ?? this.lastExecuted
        resolve(run.map((one) => ({ seq: one.seq, chain: chainOf(one.seq), lanes: [], incarnations: [] })))
      },
      reject,
    })
    return promise
  }

  async read() {
    if (this.readError !== undefined) throw this.readError
    return { lastExecuted: seq(this.lastExecuted), values: [] }
  }

  async chainAt(at: Seq) {
    const digest = chainOf(at)
    return { seq: at, batchDigest: digest, repliesDigest: digest, transfersDigest: digest, chain: digest }
  }

  async takeCheckpoint() {
    this.#called(`take ${this.lastExecuted}`)
    return { lastExecuted: seq(this.lastExecuted), chain: chainOf(this.lastExecuted), stateRoot: this.root }
  }

  keepCheckpoints(seqs: readonly Seq[]) {
    this.#called(`keep ${seqs.join(',')}`)
  }

  async readPartitions(at: Seq, { partitions }: { readonly partitions: readonly Partition[] }) {
    this.#called(`partitions ${at}`)
    return partitions.map((partition) => ({
      partition,
      node: { kind: 'rows', rows: new Uint8Array(0) } as const,
    }))
  }

  async readHistory({ upTo }: { readonly upTo: Seq }) {
    this.#called(`history ${upTo}`)
    return []
  }

  async beginTransfer({ seq: at }: TransferTarget, { rescan }: { readonly rescan: boolean }) {
    this.#called(`begin ${at}${rescan ? ' rescan' : ''}`)
    this.#target = at
    return { partitions: ['' as Partition], history: true }
  }

  async stagePartition(partition: Partition) {
    this.#called(`stage ${partition}`)
    return []
  }

  async stageHistory() {
    this.#called('stage-history')
    return true
  }

  async installTransfer() {
    this.#called(`install ${this.#target}`)
    this.lastExecuted = this.#target
    return { ...this.#state(), repaired: this.repaired }
  }

  async cancelTransfer() {
    this.#called('cancel')
  }

  async scrub({ share }: { readonly share: number }) {
    this.#called(`scrub ${share}`)
    return { mismatches: this.mismatches }
  }

  async close() {
    this.closed = true
  }

  #called(what: string): void {
    this.calls.push(what)
    const name = what.split(' ')[0] ?? what
    const failure = this.failures.get(name)
    this.failures.delete(name)
    if (failure !== undefined) throw failure
  }
}
