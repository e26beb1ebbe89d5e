import type { MemoryStore } from '../../db/memory-store.ts'
import { clientId, requestNumber, seq } from '../../protocol/types.ts'
import type { Random } from './random.ts'

const WAYS = ['change', 'delete', 'insert', 'client', 'history'] as const

/**
 * [CP6] Changes a row behind the replica's back, as somebody with access to its database could. Returns in which way;
 * null: there was no such row.
 */
export function tamper(store: MemoryStore, random: Random): (typeof WAYS)[number] | null {
  const way = random.pick(WAYS)
  return changed(store, { way, random }) ? way : null
}

function changed(
  store: MemoryStore,
  { way, random }: { readonly way: (typeof WAYS)[number]; readonly random: Random },
): boolean {
  switch (way) {
    case 'change': {
      const row = random.pick(store.allRows().accounts)
      const balance = row.balance + BigInt(random.int(1, 1_000))
      store.tamper('accounts', row.id, () => ({ ...row, balance }))
      return true
    }
    case 'delete':
      store.tamper('accounts', random.pick(store.allRows().accounts).id, () => undefined)
      return true
    case 'insert': {
      const id = `planted-${random.int(0, 9)}`
      const version = store.position.lastExecuted
      const row = {
        id,
        owner: clientId(1_000),
        balance: 5n,
        opened: seq(0),
        version,
        entries: 0,
        newest: null,
      }
      store.tamper('accounts', id, () => row)
      return true
    }
    case 'client': {
      const { clients } = store.allRows()
      const row = clients.find((one) => one.real !== null)
      if (row === undefined || row.real === null) return false
      const real = { ...row.real, number: requestNumber(row.real.number + 1) }
      store.tamper('client_table', `${row.client}/${row.lane}`, () => ({ ...row, real }))
      return true
    }
    case 'history': {
      const { transfers } = store.allRows()
      if (transfers.length === 0) return false
      const row = random.pick(transfers)
      store.tamper('transfers', `${row.seq}/${row.index}`, () => ({ ...row, amount: row.amount + 1n }))
      return true
    }
  }
}
