import { garbageFrom } from '../../../protocol/byzantine/garbage.ts'
import type { Request } from '../../../protocol/messages.ts'
import { type ClientLiar, type ClientPart, instead, moved, pick, type Said, signed } from '../liar.ts'

const REPLAYED_MAX = 256
const REPLAY_CHANCE = 0.3
const GARBAGE_CHANCE = 0.2
/** Of its own numbers: how far back, and how often to the highest that there is, after which that lane is spent. */
const BACK_MAX = 1_000
const JUMP_CHANCE = 0.02

/** [NC5] What comes under an old number is stale, and a lane that jumped to the end executes nothing more. */
export function oldNumbers(liar: ClientLiar): ClientPart {
  const { random } = liar
  return instead((request) => {
    const { client, lane, operations } = request
    const by = random() < JUMP_CHANCE ? Number.MAX_SAFE_INTEGER : -Math.floor(random() * BACK_MAX)
    return [signed(liar, { client, lane, operations, number: moved(request.number, by) }), request]
  })
}

/** [AU3] On its own session, with signatures that hold. */
export function replay({ random, overheard }: ClientLiar): ClientPart {
  const own: Request[] = []
  return {
    tells: (_, messages) => {
      for (const message of messages) {
        if (message.type !== 'request' || own.at(-1)?.digest === message.digest) continue
        if (own.push(message) > REPLAYED_MAX) own.shift()
      }
      return messages
    },
    adds: () => {
      if (random() >= REPLAY_CHANCE) return []
      const said: (Said | undefined)[] = [overheard(), pick(own, random)]
      return said.filter((message) => message !== undefined)
    },
  }
}

/** Beside the truth. */
export const garbage = ({ random }: ClientLiar): ClientPart => ({
  wire: (bytes) => (random() < GARBAGE_CHANCE ? [bytes, garbageFrom(bytes, random)] : [bytes]),
})
