import type { MessageType } from '../../protocol/messages.ts'
import type { VoteRecord } from '../core/vote-record.ts'

/** Records that a step writes; the amnesia mark is written before there are steps. */
const RECORDS = [
  'pre-prepare',
  'prepared',
  'committed',
  'batch',
  'checkpoint',
  'stable',
  'view-change',
  'new-view',
  'recovered',
] as const satisfies readonly VoteRecord['kind'][]

/** Messages on which the safety or the progress of others rests. */
const MESSAGES = [
  'request',
  'pre-prepare',
  'prepare',
  'commit',
  'checkpoint',
  'reply',
  'view-change',
  'new-view',
  'committed',
  'partitions',
  'history',
] as const satisfies readonly MessageType[]

/**
 * 'sync': of the vote log, and before the core hears that it is done. 'commit': of a run, in the database. 'checkpoint':
 * the hold of a state. 'cut': of the vote log. 'install': of a fetched state. 'new-view': the whole step that enters a view.
 */
const DEEDS = ['sync', 'commit', 'checkpoint', 'cut', 'install', 'new-view'] as const

export type FailpointDeed =
  | (typeof DEEDS)[number]
  | `persist-${(typeof RECORDS)[number]}`
  | `send-${(typeof MESSAGES)[number]}`

export type Failpoint = `${'before' | 'after'}-${FailpointDeed}`

const around = (deed: FailpointDeed): Failpoint[] => [`before-${deed}`, `after-${deed}`]

/** [D1] Every point at which a process can be made to die. */
export const FAILPOINTS: readonly Failpoint[] = [
  ...RECORDS.flatMap((kind) => around(`persist-${kind}`)),
  ...MESSAGES.flatMap((type) => around(`send-${type}`)),
  ...DEEDS.flatMap(around),
]

/** Called at each point that is passed, listed or not; undefined where nobody wants to die. */
export type FailpointHook = ((point: string) => void) | undefined

/** Where to die: at the `count`-th time that a point is passed. */
export type ArmedFailpoint = { readonly point: Failpoint; readonly count: number }

/** Thrown for a value of PBFT_FAILPOINT that names no point. */
export class FailpointError extends Error {
  override name = 'FailpointError'
}

/** `name` or `name@count`. @throws FailpointError */
export function parseFailpoint(text: string): ArmedFailpoint {
  const [name, count = '1', ...rest] = text.split('@')
  const point = FAILPOINTS.find((known) => known === name)
  if (point === undefined || rest.length > 0 || !/^[1-9]\d{0,8}$/.test(count)) {
    throw new FailpointError(
      `PBFT_FAILPOINT=${text}: expected NAME or NAME@COUNT, NAME one of: ${FAILPOINTS.join(' ')}`,
    )
  }
  return { point, count: Number(count) }
}

/** Calls `die` when the armed point is passed for the last time. */
export function failpointHook({ point, count }: ArmedFailpoint, die: () => void): NonNullable<FailpointHook> {
  let left = count
  return (passed) => {
    if (passed !== point) return
    left -= 1
    if (left === 0) die()
  }
}
