import { type ClientError, IndeterminateError, NoQuorumError } from '../../client/errors.ts'
import type { OperationResult } from '../../protocol/operations.ts'
import { quorumOf } from '../../protocol/quorum.ts'
import type { Told } from './outcome.ts'
import { REPLICAS } from './scenario.ts'

/** A transfer's result. */
export function toldOf(result: OperationResult | undefined): Exclude<Told, { kind: 'unanswered' }> {
  switch (result?.kind) {
    case 'transferred': {
      const { id, debitBalance, creditBalance } = result
      return { kind: 'executed', seq: id.seq, fromBalance: debitBalance, toBalance: creditBalance }
    }
    case 'refused':
      return { kind: 'refused', code: result.code, detail: result.detail }
    default:
      throw new Error(`a quorum answered a transfer with ${result?.kind ?? 'nothing'}`)
  }
}

/** What an error tells the client that meets it. */
export function failedBy(error: ClientError): Told {
  if (error instanceof IndeterminateError) {
    return { kind: 'unanswered', request: { ...error.request, ...error.slice } }
  }
  return { kind: 'not-executed', why: whyOf(error) }
}

function whyOf(error: ClientError): string {
  if (!(error instanceof NoQuorumError)) return error.message.replace(/^not executed, /, '')
  const { quorum } = quorumOf(REPLICAS)
  return `nothing was sent: no quorum, ${error.answered.length} of ${REPLICAS} replicas answered and ${quorum} are needed`
}
