import type { Comparison, DatabaseView } from '../../chaos/check/compare-databases.ts'
import { table } from '../../client/format.ts'

const DIGEST_SHOWN = 16

/** The balances that each database holds at the common sequence number, then where it is and its digest. */
export async function sideBySide(
  views: ReadonlyMap<number, DatabaseView>,
  { seq, databases }: Comparison,
): Promise<string> {
  const balances = await Promise.all(
    databases.map(async ({ replica }) => {
      const byAccount = new Map<string, string>()
      for await (const { id, balance } of views.get(replica)?.rows('accounts', seq) ?? []) {
        byAccount.set(id, `${balance}`)
      }
      return byAccount
    }),
  )
  const accounts = [...new Set(balances.flatMap((byAccount) => [...byAccount.keys()]))]
  const right = (text: string) => text.padStart(DIGEST_SHOWN)
  const headers = ['account', ...databases.map(({ replica }) => right(`replica ${replica}`))]
  const rows = accounts.map((account) => [
    account,
    ...balances.map((byAccount) => right(byAccount.get(account) ?? '(none)')),
  ])
  return table(headers, [
    ...rows,
    headers.map(() => ''),
    ['last_executed', ...databases.map(({ lastExecuted }) => right(`${lastExecuted}`))],
    [`digest at ${seq}`, ...databases.map(({ digest }) => right(digest.slice(0, DIGEST_SHOWN)))],
  ])
}
