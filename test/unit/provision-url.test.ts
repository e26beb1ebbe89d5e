import { expect, test } from 'vitest'
import { databaseUrl, openUrl, redactUrl } from '../../db/provision/url.ts'

test('redactUrl hides every password and keeps the rest', () => {
  expect(redactUrl('postgresql://bank:s3cret@db.example:5432/ledger')).toBe(
    'postgresql://bank:***@db.example:5432/ledger',
  )
  expect(
    redactUrl('postgresql://db.example/ledger?user=bank&password=s3cret&sslpassword=s3cret'),
  ).not.toContain('s3cret')
  expect(redactUrl('postgresql://bank@db.example/ledger')).toBe('postgresql://bank@db.example/ledger')
  expect(redactUrl('bank:s3cret@nowhere at all')).not.toContain('s3cret')
})

test('databaseUrl escapes what would end a part early', () => {
  const url = new URL(
    databaseUrl({ host: '127.0.0.1', port: 5, user: 'a/b', password: 'p@:/?#%ü', database: 'd?' }),
  )
  expect(url).toMatchObject({ hostname: '127.0.0.1', port: '5', search: '', hash: '' })
  expect([url.username, url.password, url.pathname].map(decodeURIComponent)).toEqual([
    'a/b',
    'p@:/?#%ü',
    '/d?',
  ])
})

test('a database that nothing answers for is unreachable, and the error keeps the password to itself', async () => {
  await expect(openUrl({ url: 'postgresql://bank:s3cret@127.0.0.1:1/ledger' })).rejects.toMatchObject({
    code: 'unreachable',
    message: expect.stringMatching(/^(?!.*s3cret).*127\.0\.0\.1:1.*ECONNREFUSED/),
  })
})

test.each(['not a url', 'mysql://bank@127.0.0.1/ledger'])('%s is no database URL', async (url) => {
  await expect(openUrl({ url })).rejects.toMatchObject({
    code: 'unreachable',
    message: expect.stringContaining('postgresql://user:password@host:5432/database'),
  })
})
