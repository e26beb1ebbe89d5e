import { expect, test } from 'vitest'
import { writeUntilSilent } from '../../../chaos/experiments/faults/live-loop.ts'
import type { Bank } from '../../../client/client.ts'
import { NotSentError } from '../../../client/errors.ts'

const draw = () => ({ kind: 'deposit' as const, account: 'a', amount: 1n })
const bankThat = (answer: () => Promise<never[]>): Pick<Bank, 'submit'> => ({ submit: answer })
const loop = { draw, deadlineMs: 5, signal: new AbortController().signal }

test('every write is made once, by whichever bank is free', async () => {
  let made = 0
  const bank = bankThat(async () => {
    made += 1
    return []
  })
  expect(await writeUntilSilent({ ...loop, banks: [bank, bank], writes: 7 })).toHaveLength(7)
  expect(made).toBe(7)
})

test('a bank that is not answered in time makes no more; the others go on', async () => {
  let silent = 0
  const dead = bankThat(() => {
    silent += 1
    return Promise.reject(new NotSentError('deadline'))
  })
  const answers = await writeUntilSilent({ ...loop, banks: [dead, bankThat(async () => [])], writes: 5 })
  expect(answers).toHaveLength(4)
  expect(silent).toBe(1)
})

test('what is no missing answer is thrown', async () => {
  const broken = bankThat(() => Promise.reject(new TypeError('no such account')))
  await expect(writeUntilSilent({ ...loop, banks: [broken], writes: 1 })).rejects.toThrow('no such account')
})
