import { digestOf } from '../../../protocol/crypto.ts'
import type {
  Checkpoint,
  LedgerEntry,
  Message,
  Partition,
  PartitionNode,
  Statement,
} from '../../../protocol/messages.ts'
import { quorumOf } from '../../../protocol/quorum.ts'
import type { Digest, LogPosition, ReplicaId, Seq } from '../../../protocol/types.ts'
import { ZERO_DIGEST } from '../../../protocol/types.ts'
import { Checkpoints } from '../../../replica/core/checkpoint.ts'
import type { NamedState } from '../../../replica/core/checkpoint-votes.ts'
import type { CoreConfig, CoreCrypto } from '../../../replica/core/config.ts'
import type { Effect, Observation } from '../../../replica/core/effect.ts'
import type { DatabaseState, RowMismatch } from '../../../replica/core/event.ts'
import { Execution } from '../../../replica/core/execution.ts'
import { SlotLog } from '../../../replica/core/log.ts'
import { Outbox } from '../../../replica/core/outbox.ts'
import { StateSource } from '../../../replica/core/state-source.ts'
import { StateTransfer } from '../../../replica/core/state-transfer.ts'
import type { ViewFacts } from '../../../replica/core/status.ts'

export const at = (seq: number): Seq => seq as Seq
export const id = (replica: number): ReplicaId => replica as ReplicaId
const hash = (value: unknown): Digest => digestOf(Buffer.from(JSON.stringify(value)))
const signedBy = (statement: Statement): Uint8Array => Buffer.from(hash(statement), 'hex')

export const K = 8

const configOf = (self: number, n: number): CoreConfig => ({
  self: id(self),
  quorum: quorumOf(n),
  checkpointInterval: K,
  logWindow: 2 * K,
  batchOperationsMax: 10,
  batchBytesMax: 10_000,
  requestOperationsMax: 10,
  requestBytesMax: 10_000,
  lanesPerClientMax: 4,
  inFlightMax: 4,
  statusBusyMs: 100,
  statusIdleMs: 1_000,
  viewChangeTimeoutMs: 500,
  isAdmitted: () => true,
})

const unused = (): never => {
  throw new Error('not part of state transfer')
}

const partitionDigest = (node: PartitionNode): Digest =>
  node.kind === 'rows' ? hash(['rows', Buffer.from(node.rows).toString()]) : hash(['inner', node.children])

const crypto: CoreCrypto = {
  sign: signedBy,
  batchDigest: unused,
  request: unused,
  viewChange: unused,
  newView: unused,
  partitionDigest,
  chainDigest: ({ seq, previous, batchDigest }) => hash([seq, previous, batchDigest]),
}

/** A tree of 16 leaves; leaf i was last changed at the highest s <= seq with s mod 16 = i. */
export class Tree {
  readonly #nodes = new Map<Partition, PartitionNode>()

  constructor(seq: number, tampered: readonly string[] = []) {
    for (const high of '0123') {
      for (const low of '0123') {
        const leaf = Number(high) * 4 + Number(low)
        const changed = seq - ((((seq - leaf) % 16) + 16) % 16)
        const text = `row ${leaf} of ${Math.max(changed, 0)}${tampered.includes(high + low) ? ' stolen' : ''}`
        this.#nodes.set((high + low) as Partition, { kind: 'rows', rows: Buffer.from(text) })
      }
    }
    for (const high of '0123') this.#join(high)
    this.#join('')
  }

  #join(partition: string): void {
    const children = [...'0123'].map((digit) => this.digestAt((partition + digit) as Partition))
    this.#nodes.set(partition as Partition, { kind: 'inner', children })
  }

  node(partition: Partition): PartitionNode {
    const node = this.#nodes.get(partition)
    if (node === undefined) throw new Error(`no partition ${partition}`)
    return node
  }

  digestAt(partition: Partition): Digest {
    return partitionDigest(this.node(partition))
  }
}

const GENESIS = hash('genesis')
export const entryAt = (seq: number): LedgerEntry => ({
  seq: at(seq),
  previous: chainAt(seq - 1),
  batchDigest: hash(['batch', seq]),
  repliesDigest: ZERO_DIGEST,
  transfers: new Uint8Array(0),
})
const chains = [GENESIS]
export function chainAt(seq: number): Digest {
  for (let next = chains.length; next <= seq; next++) {
    chains.push(hash([next, chains[next - 1], hash(['batch', next])]))
  }
  return chains[seq] as Digest
}

export const stateAt = (seq: number): NamedState => ({
  seq: at(seq),
  stateRoot: new Tree(seq).digestAt('' as Partition),
  chain: chainAt(seq),
})

