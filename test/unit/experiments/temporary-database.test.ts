import { expect, test } from 'vitest'
import { dropTemporaryDatabase, isTemporaryDatabase } from '../../../db/provision/temporary-database.ts'

test.each([
  'postgresql://u:p@host/pbft_temporary_0123456789ab',
  'postgres://host:5433/pbft_temporary_abcdefabcdef?sslmode=require',
])('%s is one of ours', (url) => {
  expect(isTemporaryDatabase(url)).toBe(true)
})

test.each([
  'postgresql://u:secret@host/ledger',
  'postgresql://u:secret@host/pbft_temporary_0123456789ab_mine',
  'postgresql://u:secret@host/my_pbft_temporary_0123456789ab',
  'no url',
])('%s is never dropped, and its password is not told', async (url) => {
  expect(isTemporaryDatabase(url)).toBe(false)
  const failure = await dropTemporaryDatabase(url).catch((error: unknown) => error)
  expect(failure).toMatchObject({ code: 'refused', message: expect.not.stringContaining('secret') })
})
