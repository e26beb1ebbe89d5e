import type { Batch, Message, Request, Statement } from '../../protocol/messages.ts'
import { batchOf, NULL_BATCH } from '../../protocol/signing.ts'
import { type Digest, replicaId, seq, view, ZERO_DIGEST } from '../../protocol/types.ts'
import type { Command } from './command.ts'
import type { Harness } from './harness.ts'
import { sign, tampered } from './parties.ts'

/** Makes the messages that liars send. A replica can sign as itself only: `bad` is a signature that does not hold. */
export class Forge {
  readonly requests = new Map<string, Request>()
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

  /** `batch=` is a label, or `n@r`: what replica r accepted at n. */
  #batchOf(command: Command, cluster: Harness): Batch {
    const label = command.need('batch')
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
    switch (type) {
      case 'pre-prepare': {
        const batch = this.#batchOf(command, cluster)
        const digest = this.#digestOf(command, batch)
        const signature = signed({ type, view: v, seq: n, digests: [digest] })
        return [{ type, header: { view: v, seq: n, digest, signature }, batch }]
      }
      case 'prepare':
      case 'commit': {
        const { digest } = this.#batchOf(command, cluster)
        const signature = signed({ type, view: v, seq: n, digests: [digest] })
        return [{ type, view: v, seq: n, digest, replica: signer, signature }]
      }
      case 'checkpoint': {
        const chain = chainOf(command.need('chain'), cluster)
        const signature = signed({ type, view: 0, seq: n, digests: [ZERO_DIGEST, chain] })
        return [{ type, seq: n, stateRoot: ZERO_DIGEST, chain, replica: signer, signature }]
      }
      case 'committed': {
        const batch = this.#batchOf(command, cluster)
        const { digest } = batch
        const bad = command.numbers('bad-commits') ?? []
        const commits = (command.numbers('commits') ?? []).map(replicaId).map((replica) => {
          const statement = { type: 'commit' as const, view: v, seq: n, digests: [digest] }
          return { replica, signature: signed(statement, replica, bad.includes(replica)) }
        })
        const body = command.has('word') ? null : batch
        return [{ type, seq: n, digest, view: v, commits, batch: body, last: command.has('last') }]
      }
      case 'status': {
        const none = new Uint8Array(0)
        const executed = seq(command.number('executed') ?? 0)
        const bodies = command.number('bodies-after')
        const source = replicaId(command.number('source') ?? 0)
        return [
          {
            type,
            view: v,
            highestViewChange: v,
            lowWaterMark: seq(command.number('h') ?? 0),
            lastExecuted: executed,
            accepted: none,
            prepared: none,
            committed: none,
            checkpoint: null,
            bodies: bodies === undefined ? null : { source, after: seq(bodies) },
            wordsWanted: command.has('words'),
          },
        ]
      }
      default:
        throw new Error(`nobody knows how to forge a ${type}`)
    }
  }

  /** `digest=b2` puts another batch's digest into the header. */
  #digestOf(command: Command, batch: Batch): Digest {
    const label = command.option('digest')
    if (label === undefined) return batch.digest
    const other = this.#batches.get(label)
    if (other === undefined) throw new Error(`there is no batch ${label}`)
    return other.digest
  }
}

/** `r2`: what replica 2 has now; anything else: a chain of nobody. */
function chainOf(text: string, cluster: Harness): Digest {
  const match = /^r(\d+)$/.exec(text)
  if (match === null) return 'bad'.padEnd(64, '0') as Digest
  return cluster.node(Number(match[1])).store.position.chain
}
