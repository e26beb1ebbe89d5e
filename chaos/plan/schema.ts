import * as v from 'valibot'
import { DEFAULT_CLUSTER, DEFAULT_LOAD, DEMANDS, PARTITION_SHAPES } from './plan.ts'

/**
 * The form of a plan file, in the words of Chaos Mesh. Durations are `500ms`, `5s`, `1.5m`, `1h` or milliseconds; shares
 * are percent: `25`, `'25'` or `25%`, as there.
 */
const UNITS_MS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 } as const
const DURATION_MS_MAX = 24 * 3_600_000
const STEPS_MAX = 10_000
const DURATION = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/
const SCHEDULE = /^@every (\S+)$/
const BITS_PER_BYTE = 8
const RATE = /^(\d+(?:\.\d+)?)(bps|kbps|mbps|gbps)$/
const RATES_BPS = { bps: 1, kbps: 1e3, mbps: 1e6, gbps: 1e9 } as const

function milliseconds(text: string | number): number | undefined {
  if (typeof text === 'number') return Number.isFinite(text) && text >= 0 ? text : undefined
  const match = DURATION.exec(text)
  const unit = match?.[2]
  if (match === null || unit === undefined || !(unit in UNITS_MS)) return undefined
  return Number(match[1]) * UNITS_MS[unit as keyof typeof UNITS_MS]
}

const parsed = <T>(parse: (text: string | number) => T | undefined, expected: string) =>
  v.pipe(
    v.union([v.string(), v.number()], expected),
    v.rawTransform(({ dataset, addIssue, NEVER }) => {
      const value = parse(dataset.value)
      if (value !== undefined) return value
      addIssue({ message: `${expected}, not ${JSON.stringify(dataset.value)}` })
      return NEVER
    }),
  )

const duration = parsed((text) => {
  const ms = milliseconds(text)
  return ms === undefined || ms > DURATION_MS_MAX ? undefined : ms
}, 'must be a duration such as 500ms, 5s or 1m, at most 24h')

const period = v.pipe(duration, v.minValue(10, 'must be 10ms or longer'))

const every = parsed((text) => {
  const match = typeof text === 'string' ? SCHEDULE.exec(text) : null
  const ms = match === null ? undefined : milliseconds(match[1] ?? '')
  return ms !== undefined && ms >= 100 && ms <= DURATION_MS_MAX ? ms : undefined
}, "must be '@every' and a duration of 100ms or longer, such as '@every 5s'")

/** Percent, as a probability. */
const share = parsed((text) => {
  const percent = Number(typeof text === 'string' ? text.replace(/%$/, '') : text)
  const isShare = (typeof text === 'number' || /^\d/.test(text)) && percent >= 0 && percent <= 100
  return isShare ? percent / 100 : undefined
}, 'must be a share in percent, 0 to 100')

const bandwidth = parsed((text) => {
  const match = typeof text === 'string' ? RATE.exec(text) : null
  const unit = match?.[2]
  if (match === null || unit === undefined) return undefined
  const bits = Number(match[1]) * RATES_BPS[unit as keyof typeof RATES_BPS]
  return bits >= BITS_PER_BYTE ? bits / BITS_PER_BYTE : undefined
}, 'must be a rate such as 64kbps or 1mbps')

const whole = (min: number, max: number) =>
  v.pipe(v.number(), v.integer('must be a whole number'), v.minValue(min), v.maxValue(max))

const replicaIds = v.pipe(v.array(whole(0, 99)), v.minLength(1, 'must name a replica'))
const mode = v.picklist(['one', 'fixed', 'all', 'primary'])
const selector = v.strictObject({ replicas: v.optional(replicaIds) })
const direction = v.optional(v.picklist(['to', 'from', 'both']), 'both')
const chance = v.optional(v.union([v.string(), v.number()]))

const common = {
  mode: v.optional(mode),
  /** How many, of mode fixed. */
  value: v.optional(
    v.pipe(
      v.union([v.string(), v.number()]),
      v.transform((text) => Number(text)),
      whole(1, 99),
    ),
  ),
  selector: v.optional(selector),
  duration: v.optional(duration),
  schedule: v.optional(every),
  times: v.optional(whole(1, 10_000)),
}

const target = v.optional(
  v.strictObject({ mode: v.optional(mode), value: common.value, selector: v.optional(selector) }),
)
const processFault = v.variant('action', [
  v.strictObject({
    kind: v.literal('ProcessChaos'),
    action: v.picklist(['kill', 'terminate', 'pause', 'rolling-restart', 'restart-all', 'power-loss']),
    ...common,
  }),
  v.strictObject({
    kind: v.literal('ProcessChaos'),
    action: v.literal('crash-loop'),
    every: v.optional(period),
    ...common,
  }),
])

