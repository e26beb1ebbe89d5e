/** What a behaviour may name in brackets. Where it names none, it chooses itself. */
type Argument = 'replicas' | 'client' | 'milliseconds' | 'none'

type Description = { readonly argument: Argument; readonly does: string }

/** Everything a replica can be told to do against the protocol. */
export const BEHAVIOURS = {
  sign: { argument: 'replicas', does: 'its signatures are invalid (to those named, or to all)' },
  'bad-commits': { argument: 'none', does: 'its COMMITs count on its session and prove nothing to others' },
  crash: { argument: 'none', does: 'sends no PREPARE, COMMIT or NEW-VIEW' },
  mute: { argument: 'none', does: 'as the primary sends no PRE-PREPARE' },
  dark: { argument: 'replicas', does: 'never sends to those named (or to the replica after it)' },
  time: { argument: 'none', does: 'everything it says of the order comes just before the time-out' },
  slow: { argument: 'milliseconds', does: 'everything it says of the order comes so much later (or 50 ms)' },
  starve: { argument: 'client', does: 'hears no request of this client (or of the first that it meets)' },
  equivocation: {
    argument: 'replicas',
    does: 'as the primary proposes another batch, or another number, to those named (or to half)',
  },
  'conflicting-votes': { argument: 'replicas', does: 'votes for another digest to those named (or to half)' },
  'two-faced': { argument: 'none', does: 'votes for whatever each of the others voted for' },
  'wrong-digest': { argument: 'none', does: 'proposes and votes for digests of nothing' },
  'stale-certificates': {
    argument: 'none',
    does: 'its VIEW-CHANGEs show an old checkpoint and old certificates',
  },
  'forged-certificates': { argument: 'none', does: 'its VIEW-CHANGEs show certificates that nobody signed' },
  'new-view-omit': { argument: 'none', does: 'its NEW-VIEWs leave out the last entry of O' },
  'new-view-null': { argument: 'none', does: 'its NEW-VIEWs put null batches for prepared ones' },
  'new-view-add': { argument: 'none', does: 'its NEW-VIEWs order a batch that nobody prepared' },
  'new-view-one': { argument: 'replicas', does: 'its NEW-VIEWs reach only those named (or one)' },
  'new-view-forged': { argument: 'none', does: 'enters views that nobody asked for, with an empty O' },
  'wrong-checkpoint': { argument: 'none', does: 'its CHECKPOINTs name a state that nobody has' },
  'corrupt-state': { argument: 'none', does: 'the state and the history that it sends are wrong' },
  'endless-state': { argument: 'none', does: 'offers states and batches, and never gets to the end of them' },
  'slow-state': {
    argument: 'milliseconds',
    does: 'sends a state so slowly (or 400 ms a piece) that it is never done',
  },
  replay: { argument: 'none', does: 'says again what it said long ago, also before its own restart' },
  'high-water': { argument: 'none', does: 'as the primary orders at the high water mark at once' },
  'non-canonical': { argument: 'none', does: 'encodes what it says in longer forms than it need' },
  garbage: { argument: 'none', does: 'sends noise, and messages whose numbers and digests mean nothing' },
  'lying-replies': { argument: 'none', does: 'answers requests with results of its own' },
  'lying-reads': { argument: 'none', does: 'answers reads with balances of its own' },
} as const satisfies Readonly<Record<string, Description>>

export type BehaviourName = keyof typeof BEHAVIOURS
export const BEHAVIOUR_NAMES = Object.keys(BEHAVIOURS).filter(isBehaviourName)

/** `targets`: ids of replicas or of a client, or milliseconds, as BEHAVIOURS says; empty where none were named. */
export type Behaviour = { readonly name: BehaviourName; readonly targets: readonly number[] }

/** Names that others have for them. */
const ALIASES: Readonly<Record<string, BehaviourName>> = {
  'invalid-signature': 'sign',
  'in-dark': 'dark',
  timing: 'time',
  equivocate: 'equivocation',
}

/** A text that names no behaviours: `column`, from 1, is where it goes wrong. */
export class BehaviourError extends Error {
  override name = 'BehaviourError'
  readonly column: number

  constructor(column: number, problem: string) {
    super(`column ${column}: ${problem}`)
    this.column = column
  }
}

/**
 * `sign; dark(n6); equivocation(n2, n3); slow(20)`: names, each with what it is aimed at, in any order. `nK` is the K-th
 * replica, K-1 by its id; a plain number is an id. Empty: none.
 * @throws BehaviourError
 */
export function parseBehaviours(text: string, { replicas }: { readonly replicas: number }): Behaviour[] {
  const behaviours: Behaviour[] = []
  const pattern = /\s*([^\s;,()]+)\s*(?:\(([^()]*)\))?\s*(?:[;,]|$)/y
  while (pattern.lastIndex < text.length && text.slice(pattern.lastIndex).trim() !== '') {
    const at = pattern.lastIndex
    const match = pattern.exec(text)
    if (match === null) {
      throw new BehaviourError(
        at + 1,
        `expected name or name(target, ...), separated by ";", not "${text.slice(at)}"`,
      )
    }
    const [, word = '', inside] = match
    const name = nameOf(word, { column: text.indexOf(word, at) + 1 })
    const column = inside === undefined ? at + 1 : text.indexOf('(', at) + 2
    behaviours.push({ name, targets: targetsOf(inside ?? '', { name, column, replicas }) })
  }
  return behaviours
}

/** What `parseBehaviours` reads back. */
export const formatBehaviours = (behaviours: readonly Behaviour[]): string =>
  behaviours
    .map(({ name, targets }) => (targets.length === 0 ? name : `${name}(${targets.join(',')})`))
    .join('; ')

function isBehaviourName(word: string): word is BehaviourName {
  return Object.hasOwn(BEHAVIOURS, word)
}

function nameOf(word: string, { column }: { readonly column: number }): BehaviourName {
  const lower = word.toLowerCase()
  const name = ALIASES[lower] ?? lower
  if (isBehaviourName(name)) return name
  throw new BehaviourError(column, `"${word}" is no behaviour; there are ${BEHAVIOUR_NAMES.join(', ')}`)
}

function targetsOf(
  inside: string,
  {
    name,
    column,
    replicas,
  }: { readonly name: BehaviourName; readonly column: number; readonly replicas: number },
): number[] {
  const words = inside.split(/[\s,]+/).filter((word) => word !== '')
  const { argument }: Description = BEHAVIOURS[name]
  const refuse = (problem: string) => new BehaviourError(column, `${name}: ${problem}`)
  if (argument === 'none' && words.length > 0) throw refuse('it takes nothing in brackets')
  if (argument !== 'replicas' && words.length > 1) throw refuse('it takes one number in brackets')
  return words.map((word) => {
    const [, ordinal, number] = /^(?:n(\d{1,9})|(\d{1,9}))$/i.exec(word) ?? []
    const value = ordinal === undefined ? Number(number) : Number(ordinal) - 1
    if (argument !== 'replicas') {
      if (number !== undefined) return value
      throw refuse(`"${word}" is no whole number`)
    }
    if (value >= 0 && value < replicas) return value
    throw refuse(`"${word}" is no replica; they are n1 to n${replicas}, or 0 to ${replicas - 1}`)
  })
}
