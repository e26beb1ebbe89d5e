import * as v from 'valibot'

/** What a replica says of itself to an admitted client: for `status`, `bench` and the demo. Counts since its start. */
const reportSchema = v.object({
  replica: v.number(),
  pid: v.number(),
  upMs: v.number(),
  /** Entered; and the highest that it sent a VIEW-CHANGE for, which is above it during a view change. */
  view: v.number(),
  highestViewChange: v.number(),
  primary: v.number(),
  lastExecuted: v.number(),
  chain: v.string(),
  lowWaterMark: v.number(),
  /** Replicas that it has a session with. */
  peers: v.array(v.number()),
  /** [D5] It lost its vote log and does not vote yet. */
  isAmnesiac: v.boolean(),
  /** [EV3] Of whom it keeps proof that they lied: what they signed, and the file on its host. */
  accused: v.array(v.object({ replica: v.number(), of: v.string(), file: v.string() })),
  /** [CP4] The state that it fetches; null when it fetches none. */
  transfer: v.nullable(v.object({ seq: v.number() })),
  /** View changes that it took part in, and views that it entered. */
  viewChanges: v.object({ started: v.number(), entered: v.number() }),
  database: v.object({ url: v.string(), connected: v.boolean(), pid: v.nullable(v.number()) }),
  /** Batches by how they were learnt to be committed: votes, proof, words, log. */
  committed: v.record(v.string(), v.number()),
  executed: v.object({ batches: v.number(), operations: v.number() }),
  cpu: v.object({ userMs: v.number(), systemMs: v.number() }),
  memory: v.object({ rssBytes: v.number(), heapUsedBytes: v.number() }),
  /** Messages handed to its channel, by type, once per receiver. */
  sent: v.record(v.string(), v.number()),
  /** Dropped datagrams and refused messages, by reason. */
  counters: v.record(v.string(), v.number()),
})
export type ReplicaReport = v.InferOutput<typeof reportSchema>

/** Undefined when a replica answers something else. */
export function parseReport(text: string): ReplicaReport | undefined {
  try {
    const result = v.safeParse(reportSchema, JSON.parse(text))
    return result.success ? result.output : undefined
  } catch {
    return undefined
  }
}
