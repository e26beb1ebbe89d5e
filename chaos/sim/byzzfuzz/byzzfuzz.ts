/**
 * ByzzFuzz (Winter et al., "Randomized Testing of Byzantine Fault Tolerant Algorithms", OOPSLA 2023): a run has a few faults,
 * each at one type of message in one round. Of the network: those messages do not reach some replicas. Of one faulty
 * replica: it tells some replicas something else, a small step from the truth and properly signed. Few and small
 * faults meet more of a protocol than noise does, which is refused at the door.
 */
import type { Message, Request } from '../../../protocol/messages.ts'
import type { Digest, ReplicaId } from '../../../protocol/types.ts'
import { apart, type Liar } from '../../../replica/byzantine/liar.ts'
import type { Effect } from '../../../replica/core/effect.ts'
import type { Adversary } from '../../../replica/runtime/adversary.ts'
import { Random } from '../random.ts'
import type { Sabotage } from '../sabotage.ts'
import { drawFaults, type NetworkFault, type ProcessFault, strikes } from './faults.ts'
import { mutated } from './mutate.ts'

/** Keeps a seed's faults apart from its plan's chance. */
const SALT = 0x5bd1e995
const SEEN_MAX = 64
/** How often a sender loses what a fault is aimed at: what is sent again gets through in the end, so that all can heal. */
const LOSSES_MAX = 3

/** The faults of a seed, for `simulate`: of the network, and of the plan's one liar. */
export function byzzfuzz({ seed, replicas }: { readonly seed: number; readonly replicas: number }): Sabotage {
  const random = new Random(seed ^ SALT)
  const { network, processes } = drawFaults(random, replicas)
  const losses = new Losses(network)
  return {
    effects: (replica, effects) => effects.map((effect) => losses.apply(replica, effect)),
    liar: (liar) => fuzzed(liar, { random, faults: processes }),
  }
}

class Losses {
  readonly #faults: readonly NetworkFault[]
  /** By fault and sender. */
  readonly #times = new Map<string, number>()

  constructor(faults: readonly NetworkFault[]) {
    this.#faults = faults
  }

  apply(sender: ReplicaId, effect: Effect): Effect {
    if (effect.type !== 'send') return effect
    const struck = this.#faults.filter(
      (fault, index) => strikes(fault, effect.message) && this.#mayLose(index, sender),
    )
    const lost = struck.flatMap(({ to }) => to)
    return lost.length === 0 ? effect : { ...effect, to: effect.to.filter((peer) => !lost.includes(peer)) }
  }

  #mayLose(fault: number, sender: ReplicaId): boolean {
    const key = `${fault}/${sender}`
    const times = (this.#times.get(key) ?? 0) + 1
    this.#times.set(key, times)
    return times <= LOSSES_MAX
  }
}

function fuzzed(
  liar: Liar,
  { random, faults }: { readonly random: Random; readonly faults: readonly ProcessFault[] },
): Adversary {
  const digests: Digest[] = []
  const requests: Request[] = []
  const see = (message: Message) => {
    if (message.type === 'pre-prepare') digests.push(message.header.digest)
    if (message.type === 'request') requests.push(message)
    if (digests.length > SEEN_MAX) digests.shift()
    if (requests.length > SEEN_MAX) requests.shift()
  }
  const parts = faults.map((fault) =>
    apart(
      (peer, message) => fault.to.includes(peer) && strikes(fault, message),
      (message) => mutated(message, fault.mutation, { liar, random, seen: { digests, requests } }),
    ),
  )
  return {
    hears(_, message) {
      see(message)
      return true
    },
    effects(effects) {
      for (const effect of effects) if (effect.type === 'send') see(effect.message)
      return parts.reduce((told, part) => part.effects?.(told) ?? told, effects)
    },
    wire: (_to, _message, packets) => packets,
  }
}
