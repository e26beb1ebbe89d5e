import { stringify } from 'yaml'
import { quorumOf } from '../../protocol/quorum.ts'
import { Random } from '../sim/random.ts'
import type { Demand } from './plan.ts'

/** A step as a plan file has it. */
type StepText = Readonly<Record<string, unknown>>

export const PROFILES = [
  'crash',
  'primary',
  'network',
  'partition',
  'database',
  'disk',
  'mixed',
  'soak',
] as const
export type Profile = (typeof PROFILES)[number]

type Recipe = {
  readonly what: string
  readonly demands: readonly Demand[]
  /** What the demands rest on: all of it, in an order that is drawn. */
  readonly core: (draw: Draw) => readonly StepText[]
  /** One step more, again and again until the time is over. */
  readonly filler: (draw: Draw) => StepText
  /** Goes on beside all of it. */
  readonly background?: (draw: Draw, seconds: number) => StepText
  /** Quiet between two steps. */
  readonly pauseMs?: readonly [number, number]
}

/** Of the time, that the faults take; the rest is quiet. */
const STRIKING = 0.85
/** What a filler takes at the least: as many are written as could be needed. */
const FILLER_SECONDS = 1.5
const FILLERS_MAX = 2_000

/** A profile's plan as a file: the seed decides all of it. */
export function profileText(
  profile: Profile,
  { seed, seconds, replicas }: { readonly seed: number; readonly seconds: number; readonly replicas: number },
): string {
  const draw = new Draw(new Random(seed))
  const { demands, core, filler, background, pauseMs } = RECIPES[profile]
  const fillers = Math.min(FILLERS_MAX, Math.ceil(seconds / FILLER_SECONDS))
  // As one step, which is played to its end whatever time it takes: the demands rest on it.
  const demanded = { serial: draw.shuffled(core(draw)) }
  const steps = [demanded, ...Array.from({ length: fillers }, () => filler(draw))].flatMap((step) =>
    pauseMs === undefined ? [step] : [step, { suspend: draw.ms(...pauseMs) }],
  )
  const plan = {
    name: profile,
    seconds,
    strikeSeconds: Math.round(seconds * STRIKING),
    cluster: { replicas },
    demands,
    steps:
      background === undefined
        ? steps
        : [{ parallel: [background(draw, Math.round(seconds * STRIKING)), { serial: steps }] }],
  }
  const head = `# Profile ${profile}, seed ${seed}: ${RECIPES[profile].what}\n# What the time does not suffice for at the end is left out.\n`
  return head + stringify(plan, { aliasDuplicateObjects: false })
}

/**
 * A plan's file: f replicas, or as many as it says, the primary among them, do all of `behaviours` for most of the time,
 * over a lossy network.
 */
export function liarsText(
  behaviours: string,
  choices: {
    readonly seed: number
    readonly seconds: number
    readonly replicas: number
    readonly liars?: number | undefined
  },
): string {
  const { seed, seconds, replicas } = choices
  const draw = new Draw(new Random(seed))
  const strikeSeconds = Math.round(seconds * STRIKING)
  const { f } = quorumOf(replicas)
  const { liars = f } = choices
  const lie = { kind: 'ByzantineChaos', action: 'lie', behaviours, duration: `${strikeSeconds}s` }
  const who =
    liars === 1
      ? { mode: 'primary' }
      : { mode: 'fixed', value: liars, selector: { replicas: firstOf(liars) } }
  const plan = {
    name: 'liars',
    seconds,
    strikeSeconds,
    allowByzantine: true,
    ...(liars > f ? { beyondTolerance: true } : {}),
    cluster: { replicas },
    steps: [{ parallel: [lossyBackground(draw, strikeSeconds), { ...lie, ...who }] }],
  }
  return stringify(plan, { aliasDuplicateObjects: false })
}

/** The first primaries. */
const firstOf = (count: number): number[] => Array.from({ length: count }, (_, id) => id)

export const profileSummary = (profile: Profile): string => RECIPES[profile].what
export const profileDemands = (profile: Profile): readonly Demand[] => RECIPES[profile].demands

/** What is drawn for a plan, in the order in which it is written. */
class Draw {
  readonly #random: Random

  constructor(random: Random) {
    this.#random = random
  }

  pick<T>(choices: readonly T[]): T {
    return this.#random.pick(choices)
  }

  ms(min: number, max: number): string {
    return `${this.#random.int(min, max)}ms`
  }

  int(min: number, max: number): number {
    return this.#random.int(min, max)
  }

