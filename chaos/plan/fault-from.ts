import { BehaviourError, parseBehaviours } from '../../replica/byzantine/behaviour.ts'
import { DROPPABLE } from '../../replica/runtime/send-filter.ts'
import type { LinkRule } from '../live/link-rule.ts'
import type { Fault, Selection, Step, Strike } from './plan.ts'
import type { FaultText } from './schema.ts'

/** What makes no sense although it has the right form: which field, and why. */
export type Problem = { readonly problem: string; readonly field: readonly string[] }

type Context = { readonly path: string; readonly replicas: number; readonly allowByzantine: boolean }

const DURATION_MS = 5_000
const CRASH_EVERY_MS = 1_000
const FLAP_PERIOD_MS = 400
const GAP_MS = 20
const TIMES = 3

/** A fault, or one again and again, from a step of the right form. */
export function faultFrom(text: FaultText, context: Context): { readonly step: Step } | Problem {
  const problem = problemIn(text, context)
  if (problem !== undefined) return problem
  const { path } = context
  const fault: Fault = {
    type: 'fault',
    path,
    selection: selectionOf(text),
    durationMs: text.duration ?? DURATION_MS,
    strike: strikeOf(text),
  }
  if (text.schedule === undefined) return { step: fault }
  return { step: { type: 'repeat', path, everyMs: text.schedule, times: text.times ?? TIMES, fault } }
}

function problemIn(text: FaultText, { replicas, allowByzantine }: Context): Problem | undefined {
  const named = [
    ...(text.selector?.replicas ?? []),
    ...('target' in text ? (text.target?.selector?.replicas ?? []) : []),
    ...(text.kind === 'MessageChaos' ? (text.drop.to ?? []) : []),
  ]
  const unknown = named.find((id) => id >= replicas)
  if (unknown !== undefined) {
    return { field: ['selector'], problem: `there is no replica ${unknown}: they are 0 to ${replicas - 1}` }
  }
  const { mode, value, times, schedule, selector } = text
  if (mode === 'fixed' && value === undefined) {
    return { field: ['mode'], problem: 'mode fixed takes a value: how many' }
  }
  if (mode !== 'fixed' && value !== undefined) {
    return { field: ['value'], problem: 'only mode fixed takes a value' }
  }
  const candidates = selector?.replicas?.length ?? replicas
  if (value !== undefined && value > candidates) {
    return { field: ['value'], problem: `there are only ${candidates} replicas to choose from, not ${value}` }
  }
  if (times !== undefined && schedule === undefined) {
    return { field: ['times'], problem: 'only a fault with a schedule happens several times' }
  }
  if (text.kind !== 'MessageChaos' && text.kind !== 'ByzantineChaos') return undefined
  if (!allowByzantine) {
    const liar =
      text.kind === 'MessageChaos' ? 'a replica that holds messages back lies' : 'a replica lies here'
    return { field: ['kind'], problem: `${liar}: the plan must say allowByzantine: true` }
  }
  return text.kind === 'MessageChaos' ? messageProblem(text) : behaviourProblem(text, replicas)
}

function behaviourProblem(
  { behaviours }: Extract<FaultText, { kind: 'ByzantineChaos' }>,
  replicas: number,
): Problem | undefined {
  try {
    parseBehaviours(behaviours, { replicas })
    return undefined
  } catch (error) {
    if (error instanceof BehaviourError) return { field: ['behaviours'], problem: error.message }
    throw error
  }
}

function messageProblem({ drop }: Extract<FaultText, { kind: 'MessageChaos' }>): Problem | undefined {
  const unknown = drop.messages.find((word) => !DROPPABLE.some((type) => type === word))
  if (unknown === undefined) return undefined
  return {
    field: ['drop', 'messages'],
    problem: `no message type ${JSON.stringify(unknown)}: they are ${DROPPABLE.join(', ')}`,
  }
}

/** Named replicas are all meant, unless a mode says else. */
function selectionOf(text: Pick<FaultText, 'mode' | 'value' | 'selector'>): Selection {
  const replicas = text.selector?.replicas ?? null
  const mode = text.mode ?? (replicas === null ? 'one' : 'all')
  return { mode, value: text.value ?? 1, replicas }
}

function strikeOf(text: FaultText): Strike {
  switch (text.kind) {
    case 'ProcessChaos':
      if (text.action !== 'crash-loop') return { kind: text.kind, action: text.action }
      return { kind: text.kind, action: text.action, everyMs: text.every ?? CRASH_EVERY_MS }
    case 'NetworkChaos':
      return networkStrike(text)
    case 'MessageChaos': {
      const { messages, probability = 1, to = null } = text.drop
      return { kind: text.kind, action: text.action, messages, probability, to }
    }
    case 'ByzantineChaos':
      return { kind: text.kind, action: text.action, behaviours: text.behaviours }
    case 'DatabaseChaos':
      if (text.action === 'slow') {
        return { kind: text.kind, action: text.action, latencyMs: text.delay.latency }
      }
      if (text.action === 'edit') return { kind: text.kind, action: text.action, sql: text.sql ?? null }
      return { kind: text.kind, action: text.action }
    case 'StorageChaos':
      return { kind: text.kind, action: text.action }
    case 'TimeChaos':
      if (text.action === 'rate') return { kind: text.kind, action: text.action, rate: text.rate }
      return { kind: text.kind, action: text.action, offsetMs: text.timeOffset }
  }
}

type NetworkText = Extract<FaultText, { kind: 'NetworkChaos' }>

function networkStrike(text: NetworkText): Strike {
  const { kind } = text
  switch (text.action) {
    case 'partition':
      return { kind, action: text.action, shape: text.partition?.shape ?? 'one', direction: text.direction }
    case 'flap':
      return { kind, action: text.action, periodMs: text.flap?.period ?? FLAP_PERIOD_MS }
    default: {
      const target = text.target === undefined ? null : selectionOf(text.target)
      return { kind, action: text.action, rule: ruleOf(text), direction: text.direction, target }
    }
  }
}

function ruleOf(text: Exclude<NetworkText, { action: 'partition' | 'flap' }>): LinkRule {
  switch (text.action) {
    case 'loss':
      return { loss: text.loss.loss }
    case 'delay':
      return { delayMs: text.delay.latency, jitterMs: text.delay.jitter ?? 0 }
    case 'duplicate':
      return { duplicate: text.duplicate.duplicate }
    case 'reorder':
      return { reorder: text.reorder.reorder, reorderMs: text.reorder.gap ?? GAP_MS }
    case 'corrupt':
      return { corrupt: text.corrupt.corrupt }
    case 'replay':
      return { replay: text.replay.replay }
    case 'bandwidth':
      return { bytesPerSecond: text.bandwidth.rate }
  }
}
