import { balanceLines } from '../../chaos/scenario/inspect/balances.ts'
import { isAnswered, type TransactionRecord } from '../../chaos/scenario/outcome.ts'
import type { ScenarioResult } from '../../chaos/scenario/run-scenario.ts'
import {
  CLIENTS,
  describeAttacks,
  describeReplicas,
  describeTransaction,
  nameOf,
  type ScenarioSet,
} from '../../chaos/scenario/scenario.ts'
import { table } from '../../client/format.ts'
import { propertyLines } from '../check/print.ts'

export function headingOf({ number, live, byzantine, attacks }: ScenarioSet): string {
  const liars =
    byzantine.length === 0
      ? ''
      : `   byzantine ${describeReplicas(byzantine)}: ${attacks.length === 0 ? 'no attack' : describeAttacks(attacks)}`
  return `set ${number}   live ${describeReplicas(live)}${liars}`
}

/** What became of each transaction, balances, verdict. */
export function resultLines(result: ScenarioResult): string[] {
  const { records, evidence, late, set } = result
  return [
    table(['transaction', '', '', 'ms'], records.map(recordRow)),
    ...late.map(
      ({ set, transaction, seq }) =>
        `${describeTransaction(transaction)} of set ${set}, not executed then, was held by replicas and executed now, at seq ${seq}`,
    ),
    '',
    ...balanceLines(evidence.replicas),
    '',
    ...(evidence.judgement.verdict === 'fail' && evidence.judgement.properties.length > 0
      ? [...propertyLines(evidence.judgement.properties), '']
      : []),
    `checker: ${evidence.judgement.verdict}: ${evidence.judgement.summary}`,
    ...result.reasons
      .filter((reason) => reason !== evidence.judgement.summary)
      .map((reason) => `  ${reason}`),
    `set ${set.number}: ${result.verdict.toUpperCase()}`,
  ]
}

function recordRow({ transaction, fate, elapsedMs, ...record }: TransactionRecord): string[] {
  const ms = isAnswered({ fate }) ? elapsedMs.toFixed(1) : ''
  return [describeTransaction(transaction), ...fateWords({ transaction, fate, elapsedMs, ...record }), ms]
}

function fateWords({ transaction, fate }: TransactionRecord): [string, string] {
  switch (fate.kind) {
    case 'executed': {
      const parties = transaction.kind === 'transfer' ? transaction : undefined
      const balances = `${parties?.from} ${fate.fromBalance}, ${parties?.to} ${fate.toBalance}`
      const untold = fate.isTold ? '' : '; its client was not told'
      return ['executed', `seq ${fate.seq}: ${balances}${untold}`]
    }
    case 'refused':
      return ['refused', fate.detail === '' ? fate.code : `${fate.code}: ${fate.detail}`]
    case 'balance':
      return ['balance', `${fate.balance}`]
    case 'not-executed':
      return ['not executed', fate.why]
    case 'ordered':
      return ['ordered', `seq ${fate.seq}; its client was not told what came of it`]
    case 'unknown':
      return ['not known', fate.why]
  }
}

/** Of one set, for `--json`; money as digits in quotes. */
export function jsonOf(result: ScenarioResult): unknown {
  const { set, records, evidence, elapsedMs, verdict, reasons, late } = result
  const { judgement, replicas } = evidence
  return {
    number: set.number,
    live: set.live.map(nameOf),
    byzantine: set.byzantine.map(nameOf),
    attacks: describeAttacks(set.attacks),
    verdict,
    reasons,
    elapsedMs: Math.round(elapsedMs),
    transactions: records.map(({ transaction, elapsedMs, fate }) => ({
      transaction: describeTransaction(transaction),
      elapsedMs: Math.round(elapsedMs * 1_000) / 1_000,
      ...fate,
    })),
    late: late.map(({ transaction, ...rest }) => ({
      transaction: describeTransaction(transaction),
      ...rest,
    })),
    check: { verdict: judgement.verdict, summary: judgement.summary, properties: judgement.properties },
    replicas: replicas.map(({ replica, role, lastExecuted, chain, balances }) => ({
      replica: nameOf(replica),
      role,
      lastExecuted,
      chain,
      balances:
        balances === null
          ? null
          : Object.fromEntries(CLIENTS.map((name) => [name, balances.get(name) ?? null])),
    })),
  }
}

export const withoutBigints = (_: string, value: unknown): unknown =>
  typeof value === 'bigint' ? value.toString() : value
