import { BehaviourGrammar, type Description, type Named } from '../../protocol/byzantine/grammar.ts'

/** Everything a client can be told to do against the protocol. */
export const CLIENT_BEHAVIOURS = {
  'different-requests': {
    argument: 'none',
    does: 'each replica is sent another request, on the same lane under a number of its own',
  },
  'two-bodies': { argument: 'none', does: 'half of the replicas get another body under the same number' },
  'bad-signature': { argument: 'replicas', does: 'its signatures are invalid (to those named, or to all)' },
  'bad-macs': {
    argument: 'none',
    does: 'authenticators for some, for all or for more than there are, over an invalid signature',
  },
  flood: { argument: 'rate', does: 'so many requests and reads a second (or 500) beside its own' },
  oversize: { argument: 'none', does: 'operations, bytes, lanes and authenticators beyond the bounds' },
  'write-as-read': { argument: 'none', does: 'writes under the type of reads, and reads of absurd accounts' },
  'other-accounts': {
    argument: 'none',
    does: "moves others' money, deposits without being a teller, opens accounts for others",
  },
  impersonate: { argument: 'none', does: "requests in others' names, which it signs itself" },
  'old-numbers': { argument: 'none', does: 'numbers that go back, and that jump to the highest there is' },
  replay: {
    argument: 'none',
    does: 'requests of others with their valid signatures, and old ones of its own',
  },
  garbage: { argument: 'none', does: 'noise, and messages whose values mean nothing' },
} as const satisfies Readonly<Record<string, Description>>

export type ClientBehaviourName = keyof typeof CLIENT_BEHAVIOURS
export type ClientBehaviour = Named<ClientBehaviourName>

const grammar = new BehaviourGrammar<ClientBehaviourName>(CLIENT_BEHAVIOURS)

export const CLIENT_BEHAVIOUR_NAMES = grammar.names

/** @throws BehaviourError */
export const parseClientBehaviours = (
  text: string,
  cluster: { readonly replicas: number },
): ClientBehaviour[] => grammar.parse(text, cluster)

/** What `parseClientBehaviours` reads back. */
export const formatClientBehaviours = (behaviours: readonly ClientBehaviour[]): string =>
  grammar.format(behaviours)
