import { clientAdversaryOf } from '../../../client/byzantine/adversary.ts'
import type { ClientBehaviour } from '../../../client/byzantine/behaviour.ts'
import { LIE_EVERY_MS, signed } from '../../../client/byzantine/liar.ts'
import { clientConfigOf } from '../../../client/context.ts'
import type { ClusterFiles } from '../../../client/files.ts'
import { signerOf } from '../../../protocol/crypto.ts'
import { clientId, lane, type ReplicaId, requestNumber } from '../../../protocol/types.ts'
import { Random } from '../../sim/random.ts'

/** What one admitted client floods replicas with; the last two need no session, so anybody can. */
export const FLOOD_KINDS = {
  requests: 'signed requests, and a fifth reads, on all lanes, waiting for nothing',
  signatures: 'the same with signatures that are bad, on its own session',
  garbage: 'datagrams of 200 random bytes',
  oversize: 'datagrams of 60,000 bytes, longer than any replica takes, a tenth as many',
} as const

export type FloodKind = keyof typeof FLOOD_KINDS

const GARBAGE_BYTES = 200
const OVERSIZE_BYTES = 60_000
/** By bytes it would be more than networks carry. */
const OVERSIZE_SHARE = 10

/** What goes to each replica in one tick of `FLOOD_TICK_MS`. */
export type Flood = {
  /** Messages travel on its session, datagrams as they are. */
  readonly layer: 'message' | 'datagram'
  tick(): readonly ((to: ReplicaId) => readonly Uint8Array[])[]
}

export const FLOOD_TICK_MS = LIE_EVERY_MS

export function floodOf(kind: FloodKind, perSecond: number, files: ClusterFiles): Flood {
  switch (kind) {
    case 'requests':
      return lies([{ name: 'flood', targets: [perSecond] }], files)
    case 'signatures':
      return lies(
        [
          { name: 'flood', targets: [perSecond] },
          { name: 'bad-signature', targets: [] },
        ],
        files,
      )
    case 'garbage':
      return noise(GARBAGE_BYTES, perSecond)
    case 'oversize':
      return noise(OVERSIZE_BYTES, perSecond / OVERSIZE_SHARE)
  }
}

/** The behaviours of a lying client, without an honest one beside them. */
function lies(behaviours: readonly ClientBehaviour[], { genesis, key }: ClusterFiles): Flood {
  const random = new Random(1)
  const signer = signerOf(key.keyPair.secretKey)
  const config = clientConfigOf(genesis, key.id)
  const liar = {
    config,
    sign: (bytes: Uint8Array) => signer.sign(bytes),
    random: () => random.float(),
    accounts: genesis.accounts.map(({ id }) => id),
    others: genesis.clients.map(({ id }) => clientId(id)).filter((id) => id !== key.id),
    overheard: () => undefined,
  }
  const adversary = clientAdversaryOf(behaviours, liar)
  // Its numbers go on from what it is told of: above all that this client used before.
  const number = requestNumber(Date.now() * 1_000)
  adversary.tell(0 as ReplicaId, signed(liar, { client: key.id, lane: lane(0), number, operations: [] }))
  return {
    layer: 'message',
    tick: () => adversary.adds().map((message) => (to: ReplicaId) => adversary.tell(to, message)),
  }
}

function noise(bytes: number, perSecond: number): Flood {
  const random = new Random(1)
  const datagram = Uint8Array.from({ length: bytes }, () => random.int(0, 255))
  let due = 0
  return {
    layer: 'datagram',
    tick: () => {
      due += (perSecond * FLOOD_TICK_MS) / 1_000
      const count = Math.floor(due)
      due -= count
      return Array.from({ length: count }, () => () => [datagram])
    },
  }
}
