import { describe } from '../../../client/format.ts'
import type { Genesis } from '../../../protocol/config.ts'
import type { Request } from '../../../protocol/messages.ts'
import type { PropertyReport } from '../finding.ts'
import { short, Tally } from '../tally.ts'

/**
 * Whatever was executed was signed by its client, or stands in a batch with q COMMITs, each of whose signers found it
 * authentic [AU3].
 */
export class ValidityCheck {
  readonly tally = new Tally('validity')
  readonly #principals: ReadonlySet<number>
  #taken = 0
  #requests = 0

  constructor(genesis: Genesis) {
    this.#principals = new Set([...genesis.replicas, ...genesis.clients].map(({ id }) => id))
  }

  /** `unsigned`: those of the batch's requests whose signature does not hold. */
  onBatch(
    seq: number,
    args: {
      readonly requests: number
      readonly unsigned: readonly Request[]
      readonly isProven: boolean
    },
  ): void {
    this.tally.looked(seq)
    this.#requests += args.requests
    for (const request of args.unsigned) {
      // What no principal of genesis asks is not executed: its outcome is void.
      if (!this.#principals.has(request.client)) continue
      if (args.isProven) this.#taken += 1
      else this.#onUnsigned(seq, request)
    }
  }

  #onUnsigned(seq: number, { client, lane, number, digest, operations }: Request): void {
    this.tally.found({
      what: `seq ${seq}: request ${client}/${lane}/${number} was executed, and client ${client} did not sign it`,
      seq,
      details: [`body ${short(digest)}: ${operations.map(describe).join(', ')}`],
    })
  }

  report(): PropertyReport {
    if (this.#requests > 0) this.tally.note(`${this.#requests} requests`)
    if (this.#taken > 0)
      this.tally.note(
        `${this.#taken} requests are not signed by their clients and stand in batches that q replicas committed [AU3]`,
      )
    return this.tally.report()
  }
}
