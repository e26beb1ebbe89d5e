import type {
  Batch,
  Message,
  PartitionNode,
  Request,
  Statement,
  Status,
  ViewChange,
} from '../../protocol/messages.ts'
import { batchOf, NULL_BATCH } from '../../protocol/signing.ts'
import { type Digest, replicaId, seq, view, ZERO_DIGEST } from '../../protocol/types.ts'
import type { Command } from './command.ts'
import type { Harness } from './harness.ts'
import { sign, tampered } from './parties.ts'
import { forgedNewView, forgedViewChange } from './view-change-forge.ts'

/** Makes the messages that liars send. A replica can sign as itself only: `bad` is a signature that does not hold. */
export class Forge {
  readonly requests = new Map<string, Request>()
  /** Every one that was made here: a NEW-VIEW may name it. */
  readonly viewChanges: ViewChange[] = []
  readonly #batches = new Map<string, Batch>([['null', NULL_BATCH]])

  batch(label: string, requests: readonly string[]): Batch {
    const batch = batchOf(requests.map((name) => this.#request(name)))
    this.#batches.set(label, batch)
    return batch
  }

  #request(name: string): Request {
    const request = this.requests.get(name)
    if (request === undefined) throw new Error(`there is no request ${name}`)
    return request
  }

  /** A label, or `n@r`: what replica r accepted at n. */
  batchNamed(label: string, cluster: Harness): Batch {
    const known = this.#batches.get(label)
    if (known !== undefined) return known
    const [n, id] = label.split('@').map(Number)
    for (const record of cluster.node(id ?? -1).disk.all) {
      if (record.kind === 'pre-prepare' && record.header.seq === n) return record.batch
    }
    throw new Error(`there is no batch ${label}`)
  }

  messages(command: Command, cluster: Harness): Message[] {
    const [type] = command.words
    const signer = replicaId(command.number('signer') ?? Number(command.need('from')))
    const n = seq(command.number('n') ?? 0)
    const v = view(command.number('v') ?? 0)
    const signed = (statement: Omit<Statement, 'signer'>, by = signer, bad = command.has('bad')) => {
      const signature = sign({ ...statement, signer: by })
      return bad ? tampered(signature) : signature
    }
    const batch = () => this.batchNamed(command.need('batch'), cluster)
    switch (type) {
      case 'pre-prepare': {
        const proposed = batch()
        const label = command.option('digest')
        const digest = label === undefined ? proposed.digest : this.batchNamed(label, cluster).digest
        const signature = signed({ type, view: v, seq: n, digests: [digest] })
        return [{ type, header: { view: v, seq: n, digest, signature }, batch: proposed }]
      }
      case 'prepare':
      case 'commit': {
        const { digest } = batch()
        const count = 1 + (command.number('up-to') ?? n) - n
        return Array.from({ length: count }, (_, i) => {
          const statement = { type, view: v, seq: seq(n + i), digests: [digest] }
          return { type, view: v, seq: seq(n + i), digest, replica: signer, signature: signed(statement) }
        })
      }
      case 'checkpoint': {
        const { stateRoot, chain } = stateNamed(command.need('chain'), n, cluster)
        const signature = signed({ type, view: 0, seq: n, digests: [stateRoot, chain] })
        return [{ type, seq: n, stateRoot, chain, replica: signer, signature }]
      }
      case 'committed': {
        const proposed = batch()
        const { digest } = proposed
        const bad = command.numbers('bad-commits') ?? []
        const commits = (command.numbers('commits') ?? []).map(replicaId).map((replica) => {
          const statement = { type: 'commit' as const, view: v, seq: n, digests: [digest] }
          return { replica, signature: signed(statement, replica, bad.includes(replica)) }
        })
        const body = command.has('word') ? null : proposed
        return [{ type, seq: n, digest, view: v, commits, batch: body, last: command.has('last') }]
      }
      case 'fetched-batch':
        return [{ type, seq: n, batch: batch() }]
      case 'status':
        return [statusOf(command)]
      case 'view-change':
        return [forgedViewChange(command, { cluster, forge: this, signer })]
      case 'new-view':
        return [forgedNewView(command, { cluster, forge: this, signer })]
      default:
        throw new Error(`nobody knows how to forge a ${type}`)
    }
  }
}

/** What a liar serves instead: one byte of the state or of the history is another. */
export function falsified(message: Message): Message {
  switch (message.type) {
    case 'partitions':
      return {
        ...message,
        nodes: message.nodes.map(({ partition, node }) => ({ partition, node: falseNode(node) })),
      }
    case 'history':
      return {
        ...message,
        entries: message.entries.map((entry) => ({ ...entry, transfers: flipped(entry.transfers) })),
      }
    default:
      throw new Error(`nobody knows how to falsify a ${message.type}`)
  }
}

const falseNode = (node: PartitionNode): PartitionNode =>
  node.kind === 'rows'
    ? { kind: 'rows', rows: flipped(node.rows) }
    : { kind: 'inner', children: node.children.toReversed() }

function flipped(bytes: Uint8Array): Uint8Array {
  const other = Uint8Array.from(bytes)
  const last = other.length - 1
  other[last] = (other[last] ?? 0) ^ 1
  return other
}

function statusOf(command: Command): Status {
  const none = new Uint8Array(0)
  const v = view(command.number('v') ?? 0)
  const bodies = command.number('bodies-after')
  const source = replicaId(command.number('source') ?? 0)
  return {
    type: 'status',
    view: v,
    highestViewChange: view(command.number('view-change') ?? v),
    viewChanges: [],
    lowWaterMark: seq(command.number('h') ?? 0),
    lastExecuted: seq(command.number('executed') ?? 0),
    servedFrom: seq(command.number('served-from') ?? 0),
    isAmnesiac: command.has('amnesiac'),
    accepted: none,
    prepared: none,
    committed: none,
    checkpoint: null,
    bodies: bodies === undefined ? null : { source, after: seq(bodies) },
    wordsWanted: command.has('words'),
  }
}

/** `r2`: the state at `n` as replica 2 signed it; anything else: a state of nobody. */
function stateNamed(text: string, n: number, cluster: Harness): { stateRoot: Digest; chain: Digest } {
  const match = /^r(\d+)$/.exec(text)
  if (match === null) return { stateRoot: ZERO_DIGEST, chain: 'bad'.padEnd(64, '0') as Digest }
  const records = cluster.node(Number(match[1])).disk.all
  const record = records.find((one) => one.kind === 'checkpoint' && one.seq === n)
  if (record?.kind !== 'checkpoint') throw new Error(`${text} signed no CHECKPOINT at ${n}`)
  return record
}
