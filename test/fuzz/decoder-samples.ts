import { digestOf } from '../../protocol/crypto.ts'
import type { OperationResult } from '../../protocol/operations.ts'
import { requestNumber, seq, view } from '../../protocol/types.ts'
import type { VoteRecord } from '../../replica/core/vote-record.ts'
import {
  AMNESIA,
  batchRecord,
  checkpoint,
  committed,
  newView,
  prePrepare,
  prepared,
  recovered,
  stable,
  viewChange,
} from '../unit/vote-log-fixture.ts'

/** Valid ones of every kind, to be changed. */
export const recordSamples = (): readonly VoteRecord[] => [
  prePrepare(1),
  prePrepare(2, { v: 3 }),
  prepared(1),
  committed(1),
  batchRecord(4),
  checkpoint(8),
  stable(8),
  viewChange(2),
  newView(2),
  AMNESIA,
  recovered(5),
]

export const resultSamples = (): readonly (readonly OperationResult[])[] => {
  const balance: OperationResult = { kind: 'balance', account: 'a', balance: 5n, version: seq(3) }
  const entry = { seq: seq(2), index: 1, debit: 'a', credit: 'b', amount: 7n }
  const lane = { number: requestNumber(9), requestDigest: digestOf(), result: Buffer.from('result') }
  return [
    [balance, { kind: 'opened', account: 'b' }],
    [{ kind: 'transferred', id: { seq: seq(2), index: 0 }, debitBalance: -1n, creditBalance: 2n ** 40n }],
    [{ kind: 'history', entries: [entry, entry] }],
    [{ kind: 'linked', results: [balance, { kind: 'opened', account: 'c' }] }],
    [
      { kind: 'lookup', entry: lane },
      { kind: 'lookup', entry: null },
    ],
    [{ kind: 'recovered', incarnation: requestNumber(4), view: view(1) }],
    [{ kind: 'refused', code: 'unknown-account', detail: 'x', index: 2 }],
    [{ kind: 'refused', code: 'invalid-amount', detail: '0' }],
  ]
}
