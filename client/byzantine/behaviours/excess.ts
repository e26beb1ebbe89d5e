import type { Read } from '../../../protocol/messages.ts'
import { pack, unpack } from '../../../protocol/msgpack.ts'
import type { SimpleOperation } from '../../../protocol/operations.ts'
import { lane, requestNumber } from '../../../protocol/types.ts'
import { type ClientLiar, type ClientPart, LIE_EVERY_MS, pick, type Said, signed } from '../liar.ts'

const RATE_DEFAULT = 500
const NONCE_MAX = 2 ** 48 - 1
/** Oversize messages are dear to make and to send, and say nothing new the second time. */
const OVERSIZE_CHANCE = 0.1
/** Types as protocol/codec.ts numbers them. */
const REQUEST_TYPE = 1
const READ_TYPE = 9
/** What the codec takes at most. */
const READ_ACCOUNTS_MAX = 1_000

/** Over all lanes, with rising numbers, each signed: the dearest that it can ask for at that rate. A fifth are reads. */
export function flood([rate = RATE_DEFAULT]: readonly number[], liar: ClientLiar): ClientPart {
  const { config, random, accounts } = liar
  let due = 0
  let made = 0
  /** Above what its honest core uses by now, and rising with it, so that both are heard. */
  let number = 1
  const one = (): Said => {
    made += 1
    const account = pick(accounts, random) ?? 'nobody'
    if (made % 5 === 0) return { type: 'read', nonce: made, accounts: [account] }
    number += 1
    const operations: SimpleOperation[] = [{ kind: 'balance', account }]
    const fields = { client: config.client, lane: lane(made % config.lanesPerClientMax), operations }
    return signed(liar, { ...fields, number: requestNumber(number) })
  }
  return {
    tells: (_, messages) => {
      for (const message of messages) {
        if (message.type === 'request' && message.number < Number.MAX_SAFE_INTEGER / 2) {
          number = Math.max(number, message.number)
        }
      }
      return messages
    },
    adds: () => {
      due += (rate * LIE_EVERY_MS) / 1_000
      const count = Math.floor(due)
      due -= count
      return Array.from({ length: count }, one)
    },
  }
}

/** [NC3] Each is authentic, and beyond one of genesis' bounds. */
export function oversize(liar: ClientLiar): ClientPart {
  const { config, random } = liar
  const { client, requestOperationsMax, requestBytesMax, lanesPerClientMax, replicas } = config
  const balance: SimpleOperation = { kind: 'balance', account: 'nobody' }
  const wide: SimpleOperation = { kind: 'balance', account: 'x'.repeat(400) }
  const base = { client, lane: lane(0), number: requestNumber(1), operations: [balance] }
  const ways: readonly (() => Said)[] = [
    () => signed(liar, { ...base, operations: Array(requestOperationsMax + 1).fill(balance) }),
    () => signed(liar, { ...base, operations: Array(Math.ceil(requestBytesMax / 400)).fill(wide) }),
    () => signed(liar, { ...base, lane: lane(lanesPerClientMax) }),
    () => ({ ...signed(liar, base), macs: Array(replicas + 1).fill(new Uint8Array(32)) }),
    () => signed(liar, { ...base, operations: [] }),
    () => signed(liar, { ...base, operations: [{ kind: 'lookup' }, balance] }),
  ]
  return {
    adds: () => {
      const way = random() < OVERSIZE_CHANCE ? pick(ways, random) : undefined
      return way === undefined ? [] : [way()]
    },
  }
}

/** [NC7] What only the order may change, where nothing is ordered. */
export function writeAsRead({ random, accounts }: ClientLiar): ClientPart {
  const absurd = (): Read => {
    const [first = 'nobody'] = accounts
    const lists = [
      [],
      Array(READ_ACCOUNTS_MAX).fill(first),
      ['', '@external', '\u0000', '../alice', "'; drop table accounts; --"],
      Array(20).fill('x'.repeat(400)),
      ['transfer', first, 'nobody', '1'],
    ]
    return { type: 'read', nonce: Math.floor(random() * NONCE_MAX), accounts: pick(lists, random) ?? [] }
  }
  return {
    wire: (bytes) => {
      const fields = unpack(bytes)
      if (!Array.isArray(fields) || fields[0] !== REQUEST_TYPE) return [bytes]
      return [bytes, pack([READ_TYPE, ...fields.slice(1)])]
    },
    adds: () => (random() < OVERSIZE_CHANCE ? [absurd()] : []),
  }
}
