import * as v from 'valibot'
import { type Document, isMap, isNode, isPair, LineCounter, parseDocument } from 'yaml'
import { type ClientBehaviour, parseClientBehaviours } from '../../client/byzantine/behaviour.ts'
import { nearest } from '../../client/suggestion.ts'
import { BehaviourError } from '../../protocol/byzantine/grammar.ts'
import { faultFrom } from './fault-from.ts'
import { DEFAULT_CLUSTER, type Plan, PlanError, type Step } from './plan.ts'
import { awaitSchema, faultSchema, planSchema, stepsSchema, suspendSchema } from './schema.ts'

const BYTES_MAX = 1_000_000
const ALIASES_MAX = 100
const DEPTH_MAX = 16
const AWAIT_TIMEOUT_MS = 60_000
const STEP_WORDS = ['serial', 'parallel', 'suspend', 'await', 'kind'] as const

type Key = string | number
/** Where a file says something, by the keys that lead there. */
type Source = { readonly name: string; readonly document: Document; readonly lines: LineCounter }

/**
 * Reads a plan file. What `asked` says counts more than what the file does.
 * @throws PlanError naming line, column, field, what was found and what belongs there
 */
export function parsePlan(
  { name, text }: { readonly name: string; readonly text: string },
  asked: { readonly replicas?: number | undefined; readonly seconds?: number | undefined } = {},
): Plan {
  const source = documentOf(name, text)
  const file = checked(source, planSchema, { value: plainOf(source), at: [] })
  const replicas = asked.replicas ?? file.cluster.replicas ?? DEFAULT_CLUSTER.replicas
  const cluster = { ...file.cluster, replicas }
  const reader = new StepReader(source, { replicas: cluster.replicas, allowByzantine: file.allowByzantine })
  const { steps } = reader.steps(file.steps, ['steps'], 0)
  return {
    name: file.name ?? nameOf(name),
    seconds: asked.seconds ?? file.seconds ?? 0,
    strikeSeconds: file.strikeSeconds ?? asked.seconds ?? file.seconds ?? Number.POSITIVE_INFINITY,
    beyondTolerance: file.beyondTolerance,
    allowByzantine: file.allowByzantine,
    cluster,
    load: { ...file.load, liars: liarsOf(source, file, replicas) },
    demands: file.demands,
    steps,
  }
}

function liarsOf(
  source: Source,
  { load, allowByzantine }: v.InferOutput<typeof planSchema>,
  replicas: number,
): readonly ClientBehaviour[] {
  const at = ['load', 'liars']
  const text = load.liars ?? ''
  try {
    const behaviours = parseClientBehaviours(text, { replicas })
    if (behaviours.length > 0 && !allowByzantine) {
      throw errorAt(source, at, 'a client lies here: the plan must say allowByzantine: true')
    }
    return behaviours
  } catch (error) {
    if (error instanceof BehaviourError) throw errorAt(source, at, error.message)
    throw error
  }
}

const nameOf = (path: string): string => (path.split('/').at(-1) ?? 'plan').replace(/\.ya?ml$/, '')

function documentOf(name: string, text: string): Source {
  if (text.length > BYTES_MAX) throw new PlanError(`${name}: a plan has at most ${BYTES_MAX} characters`)
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines })
  const [error] = [...document.errors, ...document.warnings]
  if (error !== undefined) {
    const { line, col } = lines.linePos(error.pos[0])
    throw new PlanError(`${name}:${line}:${col}: ${error.message.split('\n')[0]}`)
  }
  return { name, document, lines }
}

