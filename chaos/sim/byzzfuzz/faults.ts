import type { Message, MessageType } from '../../../protocol/messages.ts'
import type { Random } from '../random.ts'

/** What a run is tried at: messages that belong to a round. */
const TYPES = ['pre-prepare', 'prepare', 'commit', 'checkpoint', 'view-change', 'new-view'] as const
export type FuzzedType = (typeof TYPES)[number]

/** Small changes to what was about to be said, each properly signed; 'any': numbers and digests from nowhere. */
export const MUTATIONS = [
  'view+1',
  'view-1',
  'seq+1',
  'seq-1',
  'other-digest',
  'other-request',
  'any',
] as const
export type Mutation = (typeof MUTATIONS)[number]

/** Where a fault strikes: all messages of a type in a round, to some replicas. */
export type Place = { readonly type: FuzzedType; readonly round: number; readonly to: readonly number[] }
export type NetworkFault = Place
export type ProcessFault = Place & { readonly mutation: Mutation }

const ROUNDS_MAX: Readonly<Record<FuzzedType, number>> = {
  'pre-prepare': 24,
  prepare: 24,
  commit: 24,
  checkpoint: 24,
  'view-change': 4,
  'new-view': 4,
}
const NETWORK_FAULTS_MAX = 8
const PROCESS_FAULTS_MAX = 8

/** The round that a message belongs to: its seq, or its view where that is what it is about; null: none. */
export function roundOf(message: Message): { readonly type: FuzzedType; readonly round: number } | null {
  switch (message.type) {
    case 'pre-prepare':
      return { type: message.type, round: message.header.seq }
    case 'prepare':
    case 'commit':
    case 'checkpoint':
      return { type: message.type, round: message.seq }
    case 'view-change':
      return { type: message.type, round: message.newView }
    case 'new-view':
      return { type: message.type, round: message.view }
    default:
      return null
  }
}

export const strikes = ({ type, round }: Place, message: Message): boolean => {
  const at = roundOf(message)
  return at !== null && at.type === type && at.round === round
}

export function drawFaults(random: Random, replicas: number) {
  const network = Array.from({ length: random.int(0, NETWORK_FAULTS_MAX) }, () => drawPlace(random, replicas))
  const processes = Array.from({ length: random.int(1, PROCESS_FAULTS_MAX) }, () => ({
    ...drawPlace(random, replicas),
    mutation: random.pick(MUTATIONS),
  }))
  return { network, processes }
}

function drawPlace(random: Random, replicas: number): Place {
  const type: FuzzedType & MessageType = random.pick(TYPES)
  const all = Array.from({ length: replicas }, (_, id) => id)
  return { type, round: random.int(1, ROUNDS_MAX[type]), to: all.filter(() => random.chance(0.5)) }
}
