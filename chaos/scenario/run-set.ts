import { quorumOf } from '../../protocol/quorum.ts'
import { decodeResults } from '../../protocol/results-codec.ts'
import type { SetEvidence } from './evidence.ts'
import { type Fate, isAnswered, type Told, type TransactionRecord } from './outcome.ts'
import {
  describeReplicas,
  describeTransaction,
  REPLICAS,
  type ScenarioSet,
  senderOf,
  type Transaction,
} from './scenario.ts'
import { executedAt } from './slots.ts'
import type { Stage } from './stage.ts'
import { toldOf } from './told.ts'

export type SetOptions = {
  /** One closed-loop client per sender; else in the file's order, each when the one before is answered. */
  readonly concurrent: boolean
  /** How long a client waits for its answer; those after one that waited in vain wait less. */
  readonly patienceMs: number
  readonly onTold?: ((transaction: Transaction, told: Told) => void) | undefined
}

export type SetResult = {
  readonly set: ScenarioSet
  readonly records: readonly TransactionRecord[]
  readonly evidence: SetEvidence
  readonly elapsedMs: number
  readonly verdict: 'pass' | 'fail' | 'unknown'
  /** Why it is no pass. */
  readonly reasons: readonly string[]
}

type Sent = {
  readonly transaction: Transaction
  readonly told: Told
  readonly startedMs: number
  readonly elapsedMs: number
}

/** Without an answer there may be none for a while: nobody waits as long again. */
const LESS_PATIENCE = 4

/** With so many correct live replicas every transaction must be answered. */
export const isWithinBound = ({ live, byzantine }: ScenarioSet): boolean =>
  live.length - byzantine.length >= quorumOf(REPLICAS).quorum

/** One set, from its beginning to its verdict. */
export async function runSet(set: ScenarioSet, stage: Stage, options: SetOptions): Promise<SetResult> {
  await stage.begin(set)
  const startedMs = stage.nowMs()
  const sent = await new Sending(set, stage, options).run()
  const elapsedMs = stage.nowMs() - startedMs
  const evidence = await stage.end(set, { expectsLevel: isWithinBound(set) })
  const records = sent.map(
    ({ told, ...rest }): TransactionRecord => ({
      transaction: rest.transaction,
      startedMs: rest.startedMs - startedMs,
      elapsedMs: rest.elapsedMs,
      fate: fateOf(told, evidence),
    }),
  )
  return { set, records, evidence, elapsedMs, ...verdictOf(set, records, evidence) }
}

class Sending {
  readonly #set: ScenarioSet
  readonly #stage: Stage
  readonly #options: SetOptions
  #patienceMs: number

  constructor(set: ScenarioSet, stage: Stage, options: SetOptions) {
    this.#set = set
    this.#stage = stage
    this.#options = options
    this.#patienceMs = options.patienceMs
  }

  /** In the file's order. */
  async run(): Promise<Sent[]> {
    const { transactions } = this.#set
    const sent = new Map<Transaction, Sent>()
    const inTurn = async (queue: readonly Transaction[]) => {
      for (const transaction of queue) sent.set(transaction, await this.#send(transaction))
    }
    if (this.#options.concurrent) {
      await Promise.all([...Map.groupBy(transactions, senderOf).values()].map(inTurn))
    } else await inTurn(transactions)
    return transactions.flatMap((transaction) => sent.get(transaction) ?? [])
  }

  async #send(transaction: Transaction): Promise<Sent> {
    const { patienceMs } = this.#options
    const startedMs = this.#stage.nowMs()
    const told = await this.#stage.perform(transaction, this.#patienceMs)
    const elapsedMs = this.#stage.nowMs() - startedMs
    const isInVain = told.kind !== 'executed' && told.kind !== 'refused' && told.kind !== 'balance'
    this.#patienceMs = isInVain ? patienceMs / LESS_PATIENCE : patienceMs
    this.#options.onTold?.(transaction, told)
    return { transaction, told, startedMs, elapsedMs }
  }
}

/** Where the client does not know, the databases of correct replicas tell: what one of them executed is executed. */
export function fateOf(told: Told, { replicas }: Pick<SetEvidence, 'replicas'>): Fate {
  if (told.kind === 'executed') return { ...told, isTold: true }
  if (told.kind !== 'unanswered') return told
  const { client, lane, digest, offset } = told.request
  for (const { role, lanes } of replicas) {
    const row =
      role === 'byzantine' ? undefined : lanes.find((one) => one.client === client && one.lane === lane)
    if (row?.real?.requestDigest !== digest) continue
    const found = toldOf(decodeResults(row.real.result)?.[offset])
    return found.kind === 'executed' ? { ...found, isTold: false } : found
  }
  const seq = executedAt(digest, replicas)
  if (seq !== undefined) return { kind: 'ordered', seq }
  return {
    kind: 'not-executed',
    why: 'no quorum answered, and it is in no database of a correct replica',
  }
}

function verdictOf(
  set: ScenarioSet,
  records: readonly TransactionRecord[],
  { judgement, behind, incidents }: SetEvidence,
): Pick<SetResult, 'verdict' | 'reasons'> {
  const failures = [...incidents]
  if (judgement.verdict === 'fail') failures.push(judgement.summary)
  if (isWithinBound(set)) {
    const unanswered = records.filter((record) => !isAnswered(record))
    for (const { transaction } of unanswered) {
      failures.push(
        `${describeTransaction(transaction)} got no answer, though a quorum of replicas is correct`,
      )
    }
    if (behind.length > 0) failures.push(`not level with the others: ${describeReplicas(behind)}`)
  }
  if (failures.length > 0) return { verdict: 'fail', reasons: failures }
  if (judgement.verdict === 'unknown') return { verdict: 'unknown', reasons: [judgement.summary] }
  return { verdict: 'pass', reasons: [] }
}
