import { expect, test } from 'vitest'
import type { HistoryEvent } from '../../../chaos/check/history.ts'
import { Random } from '../../../chaos/sim/random.ts'
import { Customer, customerAccounts } from '../../../chaos/workload/customers.ts'
import { RecordedLoad, type RecordedTarget } from '../../../chaos/workload/recorded-load.ts'
import { IndeterminateError, UnavailableError } from '../../../client/errors.ts'
import type { RequestName } from '../../../protocol/operations.ts'
import { clientId, type Digest, requestNumber } from '../../../protocol/types.ts'

const request: RequestName = {
  client: clientId(1000),
  lane: 0,
  number: requestNumber(7),
  digest: 'ab'.repeat(32) as Digest,
}
const slice = { offset: 0, count: 1 }
const opened = { kind: 'opened', account: 'x' } as const

/** Ends the load once so many calls were made. */
async function record(target: Omit<RecordedTarget, 'client'>, calls: number): Promise<HistoryEvent[]> {
  const events: HistoryEvent[] = []
  let atUs = 0
  let made = 0
  const done = Promise.withResolvers<void>()
  const next = () => {
    made += 1
    if (made === calls) done.resolve()
    return { kind: 'submit', operations: [{ kind: 'deposit', account: 'A', amount: 1n }] } as const
  }
  const load = new RecordedLoad([{ target: { client: 1000, ...target }, next }], {
    record: (event) => events.push(event),
    nowUs: () => ++atUs,
  })
  await done.promise
  await load.stop()
  return events
}

const lookup: RecordedTarget['lookup'] = async () => ({ kind: 'unknown' })
const readTraced: RecordedTarget['readTraced'] = async () => ({ values: [], travelled: null })

test('a call that is answered: invoke, ok with its place in the order', async () => {
  const submitTraced = async () => ({ results: [opened], travelled: { request, slice } })
  const events = await record({ submitTraced, readTraced, lookup }, 1)
  expect(events).toMatchObject([
    { type: 'invoke', atUs: 1, call: 1, caller: 0, client: 1000 },
    { type: 'ok', atUs: 2, call: 1, request: { ...request, ...slice }, results: [opened] },
  ])
})

test('a call without an answer is unknown, and what a lookup says of it is written down', async () => {
  const submitTraced = async () => Promise.reject(new IndeterminateError(request, slice, 'deadline'))
  const executed: RecordedTarget['lookup'] = async () => ({ kind: 'executed', results: [opened] })
  const events = await record({ submitTraced, readTraced, lookup: executed }, 1)
  expect(events.map(({ type }) => type)).toEqual(['invoke', 'unknown', 'settled'])
  expect(events[2]).toMatchObject({ outcome: 'executed', results: [opened] })
})

test('a lookup without an answer leaves it unknown', async () => {
  const submitTraced = async () => Promise.reject(new IndeterminateError(request, slice, 'deadline'))
  const failing = async () => Promise.reject(new UnavailableError('lookup', 'deadline'))
  const events = await record({ submitTraced, readTraced, lookup: failing }, 1)
  expect(events.map(({ type }) => type)).toEqual(['invoke', 'unknown'])
})

test('a call that was certainly not made fails', async () => {
  const submitTraced = async () => Promise.reject(new UnavailableError('read', 'closed'))
  const events = await record({ submitTraced, readTraced, lookup }, 1)
  expect(events[1]).toMatchObject({ type: 'fail', code: 'unavailable' })
})

test('a mistake of ours is no outcome of a call', async () => {
  const submitTraced = async () => Promise.reject(new Error('ours'))
  await expect(record({ submitTraced, readTraced, lookup }, 1)).rejects.toThrow('ours')
})

test('a customer does the same for the same seed, and everything that there is to do', () => {
  const accounts = customerAccounts({ hot: 3, cold: 20 })
  const callsOf = (seed: number) => {
    const customer = new Customer({ random: new Random(seed), accounts, client: 1000, name: 'c0' })
    return Array.from({ length: 500 }, () => customer.next())
  }
  expect(callsOf(1)).toEqual(callsOf(1))
  expect(callsOf(1)).not.toEqual(callsOf(2))
  const kinds = new Set(
    callsOf(1).flatMap((call) =>
      call.kind === 'read' ? ['read'] : call.operations.map(({ kind }) => kind as string),
    ),
  )
  expect([...kinds].sort()).toEqual(
    ['balance', 'deposit', 'history', 'linked', 'open', 'read', 'transfer', 'withdraw'].sort(),
  )
  const hot = callsOf(1).filter((call) => call.kind === 'read' && call.accounts[0]?.startsWith('hot'))
  expect(hot.length).toBeGreaterThan(50)
})