  shuffled<T>(all: readonly T[]): T[] {
    return all
      .map((one) => ({ one, at: this.#random.float() }))
      .sort((a, b) => a.at - b.at)
      .map(({ one }) => one)
  }
}

const processFault = (action: string, mode: string, duration: string): StepText => ({
  kind: 'ProcessChaos',
  action,
  mode,
  duration,
})

const killPrimary = (draw: Draw) => processFault('kill', 'primary', draw.ms(1_000, 2_000))
const killLong = (draw: Draw) => processFault('kill', 'one', draw.ms(3_500, 5_000))

const crashFiller = (draw: Draw): StepText =>
  draw.pick([
    () => processFault('kill', draw.pick(['one', 'primary']), draw.ms(100, 2_500)),
    () => processFault('terminate', draw.pick(['one', 'primary']), draw.ms(100, 2_000)),
    () => processFault('pause', draw.pick(['one', 'primary']), draw.ms(300, 2_500)),
    () => processFault('rolling-restart', 'all', draw.ms(100, 500)),
    () => processFault('restart-all', 'all', draw.ms(100, 500)),
    () => ({ ...processFault('crash-loop', 'one', draw.ms(2_000, 4_000)), every: draw.ms(300, 1_000) }),
  ])()

const primaryFiller = (draw: Draw): StepText =>
  processFault(draw.pick(['kill', 'terminate', 'pause']), 'primary', draw.ms(800, 2_500))

type Link = Readonly<Record<string, unknown>>
const LINK_FAULTS = {
  loss: (draw: Draw): Link => ({ loss: { loss: draw.int(2, 25) } }),
  delay: (draw: Draw): Link => ({ delay: { latency: draw.ms(1, 40), jitter: draw.ms(0, 20) } }),
  duplicate: (draw: Draw): Link => ({ duplicate: { duplicate: draw.int(5, 40) } }),
  reorder: (draw: Draw): Link => ({ reorder: { reorder: draw.int(5, 40), gap: draw.ms(5, 30) } }),
  corrupt: (draw: Draw): Link => ({ corrupt: { corrupt: draw.int(1, 10) } }),
  replay: (draw: Draw): Link => ({ replay: { replay: draw.int(1, 20) } }),
  bandwidth: (draw: Draw): Link => ({ bandwidth: { rate: `${draw.int(1, 8)}mbps` } }),
} as const
type LinkAction = keyof typeof LINK_FAULTS
const LINK_ACTIONS = Object.keys(LINK_FAULTS).filter((action): action is LinkAction => action in LINK_FAULTS)

const link = (draw: Draw, action: LinkAction, mode: string, duration: string): StepText => ({
  kind: 'NetworkChaos',
  action,
  mode,
  ...LINK_FAULTS[action](draw),
  duration,
})

const networkFiller = (draw: Draw): StepText => ({
  parallel: Array.from({ length: draw.int(1, 3) }, () =>
    link(draw, draw.pick(LINK_ACTIONS), draw.pick(['one', 'all', 'primary']), draw.ms(1_000, 4_000)),
  ),
})

const SHAPES = ['one', 'halves', 'ring', 'bridge', 'primary'] as const
const partition = (draw: Draw, shape: string, direction: string): StepText => ({
  kind: 'NetworkChaos',
  action: 'partition',
  partition: { shape },
  direction,
  duration: draw.ms(1_200, 2_200),
})
const flap = (draw: Draw): StepText => ({
  kind: 'NetworkChaos',
  action: 'flap',
  mode: 'one',
  flap: { period: draw.ms(40, 500) },
  duration: draw.ms(1_000, 3_000),
})
const partitionFiller = (draw: Draw): StepText =>
  draw.int(0, 4) === 0
    ? flap(draw)
    : partition(draw, draw.pick(SHAPES), draw.pick(['both', 'both', 'to', 'from']))

const database = (action: string, duration: string): StepText => ({
  kind: 'DatabaseChaos',
  action,
  mode: 'one',
  duration,
})
const slow = (draw: Draw): StepText => ({
  ...database('slow', draw.ms(1_000, 3_000)),
  mode: draw.pick(['one', 'all']),
  delay: { latency: draw.ms(5, 60) },
})
const databaseFiller = (draw: Draw): StepText =>
  draw.pick([
    () => database(draw.pick(['cut', 'refuse', 'kill', 'pause']), draw.ms(500, 2_500)),
    () => database('edit', '1s'),
    () => slow(draw),
  ])()

const storage = (action: string, draw: Draw): StepText => ({
  kind: 'StorageChaos',
  action,
  mode: draw.pick(['one', 'one', 'primary']),
  duration: draw.ms(200, 1_500),
})
const powerLoss = (mode: string, draw: Draw) => processFault('power-loss', mode, draw.ms(100, 800))
const diskFiller = (draw: Draw): StepText =>
  draw.pick([
    () => storage(draw.pick(['wipe-votes', 'wipe-database', 'wipe-both']), draw),
    () => powerLoss(draw.pick(['one', 'primary', 'all']), draw),
  ])()

const clock = (draw: Draw): StepText =>
  draw.int(0, 1) === 0
    ? { kind: 'TimeChaos', action: 'jump', mode: 'one', timeOffset: draw.ms(100, 20_000), duration: '200ms' }
    : {
        kind: 'TimeChaos',
        action: 'rate',
        mode: 'one',
        rate: draw.pick([0.5, 0.9, 1.1, 2]),
        duration: draw.ms(1_000, 4_000),
      }

const mixedFiller = (draw: Draw): StepText =>
  draw.pick([
    crashFiller,
    crashFiller,
    primaryFiller,
    networkFiller,
    partitionFiller,
    databaseFiller,
    diskFiller,
    clock,
  ])(draw)
const mixedCore = (draw: Draw) => [
  killPrimary(draw),
  killLong(draw),
  storage('wipe-both', draw),
  database('edit', '1s'),
  partition(draw, draw.pick(SHAPES), 'both'),
]
const lossyBackground = (draw: Draw, seconds: number): StepText => ({
  parallel: [
    { ...link(draw, 'loss', 'all', `${seconds}s`), loss: { loss: draw.int(1, 3) } },
    { ...link(draw, 'delay', 'all', `${seconds}s`), delay: { latency: draw.ms(0, 2), jitter: '1ms' } },
  ],
})

const MIXED_DEMANDS: readonly Demand[] = [
  'view-change',
  'catch-up-by-messages',
  'state-transfer-with-rows',
  'amnesiac-votes-again',
  'repair',
  'partition',
  'datagrams-lost',
]

const RECIPES: Readonly<Record<Profile, Recipe>> = {
  crash: {
    what: 'replicas are killed, stopped, paused, restarted: one, in turn, all',
    demands: ['view-change', 'catch-up-by-messages', 'state-transfer-with-rows'],
    core: (draw) => [killPrimary(draw), killLong(draw), processFault('pause', 'one', draw.ms(1_000, 1_500))],
    filler: crashFiller,
  },
  primary: {
    what: 'whoever leads is killed, stopped or paused, again and again',
    demands: ['view-change', 'several-view-changes', 'catch-up-by-messages'],
    core: (draw) => [
      killPrimary(draw),
      processFault('pause', 'primary', draw.ms(1_500, 2_500)),
      processFault('terminate', 'primary', draw.ms(1_000, 2_000)),
    ],
    filler: primaryFiller,
  },
  network: {
    what: 'datagrams are lost, late, doubled, out of order, damaged, replayed, too many for the link',
    demands: [
      'datagrams-lost',
      'datagrams-delayed',
      'datagrams-duplicated',
      'datagrams-reordered',
      'datagrams-corrupted',
      'datagrams-replayed',
      'catch-up-by-messages',
    ],
    core: (draw) => [
      ...LINK_ACTIONS.map((action) => link(draw, action, 'all', draw.ms(1_000, 1_500))),
      partition(draw, 'one', 'both'),
    ],
    filler: networkFiller,
  },
  partition: {
    what: 'links are cut: of one, between halves, in a ring, but for a bridge, of the primary; one way, or again and again',
    demands: ['partition', 'view-change', 'catch-up-by-messages'],
    core: (draw) => [
      ...SHAPES.map((shape) => partition(draw, shape, 'both')),
      partition(draw, draw.pick(['one', 'primary']), draw.pick(['to', 'from'])),
      flap(draw),
    ],
    filler: partitionFiller,
  },
  database: {
    what: 'databases are slow, cut off, refuse, are killed, stand still; rows are edited by hand',
    demands: ['redo', 'repair', 'database-reconnect'],
    core: (draw) => [
      database('kill', draw.ms(500, 1_000)),
      database('refuse', draw.ms(1_000, 2_000)),
      database('edit', '1s'),
      slow(draw),
    ],
    filler: databaseFiller,
  },
  disk: {
    what: 'vote logs and databases are lost, and the power',
    demands: ['amnesiac-votes-again', 'state-transfer-with-rows', 'power-cut-of-all'],
    core: (draw) => [storage('wipe-votes', draw), storage('wipe-database', draw), powerLoss('all', draw)],
    filler: diskFiller,
  },
  mixed: {
    what: 'all of it, over a network that loses some',
    demands: MIXED_DEMANDS,
    core: mixedCore,
    filler: mixedFiller,
    background: lossyBackground,
  },
  soak: {
    what: 'all of it with quiet between, for long runs',
    demands: MIXED_DEMANDS,
    core: mixedCore,
    filler: mixedFiller,
    background: lossyBackground,
    pauseMs: [500, 5_000],
  },
}
