/** What is done to the datagrams of one directed link. Probabilities are from 0 to 1, of each datagram by itself. */
export type LinkRule = {
  readonly loss?: number
  /** Each datagram is late by `delayMs`, give or take up to `jitterMs`; with jitter later ones may overtake. */
  readonly delayMs?: number
  readonly jitterMs?: number
  readonly duplicate?: number
  /** So many are held back by `reorderMs` (10), so that later ones overtake them. */
  readonly reorder?: number
  readonly reorderMs?: number
  /** Bits are flipped. */
  readonly corrupt?: number
  /** After so many an older datagram of the link comes once more. */
  readonly replay?: number
  /** What does not fit waits, up to a second's worth; the rest is lost. */
  readonly bytesPerSecond?: number
  /** Nothing passes. */
  readonly cut?: boolean
}

/** Several rules as one. */
export type CombinedRule = Readonly<Required<LinkRule>>

const REORDER_MS = 10
const DELAY_MS_MAX = 60_000
const PROBABILITIES = ['loss', 'duplicate', 'reorder', 'corrupt', 'replay'] as const
const DELAYS = ['delayMs', 'jitterMs', 'reorderMs'] as const

/** @throws RangeError naming the field */
export function checkRule(rule: LinkRule): void {
  for (const name of PROBABILITIES) {
    const value = rule[name] ?? 0
    if (!(value >= 0 && value <= 1)) throw new RangeError(`${name} must be from 0 to 1, not ${value}`)
  }
  for (const name of DELAYS) {
    const value = rule[name] ?? 0
    if (!(value >= 0 && value <= DELAY_MS_MAX)) {
      throw new RangeError(`${name} must be from 0 to ${DELAY_MS_MAX}, not ${value}`)
    }
  }
  if (rule.bytesPerSecond !== undefined && !(rule.bytesPerSecond > 0)) {
    throw new RangeError(
      `bytesPerSecond must be above 0, not ${rule.bytesPerSecond}; \`cut\` lets nothing pass`,
    )
  }
}

/** Rules add up, each as if the others stood before or behind it; null when there are none. */
export function combined(rules: Iterable<LinkRule>): CombinedRule | null {
  let sum: CombinedRule | null = null
  for (const rule of rules) sum = added(sum ?? NO_RULE, rule)
  return sum
}

const NO_RULE: CombinedRule = {
  loss: 0,
  delayMs: 0,
  jitterMs: 0,
  duplicate: 0,
  reorder: 0,
  reorderMs: 0,
  corrupt: 0,
  replay: 0,
  bytesPerSecond: Number.POSITIVE_INFINITY,
  cut: false,
}

function added(sum: CombinedRule, rule: LinkRule): CombinedRule {
  const either = (name: (typeof PROBABILITIES)[number]) => 1 - (1 - sum[name]) * (1 - (rule[name] ?? 0))
  return {
    loss: either('loss'),
    delayMs: sum.delayMs + (rule.delayMs ?? 0),
    jitterMs: sum.jitterMs + (rule.jitterMs ?? 0),
    duplicate: either('duplicate'),
    reorder: either('reorder'),
    reorderMs: Math.max(sum.reorderMs, rule.reorderMs ?? ((rule.reorder ?? 0) > 0 ? REORDER_MS : 0)),
    corrupt: either('corrupt'),
    replay: either('replay'),
    bytesPerSecond: Math.min(sum.bytesPerSecond, rule.bytesPerSecond ?? Number.POSITIVE_INFINITY),
    cut: sum.cut || rule.cut === true,
  }
}
