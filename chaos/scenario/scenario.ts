import type { ReplicaId } from '../../protocol/types.ts'
import { replicaId } from '../../protocol/types.ts'

/** The cluster of every scenario: n1 to n7, n1 the primary of the first view; clients A to J, each with an account. */
export const REPLICAS = 7
export const CLIENTS = [...'ABCDEFGHIJ'] as const
export const OPENING_BALANCE = 10n
export const CHECKPOINT_INTERVAL = 10

/** A client, and the account that it owns. */
export type ClientName = (typeof CLIENTS)[number]

/** In a file, counted from 1; `column` counts characters. */
export type Place = { readonly line: number; readonly column: number }

export type Transaction =
  | { readonly kind: 'transfer'; readonly from: ClientName; readonly to: ClientName; readonly amount: bigint }
  | { readonly kind: 'read'; readonly account: ClientName }

/** What byzantine replicas do; `targets` are replicas. */
export type Attack =
  | { readonly name: 'sign' | 'crash' | 'time' }
  | { readonly name: 'dark' | 'equivocation'; readonly targets: readonly ReplicaId[] }

export type AttackName = Attack['name']
export const ATTACK_NAMES = ['sign', 'crash', 'dark', 'time', 'equivocation'] as const satisfies AttackName[]

export type ScenarioSet = {
  readonly number: number
  /** In the file's order, at least one. */
  readonly transactions: readonly Transaction[]
  /** Who is not in it is down for this set. */
  readonly live: readonly ReplicaId[]
  /** Live ones that do all of `attacks`. */
  readonly byzantine: readonly ReplicaId[]
  readonly attacks: readonly Attack[]
}

/** 'down': not live in this set. */
export type Role = 'correct' | 'byzantine' | 'down'

export function roleIn({ live, byzantine }: ScenarioSet, replica: number): Role {
  if (byzantine.some((id) => id === replica)) return 'byzantine'
  return live.some((id) => id === replica) ? 'correct' : 'down'
}

export type Scenario = { readonly name: string; readonly sets: readonly ScenarioSet[] }

/** 'n1' is replica 0. */
export const nameOf = (replica: number): string => `n${replica + 1}`

/** Undefined for what names no replica of a scenario. A plain number counts as in the names: 1 is n1. */
export function replicaNamed(text: string): ReplicaId | undefined {
  const digits = /^n?([1-9]\d{0,3})$/i.exec(text)?.[1]
  const id = Number(digits) - 1
  return digits !== undefined && id < REPLICAS ? replicaId(id) : undefined
}

export const clientNamed = (text: string): ClientName | undefined =>
  CLIENTS.find((name) => name === text.toUpperCase())

/** Whose request it is: a balance is asked for by who owns it. */
export const senderOf = (transaction: Transaction): ClientName =>
  transaction.kind === 'transfer' ? transaction.from : transaction.account

/** As files have it. */
export const describeTransaction = (transaction: Transaction): string =>
  transaction.kind === 'transfer'
    ? `(${transaction.from}, ${transaction.to}, ${transaction.amount})`
    : `(${transaction.account})`

export const describeReplicas = (replicas: readonly number[]): string =>
  replicas.length === 0 ? 'none' : replicas.map(nameOf).join(', ')

/** As files have it, and as `replica/byzantine` reads it. */
export const describeAttacks = (attacks: readonly Attack[]): string =>
  attacks
    .map((attack) =>
      'targets' in attack ? `${attack.name}(${attack.targets.map(nameOf).join(',')})` : attack.name,
    )
    .join('; ')