function plainOf({ name, document }: Source): unknown {
  try {
    return document.toJS({ maxAliasCount: ALIASES_MAX })
  } catch (cause) {
    throw new PlanError(`${name}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause })
  }
}

/** Reads steps one by one, so that an error is of the step that it is in. */
class StepReader {
  readonly #source: Source
  readonly #replicas: number
  readonly #allowByzantine: boolean

  constructor(
    source: Source,
    { replicas, allowByzantine }: { readonly replicas: number; readonly allowByzantine: boolean },
  ) {
    this.#source = source
    this.#replicas = replicas
    this.#allowByzantine = allowByzantine
  }

  steps(values: readonly unknown[], at: readonly Key[], depth: number): { readonly steps: readonly Step[] } {
    if (depth > DEPTH_MAX) throw this.#error(at, `steps may stand in each other ${DEPTH_MAX} deep at most`)
    return { steps: values.map((value, index) => this.#step(value, [...at, index], depth)) }
  }

  #step(value: unknown, at: readonly Key[], depth: number): Step {
    const path = at.join('.')
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw this.#error(at, `a step must be a map with one of ${STEP_WORDS.join(', ')}, not ${shown(value)}`)
    }
    for (const type of ['serial', 'parallel'] as const) {
      if (!(type in value)) continue
      const [other] = Object.keys(value).filter((key) => key !== type)
      if (other !== undefined) throw this.#unknownKey([...at, other], [type])
      const inner = checked(this.#source, stepsSchema, { value: Reflect.get(value, type), at: [...at, type] })
      return { type, path, ...this.steps(inner, [...at, type], depth + 1) }
    }
    if ('suspend' in value) {
      return { type: 'suspend', path, ms: checked(this.#source, suspendSchema, { value, at }).suspend }
    }
    if ('await' in value) {
      const { timeout = AWAIT_TIMEOUT_MS } = checked(this.#source, awaitSchema, { value, at })
      return { type: 'await', path, timeoutMs: timeout }
    }
    if (!('kind' in value)) {
      const [first] = Object.keys(value)
      if (first === undefined) throw this.#error(at, `a step must have one of ${STEP_WORDS.join(', ')}`)
      throw this.#unknownKey([...at, first], STEP_WORDS)
    }
    return this.#fault(value, at)
  }

  #fault(value: unknown, at: readonly Key[]): Step {
    const text = checked(this.#source, faultSchema, { value, at })
    const path = at.join('.')
    const read = faultFrom(text, { path, replicas: this.#replicas, allowByzantine: this.#allowByzantine })
    if ('problem' in read) throw this.#error([...at, ...read.field], read.problem)
    return read.step
  }

  #unknownKey(at: readonly Key[], known: readonly string[]): PlanError {
    return this.#error(at, unknownWord(String(at.at(-1)), known))
  }

  #error(at: readonly Key[], what: string): PlanError {
    return errorAt(this.#source, at, what)
  }
}

const shown = (value: unknown): string => JSON.stringify(value) ?? String(value)

function unknownWord(word: string, known: readonly string[]): string {
  const meant = nearest(word, known)
  return `unknown field ${JSON.stringify(word)}${meant === undefined ? '' : `: did you mean ${meant}?`} (known: ${known.join(', ')})`
}

function checked<T>(
  source: Source,
  schema: v.GenericSchema<unknown, T>,
  { value, at }: { readonly value: unknown; readonly at: readonly Key[] },
): T {
  const result = v.safeParse(schema, value)
  if (result.success) return result.output
  const [issue] = result.issues
  const inner = (issue.path ?? []).map(({ key }) => (typeof key === 'number' ? key : String(key)))
  const path = [...at, ...inner]
  throw errorAt(source, path, wordsOf(issue))
}

function wordsOf(issue: v.BaseIssue<unknown>): string {
  const { expected, received, type } = issue
  if (type === 'strict_object' && expected === 'never') {
    const parent = issue.path?.at(-1)?.input
    const known = typeof parent === 'object' && parent !== null ? Object.keys(parent) : []
    const word = String(issue.path?.at(-1)?.key)
    return `unknown field ${JSON.stringify(word)} (beside ${known.filter((key) => key !== word).join(', ') || 'nothing'})`
  }
  if (type === 'strict_object' && received === 'undefined') return `the field ${expected} is missing`
  const options = [...(expected ?? '').matchAll(/"([^"]+)"/g)].map(([, word]) => word ?? '')
  if (options.length > 0 && received !== undefined) {
    const meant = nearest(received.replaceAll('"', ''), options)
    const hint = meant === undefined ? '' : `: did you mean ${meant}?`
    return `must be one of ${options.join(', ')}, not ${received}${hint}`
  }
  return issue.message
}

/** With the line of the field, or of the nearest thing around it that is there. */
function errorAt({ name, document, lines }: Source, path: readonly Key[], what: string): PlanError {
  const field = path.length === 0 ? '' : `${path.join('.')}: `
  for (let length = path.length; length >= 0; length--) {
    const offset = offsetOf(document, path.slice(0, length))
    if (offset === undefined) continue
    const { line, col } = lines.linePos(offset)
    return new PlanError(`${name}:${line}:${col}: ${field}${what}`)
  }
  return new PlanError(`${name}: ${field}${what}`)
}

/** Of the key where there is one: of a wrong value, what people look for is its name. */
function offsetOf(document: Document, path: readonly Key[]): number | undefined {
  const key = path.at(-1)
  const parent = path.length === 0 ? document.contents : document.getIn(path.slice(0, -1), true)
  if (typeof key === 'string' && isMap(parent)) {
    const pair = parent.items.find((item) => isPair(item) && isNode(item.key) && String(item.key) === key)
    if (pair !== undefined && isNode(pair.key)) return pair.key.range?.[0]
    return undefined
  }
  const node = path.length === 0 ? document.contents : document.getIn(path, true)
  return isNode(node) ? node.range?.[0] : undefined
}
