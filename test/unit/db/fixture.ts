import fc from 'fast-check'
import type { BatchAt, Executed } from '../../../db/store.ts'
import type { Genesis } from '../../../protocol/config.ts'
import { DEFAULT_PARAMETERS } from '../../../protocol/config.ts'
import { digestOf } from '../../../protocol/crypto.ts'
import type { Batch, Request } from '../../../protocol/messages.ts'
import type { Operation, OperationResult, SimpleOperation } from '../../../protocol/operations.ts'
import { MONEY_MAX } from '../../../protocol/operations.ts'
import { decodeResults } from '../../../protocol/results-codec.ts'
import { batchOf } from '../../../protocol/signing.ts'
import { lane, principalId, requestNumber, seq, view } from '../../../protocol/types.ts'

export const TELLER = 1000
export const ALICE = 1001
export const BOB = 1002
/** A replica's principal, and one that genesis does not know. */
export const REPLICA = 0
export const STRANGER = 1999

/** Alice owns `a` (100), Bob `b` (50), and `c` (0) is the teller's. K is small, so that runs meet checkpoints. */
export function genesisOf(overrides: Partial<Genesis> = {}): Genesis {
  const key = (id: number) => digestOf(Buffer.from(`key ${id}`))
  const client = (id: number, name: string, role: 'customer' | 'teller') => {
    return { id, name, address: id === ALICE ? '1 Main Street' : null, publicKey: key(id), role }
  }
  const genesis = {
    version: 1 as const,
    clusterId: '00112233445566778899aabbccddeeff',
    allowByzantine: false,
    parameters: { ...DEFAULT_PARAMETERS, checkpointInterval: 16, lanesPerClientMax: 4 },
    replicas: [0, 1, 2, 3].map((id) => ({ id, publicKey: key(id) })),
    clients: [
      client(TELLER, 'Tess', 'teller'),
      client(ALICE, 'Alice', 'customer'),
      client(BOB, 'Bob', 'customer'),
    ],
    accounts: [
      { id: 'a', owner: ALICE, balance: 100n },
      { id: 'b', owner: BOB, balance: 50n },
      { id: 'c', owner: TELLER, balance: 0n },
    ],
    ...overrides,
  }
  return { ...genesis, digest: digestOf(Buffer.from(`genesis ${genesis.clusterId}`)) }
}

export type RequestSpec = {
  readonly client: number
  readonly lane?: number
  readonly number: number
  readonly operations: readonly Operation[]
}

export function requestOf(spec: RequestSpec): Request {
  const text = JSON.stringify(spec, (_, value) => (typeof value === 'bigint' ? `${value}n` : value))
  const body = Buffer.from(text)
  return {
    type: 'request',
    client: principalId(spec.client),
    lane: lane(spec.lane ?? 0),
    number: requestNumber(spec.number),
    operations: spec.operations,
    digest: digestOf(body),
    body,
    signature: new Uint8Array(64),
    macs: [],
  }
}

export const batchFrom = (specs: readonly RequestSpec[]): Batch => batchOf(specs.map(requestOf))

/** Batches numbered from `first`. */
export const runOf = (batches: readonly (readonly RequestSpec[])[], first = 1): BatchAt[] =>
  batches.map((specs, i) => ({ seq: seq(first + i), batch: batchFrom(specs) }))

export const resultsOf = (executed: Executed | undefined, at = 0): readonly OperationResult[] => {
  const entry = executed?.lanes[at]
  const results = entry && decodeResults(entry.result)
  if (results === undefined) throw new Error(`no results at ${at}`)
  return results
}

const accountArb = fc.constantFrom('a', 'b', 'c', 'd', 'e', '@external', 'bad name', '')
const amountArb = fc.oneof(
  fc.bigInt({ min: -1n, max: 60n }),
  fc.constantFrom(MONEY_MAX, MONEY_MAX - 1n, MONEY_MAX + 1n, MONEY_MAX / 2n, 2n ** 70n),
)
const simpleArb: fc.Arbitrary<SimpleOperation> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('transfer' as const),
      from: accountArb,
      to: accountArb,
      amount: amountArb,
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant('deposit' as const), account: accountArb, amount: amountArb }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('withdraw' as const), account: accountArb, amount: amountArb }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('open' as const),
      account: accountArb,
      owner: fc.constantFrom(TELLER, ALICE, BOB, REPLICA, STRANGER).map(principalId),
      customer: fc.option(
        fc.record({
          name: fc.constantFrom('Ann', 'Zoë 😀', '', 'nul\0', '\ud800'),
          address: fc.option(fc.constantFrom('Här', 'b\nc')),
        }),
      ),
    }),
  },
  fc.record({ kind: fc.constant('balance' as const), account: accountArb }),
  fc.record({
    kind: fc.constant('history' as const),
    account: accountArb,
    before: fc.option(fc.nat(12).map(seq)),
    limit: fc.constantFrom(0, 1, 2, 3, 100, 101),
  }),
)
const operationArb: fc.Arbitrary<Operation> = fc.oneof(
  { weight: 5, arbitrary: simpleArb },
  fc.record({ kind: fc.constant('linked' as const), operations: fc.array(simpleArb, { maxLength: 4 }) }),
)
const requestArb: fc.Arbitrary<RequestSpec> = fc.record({
  client: fc.constantFrom(TELLER, TELLER, ALICE, BOB, REPLICA, STRANGER),
  lane: fc.constantFrom(0, 1, 9),
  number: fc.integer({ min: 1, max: 40 }),
  operations: fc.oneof(
    { weight: 6, arbitrary: fc.array(operationArb, { minLength: 1, maxLength: 5 }) },
    fc.constant([{ kind: 'lookup' as const }]),
    fc.nat(9).map((v) => [{ kind: 'recover' as const, view: view(v) }]),
  ),
})

/** Histories that hit every refusal, stale numbers, null batches, overflows, lookups and recoveries. */
export const historyArb: fc.Arbitrary<BatchAt[]> = fc
  .array(fc.array(requestArb, { maxLength: 4 }), { minLength: 1, maxLength: 14 })
  .map((batches) => runOf(batches))

/** Cuts a history into runs at seeded places, never across a multiple of K. */
export function cutIntoRuns(
  history: readonly BatchAt[],
  cuts: readonly boolean[],
  interval: number,
): BatchAt[][] {
  const runs: BatchAt[][] = [[]]
  history.forEach((at, i) => {
    runs.at(-1)?.push(at)
    if (cuts[i % cuts.length] || at.seq % interval === 0) runs.push([])
  })
  return runs.filter((run) => run.length > 0)
}
