import { decodeMessage, encodeMessage, isMalformed } from '../protocol/codec.ts'
import { parseReport, type ReplicaReport } from '../protocol/inspection.ts'
import { isReplica, type ReplicaId, replicaId } from '../protocol/types.ts'
import { openConnection } from './connection.ts'
import type { ClusterFiles } from './files.ts'

/**
 * Each replica's own word about itself, unchecked, for people; those that do not answer within `timeoutMs` are
 * absent. Works without a quorum. Resolves as soon as all have answered.
 */
export async function inspectReplicas(
  files: ClusterFiles,
  { timeoutMs }: { readonly timeoutMs: number },
): Promise<ReadonlyMap<ReplicaId, ReplicaReport>> {
  const reports = new Map<ReplicaId, ReplicaReport>()
  const done = Promise.withResolvers<void>()
  const question = encodeMessage({ type: 'inspect', nonce: 1 })
  const endpoint = await openConnection(files, (events) => {
    for (const event of events) {
      if (event.type === 'session-up') endpoint.send(event.peer, question)
      if (event.type !== 'message' || !isReplica(event.from)) continue
      const message = decodeMessage(event.message)
      if (isMalformed(message) || message.type !== 'inspection') continue
      const report = parseReport(message.report)
      if (report !== undefined) reports.set(replicaId(event.from), report)
      if (reports.size === files.genesis.replicas.length) done.resolve()
    }
  })
  const timer = setTimeout(() => done.resolve(), timeoutMs)
  await done.promise
  clearTimeout(timer)
  await endpoint.close()
  return reports
}