export function checkpointOf(replica: number, state: NamedState): Checkpoint {
  const { seq, stateRoot, chain } = state
  const statement: Statement = {
    type: 'checkpoint',
    view: 0,
    seq,
    signer: id(replica),
    digests: [stateRoot, chain],
  }
  return { type: 'checkpoint', seq, stateRoot, chain, replica: id(replica), signature: signedBy(statement) }
}

const databaseAt = (seq: number): DatabaseState => ({
  lastExecuted: at(seq),
  chain: chainAt(seq),
  recent: [],
  checkpoint: null,
  lanes: [],
  incarnations: [],
})

/** One replica's part in state transfer, with a database of `seq` batches that does as db/store.ts says. */
export class Party {
  readonly config: CoreConfig
  readonly outbox = new Outbox()
  readonly log: SlotLog
  readonly execution: Execution
  readonly checkpoints: Checkpoints
  readonly source: StateSource
  readonly transfer: StateTransfer
  readonly facts = { isBeyondMessages: false, isVoting: true }
  /** Everything that was said and done, in order. */
  readonly effects: Effect[] = []
  /** Messages to other parties that are under way. */
  readonly sent: { readonly to: ReplicaId; readonly message: Message }[] = []
  readonly held = new Map<Seq, Tree>()
  /** Alters what a liar sends; undefined: sends nothing. */
  alter: (message: Message) => Message | undefined = (message) => message
  executed: number
  tree: Tree
  #target: NamedState | null = null
  readonly #staged = new Map<Partition, Digest>()
  #lowestStaged = Number.POSITIVE_INFINITY

  constructor(self: number, { seq, n = 4, low = 0 }: { seq: number; n?: number; low?: number }) {
    this.executed = seq
    this.tree = new Tree(seq)
    this.config = configOf(self, n)
    const { config, outbox } = this
    this.log = new SlotLog(at(low), config.logWindow)
    const executed = databaseAt(seq)
    this.execution = new Execution({ config, outbox, executed, committedInLog: at(seq) })
    const { log, execution, facts } = this
    const parts = { config, crypto, outbox, log, execution }
    this.checkpoints = new Checkpoints({ ...parts, stable: null, lastOwn: at(0) })
    const { checkpoints } = this
    const views = facts as unknown as ViewFacts
    this.source = new StateSource({ ...parts, checkpoints, views, servedFrom: at(0) })
    this.transfer = new StateTransfer({ ...parts, checkpoints, catchUp: facts, source: this.source })
  }

  observed(kind: Observation['kind']): Observation[] {
    return this.effects.flatMap((e) => (e.type === 'observe' && e.what.kind === kind ? [e.what] : []))
  }

  of<T extends Effect['type']>(type: T): Extract<Effect, { type: T }>[] {
    return this.effects.filter((e): e is Extract<Effect, { type: T }> => e.type === type)
  }

  /** Takes a CHECKPOINT of its present state, as the runtime does at multiples of K. */
  take(): void {
    this.held.set(at(this.executed), this.tree)
    const state = {
      seq: at(this.executed),
      stateRoot: this.tree.digestAt('' as Partition),
      chain: chainAt(this.executed),
    }
    this.checkpoints.onTaken(state, { mayVote: this.facts.isVoting })
    this.source.onTaken(state)
    this.run()
  }

  /** The batch after the last is executed. */
  execute(upTo: number): void {
    while (this.executed < upTo) {
      this.executed += 1
      this.execution.reset(databaseAt(this.executed))
      this.tree = new Tree(this.executed)
      this.checkpoints.onExecuted(this.executed as Seq)
      if (this.executed % K === 0) this.take()
    }
    this.run()
  }

  mismatch(rows: readonly RowMismatch[]): void {
    this.transfer.onMismatch(rows)
    this.run()
  }

  deliver(from: number, message: Message): void {
    switch (message.type) {
      case 'checkpoint':
        this.checkpoints.onCheckpoint(id(from), message)
        break
      case 'fetch-checkpoint':
        this.source.onFetchCheckpoint(id(from), message)
        break
      case 'fetch-partitions':
        this.source.onFetchPartitions(id(from), message)
        break
      case 'fetch-history':
        this.source.onFetchHistory(id(from), message)
        break
      case 'state-offer':
        this.transfer.onOffer(id(from), message)
        break
      case 'partitions':
        this.transfer.onPartitions(id(from), message)
        break
      case 'history':
        this.transfer.onHistory(id(from), message)
        break
      default:
        throw new Error(`no ${message.type} in state transfer`)
    }
    this.run()
  }

  /** The timers of one statusBusyMs, and of one transfer period. */
  tick(): void {
    this.outbox.nowMs += this.config.statusBusyMs
    this.source.onTick()
    this.run()
  }

