import type { Request } from '../../../protocol/messages.ts'
import { type ClientLiar, type ClientPart, instead, spoiled } from '../liar.ts'

const MAC_BYTES = 32

/** [AU3] */
export const badSignature = (targets: readonly number[]): ClientPart =>
  instead((request, to) => [
    targets.length === 0 || targets.includes(to)
      ? { ...request, signature: spoiled(request.signature) }
      : request,
  ])

/**
 * [AU4] The envelope has room for an authenticator for each replica, which nobody trusts: whatever stands there, the
 * signature decides. Now and then the signature holds, so that the room is all that is wrong.
 */
export const badMacs = ({ config, random }: ClientLiar): ClientPart =>
  instead((request) => {
    const counts = [1, config.replicas - 1, config.replicas, config.replicas + 1]
    const macs = Array.from({ length: counts[Math.floor(random() * counts.length)] ?? 0 }, () =>
      Uint8Array.from({ length: MAC_BYTES }, () => Math.floor(random() * 256)),
    )
    const told: Request = { ...request, macs }
    return [random() < 0.2 ? told : { ...told, signature: spoiled(request.signature) }]
  })
