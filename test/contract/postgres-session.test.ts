import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Session } from '../../db/postgres/session.ts'
import { type ScratchPostgres, scratchPostgres } from '../unit/db/scratch-postgres.ts'

let server: ScratchPostgres
let session: Session
beforeAll(async () => {
  server = await scratchPostgres()
  const { url } = await server.database()
  session = await Session.open({ url, applicationName: 'test', settings: {} })
})
afterAll(async () => {
  await session.close()
  await server.stop()
})

const divide = (by: number) => ({
  name: 'divide',
  text: 'select 12 / $1::int, null, $2::text',
  values: [by, 'é'],
})

describe('prepared statements', () => {
  test('one whose first execution fails works later, and those behind it at once', async () => {
    const [first, behind] = await Promise.allSettled([session.rows(divide(0)), session.rows(divide(4))])
    expect(first).toMatchObject({ status: 'rejected', reason: { code: '22012' } })
    expect(behind).toEqual({ status: 'fulfilled', value: [['3', null, 'é']] })
    expect(await session.rows(divide(3))).toEqual([['4', null, 'é']])
    await expect(session.rows(divide(0))).rejects.toMatchObject({ code: '22012' })
    expect(await session.rows(divide(2))).toEqual([['6', null, 'é']])
  })

  test('one that Postgres cannot parse fails each time, and harms no other', async () => {
    const wrong = { name: 'wrong', text: 'select from where' }
    for (let i = 0; i < 2; i++) await expect(session.rows(wrong)).rejects.toMatchObject({ code: '42601' })
    expect(await session.rows({ name: 'right', text: 'select generate_series(1, 3)' })).toEqual([
      ['1'],
      ['2'],
      ['3'],
    ])
    expect(await session.rows({ name: 'none', text: 'select 1 where false' })).toEqual([])
  })

  test('it is parsed once', async () => {
    for (let i = 0; i < 3; i++) await session.rows({ name: 'once', text: 'select 1' })
    expect(
      await session.rows({
        text: `select count(*) from pg_prepared_statements where statement = 'select 1'`,
      }),
    ).toEqual([['1']])
  })

  test('rejects when the connection is closed', async () => {
    const { url } = await server.database()
    const other = await Session.open({ url, applicationName: 'test', settings: {} })
    await other.close()
    await expect(other.rows({ name: 'late', text: 'select 1' })).rejects.toThrow()
  })
})