/** Chaos Mesh lets each of these have a correlation, which has no meaning here: it is taken and left. */
const link = { kind: v.literal('NetworkChaos'), direction, target, ...common }
const networkFault = v.variant('action', [
  v.strictObject({
    ...link,
    action: v.literal('loss'),
    loss: v.strictObject({ loss: share, correlation: chance }),
  }),
  v.strictObject({
    ...link,
    action: v.literal('delay'),
    delay: v.strictObject({ latency: duration, jitter: v.optional(duration), correlation: chance }),
  }),
  v.strictObject({
    ...link,
    action: v.literal('duplicate'),
    duplicate: v.strictObject({ duplicate: share, correlation: chance }),
  }),
  v.strictObject({
    ...link,
    action: v.literal('reorder'),
    reorder: v.strictObject({ reorder: share, gap: v.optional(duration), correlation: chance }),
  }),
  v.strictObject({
    ...link,
    action: v.literal('corrupt'),
    corrupt: v.strictObject({ corrupt: share, correlation: chance }),
  }),
  v.strictObject({ ...link, action: v.literal('replay'), replay: v.strictObject({ replay: share }) }),
  v.strictObject({ ...link, action: v.literal('bandwidth'), bandwidth: v.strictObject({ rate: bandwidth }) }),
  v.strictObject({
    kind: v.literal('NetworkChaos'),
    action: v.literal('partition'),
    partition: v.optional(v.strictObject({ shape: v.picklist(PARTITION_SHAPES) })),
    direction,
    ...common,
  }),
  v.strictObject({
    kind: v.literal('NetworkChaos'),
    action: v.literal('flap'),
    flap: v.optional(v.strictObject({ period })),
    ...common,
  }),
])

const messageFault = v.strictObject({
  kind: v.literal('MessageChaos'),
  action: v.literal('drop'),
  drop: v.strictObject({
    messages: v.pipe(v.array(v.string()), v.minLength(1, 'must name a message type')),
    probability: v.optional(share),
    to: v.optional(replicaIds),
  }),
  ...common,
})

const byzantineFault = v.strictObject({
  kind: v.literal('ByzantineChaos'),
  action: v.literal('lie'),
  behaviours: v.pipe(v.string(), v.minLength(1, 'must name a behaviour'), v.maxLength(1_000)),
  ...common,
})

const databaseFault = v.variant('action', [
  v.strictObject({
    kind: v.literal('DatabaseChaos'),
    action: v.literal('slow'),
    delay: v.strictObject({ latency: duration }),
    ...common,
  }),
  v.strictObject({
    kind: v.literal('DatabaseChaos'),
    action: v.picklist(['cut', 'refuse', 'kill', 'pause']),
    ...common,
  }),
  v.strictObject({
    kind: v.literal('DatabaseChaos'),
    action: v.literal('edit'),
    sql: v.optional(v.pipe(v.string(), v.minLength(1), v.maxLength(10_000))),
    ...common,
  }),
])

const storageFault = v.strictObject({
  kind: v.literal('StorageChaos'),
  action: v.picklist(['wipe-votes', 'wipe-database', 'wipe-both']),
  ...common,
})

const timeFault = v.variant('action', [
  v.strictObject({
    kind: v.literal('TimeChaos'),
    action: v.literal('rate'),
    rate: v.pipe(v.number(), v.minValue(0.1), v.maxValue(10)),
    ...common,
  }),
  v.strictObject({
    kind: v.literal('TimeChaos'),
    action: v.literal('jump'),
    timeOffset: duration,
    ...common,
  }),
])

export const faultSchema = v.variant('kind', [
  processFault,
  networkFault,
  messageFault,
  byzantineFault,
  databaseFault,
  storageFault,
  timeFault,
])
export type FaultText = v.InferOutput<typeof faultSchema>

export const suspendSchema = v.strictObject({ suspend: duration })
export const awaitSchema = v.strictObject({ await: v.literal('level'), timeout: v.optional(duration) })
export const stepsSchema = v.pipe(
  v.array(v.unknown()),
  v.minLength(1, 'must have a step'),
  v.maxLength(STEPS_MAX),
)

export const planSchema = v.strictObject({
  name: v.optional(
    v.pipe(v.string(), v.regex(/^[\w .-]{1,60}$/, 'must be 1 to 60 letters, digits, blanks, _ . -')),
  ),
  seconds: v.optional(whole(1, 86_400)),
  strikeSeconds: v.optional(whole(1, 86_400)),
  beyondTolerance: v.optional(v.boolean(), false),
  allowByzantine: v.optional(v.boolean(), false),
  cluster: v.optional(
    v.strictObject({
      replicas: v.optional(whole(4, 31)),
      checkpointInterval: v.optional(whole(1, 1_000), DEFAULT_CLUSTER.checkpointInterval),
      viewChangeTimeoutMs: v.optional(whole(20, 600_000), DEFAULT_CLUSTER.viewChangeTimeoutMs),
      scrubIntervalMs: v.optional(whole(50, 86_400_000), DEFAULT_CLUSTER.scrubIntervalMs),
    }),
    {},
  ),
  load: v.optional(
    v.strictObject({
      clients: v.optional(whole(1, 16), DEFAULT_LOAD.clients),
      callers: v.optional(whole(1, 1_000), DEFAULT_LOAD.callers),
      hotAccounts: v.optional(whole(1, 10_000), DEFAULT_LOAD.hotAccounts),
      coldAccounts: v.optional(whole(2, 1_000_000), DEFAULT_LOAD.coldAccounts),
      thinkMs: v.optional(whole(0, 60_000), DEFAULT_LOAD.thinkMs),
      floor: v.optional(whole(0, 1_000_000), DEFAULT_LOAD.floor),
      liars: v.optional(v.pipe(v.string(), v.maxLength(1_000)), ''),
    }),
    {},
  ),
  demands: v.optional(v.array(v.picklist(DEMANDS)), []),
  steps: stepsSchema,
})
