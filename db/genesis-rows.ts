import type { Genesis } from '../protocol/config.ts'
import { EXTERNAL_ACCOUNT } from '../protocol/operations.ts'
import type { Seq, View } from '../protocol/types.ts'
import { principalId } from '../protocol/types.ts'
import type { AccountRow, CustomerRow, PrincipalRow } from './rows.ts'

export type GenesisRows = {
  readonly accounts: readonly AccountRow[]
  readonly customers: readonly CustomerRow[]
  readonly principals: readonly PrincipalRow[]
}

const GENESIS = 0 as Seq

/** The state at seq 0. Genesis balances come out of the external account, so that the sum is 0. */
export function genesisRows(genesis: Genesis): GenesisRows {
  const born = { opened: GENESIS, version: GENESIS, entries: 0, newest: null }
  const accounts = genesis.accounts.map(
    ({ id, owner, balance }): AccountRow => ({ id, owner: principalId(owner), balance, ...born }),
  )
  const issued = accounts.reduce((sum, account) => sum + account.balance, 0n)
  const external: AccountRow = { id: EXTERNAL_ACCOUNT, owner: null, balance: -issued, ...born }
  const fresh = { incarnation: 0, incarnationView: 0 as View, version: GENESIS }
  return {
    accounts: [external, ...accounts],
    customers: genesis.clients.map(({ id, name, address }) => ({
      owner: principalId(id),
      name,
      address,
      version: GENESIS,
    })),
    principals: [
      ...genesis.replicas.map(
        ({ id, publicKey }): PrincipalRow => ({ id: principalId(id), role: 'replica', publicKey, ...fresh }),
      ),
      ...genesis.clients.map(
        ({ id, publicKey, role }): PrincipalRow => ({ id: principalId(id), role, publicKey, ...fresh }),
      ),
    ],
  }
}
