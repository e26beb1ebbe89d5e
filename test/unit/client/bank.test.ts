import { afterEach, expect, test } from 'vitest'
import { type Bank, connect } from '../../../client/client.ts'
import {
  IndeterminateError,
  InvalidArgumentError,
  NoQuorumError,
  RefusedError,
} from '../../../client/errors.ts'
import { UdpBank } from './udp-bank.ts'

const open: { close(): Promise<void> }[] = []
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close()
})

async function start(): Promise<{ bank: Bank; replicas: UdpBank }> {
  const replicas = await UdpBank.start()
  open.push(replicas)
  const bank = await connect({ cluster: replicas.files, limits: { lanes: 2 } })
  open.push(bank)
  return { bank, replicas }
}

test('calls over UDP: results, refusals, reads', async () => {
  const { bank } = await start()
  expect(bank.connected.length).toBeGreaterThanOrEqual(3)
  await expect(bank.deposit({ to: 'A', amount: 100 })).resolves.toMatchObject({ balance: 100n })
  await expect(bank.deposit({ to: 'A', amount: 5n })).resolves.toMatchObject({ balance: 105n })
  await expect(bank.balance('A')).resolves.toBe(105n)
  const refusal = await bank.transfer({ from: 'A', to: 'B', amount: 1 }).catch((error: unknown) => error)
  expect(refusal).toBeInstanceOf(RefusedError)
  expect(refusal).toMatchObject({ code: 'not-authorised', detail: '' })
  await expect(bank.balance('nobody')).rejects.toMatchObject({ code: 'unknown-account', detail: 'nobody' })
})

test('[NC1] 64 concurrent callers share requests over two lanes', async () => {
  const { bank, replicas } = await start()
  const caller = async () => {
    for (let i = 0; i < 10; i++) await bank.deposit({ to: 'A', amount: 1 })
  }
  await Promise.all(Array.from({ length: 64 }, caller))
  await expect(bank.balance('A')).resolves.toBe(640n)
  expect(replicas.requests.length).toBeLessThan(60)
})

test('wrong arguments are refused before anything is sent', async () => {
  const { bank, replicas } = await start()
  const calls = [
    () => bank.deposit({ to: 'A', amount: 0 }),
    () => bank.deposit({ to: 'A', amount: -1n }),
    () => bank.deposit({ to: 'A', amount: 1.5 }),
    () => bank.deposit({ to: 'A', amount: Number.NaN }),
    () => bank.deposit({ to: 'A', amount: 2 ** 53 }),
    () => bank.deposit({ to: 'A', amount: 2n ** 63n }),
    () => bank.deposit({ to: 'no/account', amount: 1 }),
    () => bank.transfer({ from: 'A', to: 'A', amount: 1 }),
    () => bank.history('A', { limit: 0 }),
    () => bank.open({ account: 'A', name: '' }),
    () => bank.open({ account: 'A', name: 'half \ud83d' }),
    () => bank.open({ account: 'A', name: '\ufeffmarked' }),
    () => bank.linked([]),
    () => bank.submit([]),
    () => bank.submit([{ kind: 'lookup' }]),
    () => bank.read([]),
  ]
  for (const call of calls) await expect(call()).rejects.toBeInstanceOf(InvalidArgumentError)
  expect(replicas.executed).toEqual([])
})

test("[NC5] no answer in time is indeterminate, and lookup resolves it with the call's own results", async () => {
  const { bank, replicas } = await start()
  await bank.deposit({ to: 'A', amount: 1 })
  for (const id of [0, 1, 2, 3]) replicas.mute.add(id)
  const [first, second] = await Promise.allSettled(
    [10, 20].map((amount) =>
      bank.submit([{ kind: 'deposit', account: 'A', amount: BigInt(amount) }], { timeoutMs: 100 }),
    ),
  )
  replicas.mute.clear()
  if (second?.status !== 'rejected' || !(second.reason instanceof IndeterminateError))
    throw new Error('not in doubt')
  expect(first?.status).toBe('rejected')
  const outcome = await bank.lookup(second.reason)
  expect(outcome).toMatchObject({ kind: 'executed', results: [{ kind: 'transferred', creditBalance: 31n }] })
  const whole = await bank.lookup(second.reason.request)
  expect(whole.kind === 'executed' ? whole.results.length : 0).toBe(2)
})

test('too few replicas: no quorum, naming those that answered', async () => {
  const replicas = await UdpBank.start({ replicas: 2 })
  open.push(replicas)
  const error = await connect({ cluster: replicas.files, connectTimeoutMs: 300 }).catch((e: unknown) => e)
  expect(error).toBeInstanceOf(NoQuorumError)
  expect(error).toMatchObject({ code: 'no-quorum', answered: [0, 1] })
  expect(String(error)).toContain('2 of 4 replicas answered (0, 1), 3 are needed')
})

test('close rejects what is open', async () => {
  const { bank, replicas } = await start()
  await bank.deposit({ to: 'A', amount: 1 })
  for (const id of [0, 1, 2, 3]) replicas.mute.add(id)
  const call = bank.deposit({ to: 'A', amount: 1 })
  call.catch(() => {})
  await new Promise(setImmediate)
  await bank.close()
  open.pop()
  await expect(call).rejects.toMatchObject({ code: 'indeterminate', why: 'closed' })
})

test('[NC1] a traced call says which request it travelled in, and which part of it is its own', async () => {
  const { bank } = await start()
  const deposit = { kind: 'deposit', account: 'A', amount: 1n } as const
  const [one, other] = await Promise.all([
    bank.submitTraced([deposit]),
    bank.submitTraced([deposit, deposit]),
  ])
  expect(one.travelled.slice).toEqual({ offset: 0, count: 1 })
  expect(other.travelled).toEqual({ request: one.travelled.request, slice: { offset: 1, count: 2 } })
  expect(one.travelled.request.client).toBe(bank.client)
  await expect(bank.readTraced(['A'])).resolves.toMatchObject({ values: [{ balance: 3n }], travelled: null })
})