  period(): void {
    for (let tick = 0; tick < 5; tick++) this.tick()
    this.transfer.onTimeout()
    this.run()
  }

  /** Performs effects until there are none. */
  run(): void {
    this.transfer.advance()
    this.source.advance()
    for (let effects = this.outbox.drain(); effects.length > 0; effects = this.outbox.drain()) {
      for (const effect of effects) {
        this.effects.push(effect)
        this.#perform(effect)
      }
      this.transfer.advance()
      this.source.advance()
    }
  }

  #perform(effect: Effect): void {
    switch (effect.type) {
      case 'send': {
        const message = this.alter(effect.message)
        if (message !== undefined)
          for (const to of effect.to) this.sent.push({ to: to as ReplicaId, message })
        return
      }
      case 'verify': {
        const valid = effect.claims.map(
          ({ statement, signature }) => Buffer.compare(signature, signedBy(statement)) === 0,
        )
        for (const owner of [this.checkpoints, this.transfer])
          if (owner.onVerified(effect.check, valid)) return
        throw new Error('nobody asked')
      }
      case 'persist':
        this.outbox.durable = effect.position as LogPosition
        return this.checkpoints.onPersisted()
      case 'take-checkpoint':
        return this.take()
      case 'keep-checkpoints':
        for (const seq of this.held.keys()) if (!effect.seqs.includes(seq)) this.held.delete(seq)
        return
      case 'read-partitions': {
        const tree = this.held.get(effect.seq)
        const nodes = effect.partitions.map((partition) => ({
          partition,
          node: tree?.node(partition) as PartitionNode,
        }))
        const { reader, seq } = effect
        return this.source.onPartitionsRead({ reader, seq, nodes: tree === undefined ? null : nodes })
      }
      case 'read-history': {
        const entries = [0, 1, 2].map((down) => effect.upTo - down).filter((seq) => seq > 0)
        const { reader, upTo } = effect
        return this.source.onHistoryRead({ reader, upTo, entries: entries.map(entryAt) })
      }
      default:
        return this.#performTransfer(effect)
    }
  }

  #performTransfer(effect: Effect): void {
    switch (effect.type) {
      case 'begin-transfer': {
        this.#target = effect
        this.#lowestStaged = Number.POSITIVE_INFINITY
        const same = this.tree.digestAt('' as Partition) === effect.stateRoot && !effect.rescan
        const history = chainAt(this.executed) !== effect.chain
        const partitions = same ? [] : ['' as Partition]
        return this.transfer.onBegun({ type: 'transfer-begun', seq: effect.seq, partitions, history })
      }
      case 'stage-partition': {
        const { partition, node } = effect
        this.#staged.set(partition, partitionDigest(node))
        const children = node.kind === 'inner' ? node.children : []
        const wants = children.flatMap((digest, at) => {
          const child = `${partition}${at}` as Partition
          const kept = node.kind === 'inner' && this.#staged.get(child) === digest && child.length === 2
          return digest === this.tree.digestAt(child) || kept ? [] : [child]
        })
        return this.transfer.onPartitionStaged({ type: 'partition-staged', partition, wants })
      }
      case 'stage-history': {
        this.#lowestStaged = effect.entries.at(-1)?.seq ?? 0
        const isComplete = this.#lowestStaged <= this.executed + 1
        return this.transfer.onHistoryStaged({
          type: 'history-staged',
          lowest: at(this.#lowestStaged),
          isComplete,
        })
      }
      case 'install-transfer': {
        this.executed = this.#target?.seq ?? 0
        this.tree = new Tree(this.executed)
        const database = databaseAt(this.executed)
        this.execution.reset(database)
        this.#staged.clear()
        this.facts.isBeyondMessages = false
        this.transfer.onInstalled({ type: 'state-installed', database, repaired: [] })
        this.checkpoints.onInstalled()
        if (this.executed % K === 0) this.take()
        return
      }
      default:
    }
  }
}

/** Parties that hear each other. */
export class World {
  readonly parties: readonly Party[]

  constructor(seqs: readonly number[]) {
    this.parties = seqs.map((seq, self) => new Party(self, { seq, n: seqs.length }))
  }

  get(self: number): Party {
    return this.parties[self] as Party
  }

  /** Delivers until nothing is under way; `until`: or until this holds. */
  settle(until: () => boolean = () => false): void {
    for (;;) {
      const from = until() ? undefined : this.parties.find(({ sent }) => sent.length > 0)
      const next = from?.sent.shift()
      if (from === undefined || next === undefined) return
      this.parties[next.to]?.deliver(from.config.self, next.message)
    }
  }

  period(): void {
    for (const party of this.parties) party.period()
    this.settle()
  }
}
