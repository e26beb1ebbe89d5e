import type { Batch, Request } from '../../protocol/messages.ts'
import { isReplica, type Lane } from '../../protocol/types.ts'
import type { CoreConfig } from './config.ts'
import type { Claim, RejectionCode } from './effect.ts'

/** [D5] A replica has this one. */
export const RECOVER_LANE = 0 as Lane

/** [AU3] What a client is said to have signed. */
export const requestClaim = (request: Request): Claim => ({
  statement: { type: 'request', view: 0, seq: 0, signer: request.client, digests: [request.digest] },
  signature: request.signature,
})

/** The very same, signature included: what verified of one holds of the other. */
export const isSameRequest = (one: Request, other: Request): boolean =>
  one.digest === other.digest && Buffer.compare(one.signature, other.signature) === 0

/** What no correct principal sends; the same verdict at every replica, since it comes from genesis alone. */
export function requestRefusal(request: Request, config: CoreConfig): RejectionCode | null {
  // One authenticator for each replica is all there can be.
  if (request.macs.length > config.quorum.n) return 'out-of-bounds'
  if (isReplica(request.client)) return recoverRefusal(request, config)
  if (!config.isAdmitted(request.client)) return 'not-admitted'
  if (request.lane >= config.lanesPerClientMax) return 'out-of-bounds'
  if (request.operations.length > config.requestOperationsMax) return 'out-of-bounds'
  return request.body.length > config.requestBytesMax ? 'out-of-bounds' : null
}

/** [D5] A replica asks for one thing only, on one lane. */
function recoverRefusal({ client, lane, operations }: Request, { quorum }: CoreConfig): RejectionCode | null {
  if (client >= quorum.n) return 'not-admitted'
  const [operation, ...more] = operations
  return lane === RECOVER_LANE && more.length === 0 && operation?.kind === 'recover' ? null : 'not-admitted'
}

/** [NC3] The bounds of genesis on a whole batch. */
export function batchRefusal({ requests }: Batch, config: CoreConfig): RejectionCode | null {
  let operations = 0
  let bytes = 0
  for (const request of requests) {
    const refusal = requestRefusal(request, config)
    if (refusal !== null) return refusal
    operations += request.operations.length
    bytes += request.body.length
  }
  const { batchOperationsMax, batchBytesMax } = config
  // A single request may be as large as a request may be.
  if (requests.length > 1 && (operations > batchOperationsMax || bytes > batchBytesMax))
    return 'out-of-bounds'
  return null
}

/** [NC10] There may have been no room for one more request. */
export function isFull({ requests }: Batch, config: CoreConfig): boolean {
  let operations = config.requestOperationsMax
  let bytes = config.requestBytesMax
  for (const request of requests) {
    operations += request.operations.length
    bytes += request.body.length
  }
  return operations > config.batchOperationsMax || bytes > config.batchBytesMax
}
