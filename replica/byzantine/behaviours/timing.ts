import type { MessageType } from '../../../protocol/messages.ts'
import type { Liar, Part } from '../liar.ts'

/** Of T, before what follows the PRE-PREPARE: the batch is committed just before the backups give up [NC8]. */
const JUST_UNDER = 0.85
const SLOW_MS = 50
const SLOW_STATE_MS = 400

const OF_THE_ORDER: readonly MessageType[] = ['pre-prepare', 'prepare', 'commit', 'view-change', 'new-view']
const OF_THE_STATE: readonly MessageType[] = [
  'partitions',
  'history',
  'committed',
  'fetched-batch',
  'state-offer',
]

const late = (types: readonly MessageType[], ms: number): Part => ({
  wire: (_, { type }, packets) =>
    types.includes(type) ? packets.map((packet) => ({ ...packet, delayMs: packet.delayMs + ms })) : packets,
})

export const time = ({ config }: Liar): Part => late(OF_THE_ORDER, JUST_UNDER * config.viewChangeTimeoutMs)

export const slow = (targets: readonly number[]): Part => late(OF_THE_ORDER, targets[0] ?? SLOW_MS)

export const slowState = (targets: readonly number[]): Part => late(OF_THE_STATE, targets[0] ?? SLOW_STATE_MS)
