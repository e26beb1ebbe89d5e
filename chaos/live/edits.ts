import type { Random } from '../sim/random.ts'

/** A change by hand, and what it is in words. */
export type Edit = { readonly sql: string; readonly what: string }

/** One of those that were paid from or into last: the next write to it meets the change, so that it is soon found. */
const anAccount = (place: number) =>
  `(select id from accounts where owner is not null order by newest desc, id offset ${place} limit 1)`
const PLACES = 4

/**
 * A change of a row that a client can read, as somebody with a password makes it. Not of a lane's row: a write to that
 * puts everything in its place, and nothing would be left to find.
 */
export function drawEdit(random: Random): Edit {
  const account = anAccount(random.int(0, PLACES - 1))
  const amount = random.int(1, 500)
  return random.pick<Edit>([
    {
      what: `accounts: a balance raised by ${amount}`,
      sql: `update accounts set balance = balance + ${amount} where id = ${account}`,
    },
    {
      what: 'accounts: a version set back',
      sql: `update accounts set version = version - 1 where id = ${account}`,
    },
    { what: 'accounts: a row deleted', sql: `delete from accounts where id = ${account}` },
  ])
}
