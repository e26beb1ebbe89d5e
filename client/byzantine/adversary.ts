import { encodeMessage } from '../../protocol/codec.ts'
import { assertNever, type ReplicaId } from '../../protocol/types.ts'
import type { ClientBehaviour } from './behaviour.ts'
import { garbage, oldNumbers, replay } from './behaviours/again.ts'
import { differentRequests, impersonate, otherAccounts, twoBodies } from './behaviours/bodies.ts'
import { flood, oversize, writeAsRead } from './behaviours/excess.ts'
import { badMacs, badSignature } from './behaviours/signatures.ts'
import type { ClientLiar, ClientPart, Said } from './liar.ts'

/** What a lying client makes of what its honest core sends. The core knows nothing of it. */
export type ClientAdversary = {
  /** Messages, encoded, that leave for `to` in place of `message`. */
  tell(to: ReplicaId, message: Said): readonly Uint8Array[]
  /** What it says of its own, to all replicas: asked for once in LIE_EVERY_MS, and then told like anything else. */
  adds(): readonly Said[]
}

/** One liar with all of `behaviours` at once: each is told what the one before it made of the truth. */
export function clientAdversaryOf(behaviours: readonly ClientBehaviour[], liar: ClientLiar): ClientAdversary {
  const parts = behaviours.map((behaviour) => partOf(behaviour, liar))
  return {
    tell: (to, message) =>
      parts
        .reduce<readonly Said[]>((said, part) => part.tells?.(to, said) ?? said, [message])
        .flatMap((said) =>
          parts.reduce<readonly Uint8Array[]>(
            (packets, part) => packets.flatMap((bytes) => part.wire?.(bytes) ?? [bytes]),
            [encodeMessage(said)],
          ),
        ),
    adds: () => parts.flatMap((part) => part.adds?.() ?? []),
  }
}

function partOf({ name, targets }: ClientBehaviour, liar: ClientLiar): ClientPart {
  switch (name) {
    case 'different-requests':
      return differentRequests(liar)
    case 'two-bodies':
      return twoBodies(liar)
    case 'bad-signature':
      return badSignature(targets)
    case 'bad-macs':
      return badMacs(liar)
    case 'flood':
      return flood(targets, liar)
    case 'oversize':
      return oversize(liar)
    case 'write-as-read':
      return writeAsRead(liar)
    case 'other-accounts':
      return otherAccounts(liar)
    case 'impersonate':
      return impersonate(liar)
    case 'old-numbers':
      return oldNumbers(liar)
    case 'replay':
      return replay(liar)
    case 'garbage':
      return garbage(liar)
    default:
      return assertNever(name)
  }
}
