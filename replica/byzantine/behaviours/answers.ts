import { encodeMessage } from '../../../protocol/codec.ts'
import type { Reply } from '../../../protocol/messages.ts'
import type { RequestNumber } from '../../../protocol/types.ts'
import { instead, type Liar, type Part } from '../liar.ts'

/** [NC6] Another result, or that there is none. */
export const lyingReplies = ({ random }: Liar): Part =>
  instead((message) =>
    message.type === 'reply' ? [{ ...message, outcome: lieAbout(message, random()) }] : [message],
  )

function lieAbout({ outcome, number }: Reply, chance: number): Reply['outcome'] {
  if (chance < 0.2) return { kind: 'number-reused' }
  if (chance < 0.4) return { kind: 'superseded', entryNumber: (number + 1) as RequestNumber }
  const result = outcome.kind === 'executed' ? outcome.result : new Uint8Array(8)
  return { kind: 'executed', result: result.map((byte, at) => (at === result.length - 1 ? byte ^ 1 : byte)) }
}

/** [NC7] */
export const lyingReads = (): Part => ({
  wire: (_, message, packets) => {
    if (message.type !== 'read-reply') return packets
    const values = message.values.map((value) => ({ ...value, balance: (value.balance ?? 0n) + 1n }))
    const bytes = encodeMessage({ ...message, values })
    return packets.map((packet) => ({ ...packet, bytes }))
  },
})
