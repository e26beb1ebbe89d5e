import type { Message } from '../../../protocol/messages.ts'
import type { ReplicaId, Seq } from '../../../protocol/types.ts'
import { seqOfRecord, type VoteRecord } from '../../../replica/core/vote-record.ts'
import type { Disk } from '../disk.ts'
import { Violation } from '../violation.ts'

type VoteType = 'pre-prepare' | 'prepare' | 'commit' | 'checkpoint'
type Said = { readonly type: VoteType; readonly view: number; readonly seq: Seq; readonly what: string }

/** [D1] Which record must be on the disk before a replica says this. */
const RECORD_OF: Readonly<Record<VoteType, VoteRecord['kind']>> = {
  'pre-prepare': 'pre-prepare',
  prepare: 'pre-prepare',
  commit: 'prepared',
  checkpoint: 'checkpoint',
}
const VIEWS = 2 ** 20

/**
 * [D1] What one replica ever put on the wire, over all its restarts: it never says two things about one
 * (view, seq), and says nothing that its disk does not hold by then.
 */
export class PromiseCheck {
  readonly #replica: ReplicaId
  readonly #disk: Disk
  readonly #said: Readonly<Record<VoteType, Map<number, string>>> = {
    'pre-prepare': new Map(),
    prepare: new Map(),
    commit: new Map(),
    checkpoint: new Map(),
  }

  constructor(replica: ReplicaId, disk: Disk) {
    this.#replica = replica
    this.#disk = disk
  }

  onWire(message: Message): void {
    const said = voteOf(message, this.#replica)
    if (said === null) return
    const { type, view, seq, what } = said
    const key = seq * VIEWS + view
    const before = this.#said[type].get(key)
    if (before === what) return
    if (before !== undefined) {
      throw new Violation(
        'promise-broken',
        `replica ${this.#replica} said ${type} ${short(before)} for view ${view} seq ${seq}, now ${short(what)}`,
      )
    }
    const record = this.#disk.durable(RECORD_OF[type], seq)
    if (record === undefined || whatOf(record) !== what) {
      throw new Violation(
        'not-durable',
        `replica ${this.#replica} sends ${type} for seq ${seq} without its record on the disk`,
      )
    }
    this.#said[type].set(key, what)
  }

  /** After a crash: all that was said must be in what the log gives back, unless a stable checkpoint stands for it. */
  onRecovered(votes: readonly VoteRecord[]): void {
    const stable = votes.reduce(
      (low, { kind, ...rest }) => (kind === 'stable' && 'seq' in rest ? Math.max(low, rest.seq) : low),
      0,
    )
    const held = new Set(votes.map((record) => `${record.kind} ${seqOfRecord(record)} ${whatOf(record)}`))
    for (const type of ['pre-prepare', 'prepare', 'commit', 'checkpoint'] as const) {
      for (const [key, what] of this.#said[type]) {
        const seq = Math.floor(key / VIEWS)
        if (seq <= stable || held.has(`${RECORD_OF[type]} ${seq} ${what}`)) continue
        throw new Violation(
          'not-durable',
          `replica ${this.#replica} said ${type} for seq ${seq}, and its log has forgotten it`,
        )
      }
    }
  }
}

function voteOf(message: Message, self: ReplicaId): Said | null {
  switch (message.type) {
    case 'pre-prepare': {
      const { view, seq, digest } = message.header
      return { type: 'pre-prepare', view, seq, what: digest }
    }
    case 'prepare':
    case 'commit':
      return { type: message.type, view: message.view, seq: message.seq, what: message.digest }
    case 'checkpoint':
      // Others' are passed on.
      return message.replica === self
        ? { type: 'checkpoint', view: 0, seq: message.seq, what: message.chain }
        : null
    default:
      return null
  }
}

function whatOf(record: VoteRecord): string {
  switch (record.kind) {
    case 'pre-prepare':
    case 'prepared':
      return record.header.digest
    case 'committed':
      return record.digest
    case 'batch':
      return record.batch.digest
    case 'checkpoint':
    case 'stable':
      return record.chain
  }
}

const short = (digest: string): string => digest.slice(0, 8)
