import type { Message } from '../../protocol/messages.ts'
import type { ReplicaId } from '../../protocol/types.ts'
import type { VoteRecord } from '../../replica/core/vote-record.ts'

type Said = { readonly key: string; readonly what: string; readonly record: VoteRecord['kind'] }

/**
 * [D1] Watches what one replica says over all its restarts, in every scenario: nothing leaves before its record is
 * durable, and nothing contradicts what was said before.
 */
export class VoteAudit {
  readonly #said = new Map<string, string>()

  /** @throws when `message` must not leave. */
  check(self: ReplicaId, message: Message, durable: readonly VoteRecord[]): void {
    const said = saidIn(self, message)
    if (said === null) return
    const before = this.#said.get(said.key)
    if (before !== undefined && before !== said.what) {
      throw new Error(`[D1] r${self} said ${said.key} ${before.slice(0, 4)}, now ${said.what.slice(0, 4)}`)
    }
    this.#said.set(said.key, said.what)
    if (!durable.some((record) => record.kind === said.record && stands(record, said))) {
      throw new Error(`[D1] r${self} says ${said.key} ${said.what.slice(0, 4)} before it is durable`)
    }
  }
}

function saidIn(self: ReplicaId, message: Message): Said | null {
  switch (message.type) {
    case 'pre-prepare': {
      const { view, seq, digest } = message.header
      return { key: `pre-prepare v=${view} n=${seq}`, what: digest, record: 'pre-prepare' }
    }
    case 'prepare':
    case 'commit': {
      const record = message.type === 'prepare' ? 'pre-prepare' : 'prepared'
      return { key: `${message.type} v=${message.view} n=${message.seq}`, what: message.digest, record }
    }
    case 'checkpoint':
      // Others' are passed on.
      if (message.replica !== self) return null
      return { key: `checkpoint n=${message.seq}`, what: message.chain, record: 'checkpoint' }
    default:
      return null
  }
}

function stands(record: VoteRecord, { key, what }: Said): boolean {
  switch (record.kind) {
    case 'pre-prepare':
    case 'prepared':
      return record.header.digest === what && key.endsWith(` v=${record.header.view} n=${record.header.seq}`)
    case 'checkpoint':
      return record.chain === what && key.endsWith(` n=${record.seq}`)
    default:
      return false
  }
}
