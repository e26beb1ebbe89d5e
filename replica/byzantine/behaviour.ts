import { BehaviourGrammar, type Description, type Named } from '../../protocol/byzantine/grammar.ts'

export { BehaviourError } from '../../protocol/byzantine/grammar.ts'

/** Everything a replica can be told to do against the protocol. */
export const BEHAVIOURS = {
  sign: { argument: 'replicas', does: 'its signatures are invalid (to those named, or to all)' },
  'bad-commits': { argument: 'none', does: 'its COMMITs count on its session and prove nothing to others' },
  crash: { argument: 'none', does: 'sends no PREPARE, COMMIT or NEW-VIEW, and hears no COMMIT' },
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
export type Behaviour = Named<BehaviourName>

/** Names that others have for them. */
const ALIASES: Readonly<Record<string, BehaviourName>> = {
  'invalid-signature': 'sign',
  'in-dark': 'dark',
  timing: 'time',
  equivocate: 'equivocation',
}

const grammar = new BehaviourGrammar<BehaviourName>(BEHAVIOURS, ALIASES)

export const BEHAVIOUR_NAMES = grammar.names

/** @throws BehaviourError */
export const parseBehaviours = (text: string, cluster: { readonly replicas: number }): Behaviour[] =>
  grammar.parse(text, cluster)

/** What `parseBehaviours` reads back. */
export const formatBehaviours = (behaviours: readonly Behaviour[]): string => grammar.format(behaviours)
