import { expect, test } from 'vitest'
import { AuthorityCheck } from '../../chaos/sim/check/authority-check.ts'
import { MemoryStore } from '../../db/memory-store.ts'
import type { SimpleOperation } from '../../protocol/operations.ts'
import { principalId, seq } from '../../protocol/types.ts'
import { ALICE, BOB, batchFrom, genesisOf, TELLER } from '../unit/db/fixture.ts'

const fromAlice: SimpleOperation = { kind: 'transfer', from: 'a', to: 'b', amount: 10n }

/** The bank executes what `executed` asks; the check is shown the same from `shown`. */
function judge({
  operation,
  executed,
  shown,
  isSigned = true,
}: {
  readonly operation: SimpleOperation
  readonly executed: number
  readonly shown: number
  readonly isSigned?: boolean
}): () => void {
  const genesis = genesisOf()
  const model = new MemoryStore({ genesis })
  model.connectSync()
  const check = new AuthorityCheck(genesis, () => isSigned)
  check.begin(model)
  const batchOf = (client: number) => batchFrom([{ client, number: 1, operations: [operation] }])
  model.executeSync([{ seq: seq(1), batch: batchOf(executed) }], { durable: true })
  return () => check.onExecuted(1, batchOf(shown), model)
}

test.each([ALICE, TELLER])('%d may move what is in a', (client) => {
  expect(judge({ operation: fromAlice, executed: client, shown: client })).not.toThrow()
})

test("a bank that moves another's money is caught", () => {
  expect(judge({ operation: fromAlice, executed: ALICE, shown: BOB })).toThrow('seq 1 took 10 from a')
})

test('a bank that opens an account for somebody who did not ask is caught', () => {
  const wanted: SimpleOperation = { kind: 'open', account: 'n', owner: principalId(ALICE), customer: null }
  expect(judge({ operation: wanted, executed: TELLER, shown: TELLER })).not.toThrow()
  expect(judge({ operation: wanted, executed: ALICE, shown: BOB })).toThrow('opened n for 1001')
})

test('[AU3] what its client did not sign is caught', () => {
  expect(judge({ operation: fromAlice, executed: ALICE, shown: ALICE, isSigned: false })).toThrow(
    'did not sign it',
  )
})
