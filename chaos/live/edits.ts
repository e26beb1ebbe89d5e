import type { Random } from '../sim/random.ts'

/** A change by hand, and what it is in words. */
export type Edit = { readonly sql: string; readonly what: string }

/** Some row, the same for the same number where the rows are the same. */
const anAccount = (salt: number) =>
  `(select id from accounts where owner is not null order by md5(id || '${salt}') limit 1)`

/** Changes of rows that a client can read, as somebody with a password makes them. */
export function drawEdit(random: Random): Edit {
  const salt = random.int(0, 1_000_000)
  const amount = random.int(1, 500)
  const account = anAccount(salt)
  return random.pick<Edit>([
    {
      what: `accounts: a balance raised by ${amount}`,
      sql: `update accounts set balance = balance + ${amount} where id = ${account}`,
    },
    { what: 'accounts: a row deleted', sql: `delete from accounts where id = ${account}` },
    {
      what: 'accounts: a row inserted',
      sql: `insert into accounts select (jsonb_populate_record(a, '{"id": "forged-${salt}"}')).* from accounts a where id = ${account} on conflict do nothing`,
    },
    {
      what: 'transfers: an amount of the past changed',
      sql: 'update transfers set amount = amount + 1 where (seq, index) = (select seq, index from transfers order by seq, index limit 1)',
    },
    {
      what: 'client_table: a reply changed',
      sql: `update client_table set result = '\\x9101' where (client, lane) = (select client, lane from client_table where number is not null order by client, lane limit 1)`,
    },
    {
      what: 'customers: an address changed',
      sql: `update customers set address = 'nowhere' where owner = (select min(owner) from customers)`,
    },
  ])
}
