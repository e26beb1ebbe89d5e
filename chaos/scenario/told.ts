import type { OperationResult } from '../../protocol/operations.ts'
import type { Told } from './outcome.ts'

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
