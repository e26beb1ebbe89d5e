import { afterAll, afterEach, beforeAll } from 'vitest'
import { pathOf, placeOf } from '../../db/state-tree/place.ts'
import type { Store } from '../../db/store.ts'
import { type ScratchPostgres, scratchPostgres, storeOn } from '../unit/db/scratch-postgres.ts'
import { type Edit, storeStateContract } from './store-state.ts'

let server: ScratchPostgres
let opened: Store[] = []
beforeAll(async () => {
  server = await scratchPostgres()
})
afterEach(async () => {
  await Promise.all(opened.map((store) => store.close()))
  opened = []
})
afterAll(() => server.stop())

storeStateContract('postgres', async (genesis) => {
  const { url, sql } = await server.database()
  return {
    open() {
      const store = storeOn(url, { genesis })
      opened.push(store)
      return store
    },
    async edit(edit) {
      await sql(statementOf(edit))
    },
  }
})

function statementOf(edit: Edit): string {
  switch (edit.kind) {
    case 'set-balance':
      return `update accounts set balance = ${edit.balance} where id = '${edit.account}'`
    case 'delete-account':
      return `delete from accounts where id = '${edit.account}'`
    case 'insert-account': {
      const { id, owner, balance, opened, version, entries } = edit.row
      const path = pathOf(placeOf('accounts', [id]))
      return `insert into accounts values ('${id}', ${owner}, ${balance}, ${opened}, ${version}, ${entries}, 0, ${path})`
    }
    case 'set-amount':
      return `update transfers set amount = ${edit.amount} where seq = ${edit.seq} and index = ${edit.index}`
    case 'delete-transfer':
      return `delete from transfers where seq = ${edit.seq} and index = ${edit.index}`
    case 'set-replies-digest':
      return `update chain set replies_digest = '\\x${edit.digest}' where seq = ${edit.seq}`
  }
}
