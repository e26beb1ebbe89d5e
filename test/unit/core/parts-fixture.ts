import type { Batch, PreparedCertificate, ViewChange } from '../../../protocol/messages.ts'
import { batchOf } from '../../../protocol/signing.ts'
import {
  type LogPosition,
  type ReplicaId,
  replicaId,
  type Seq,
  seq,
  view,
  ZERO_DIGEST,
} from '../../../protocol/types.ts'
import { Allowances } from '../../../replica/core/allowance.ts'
import { ClientTable } from '../../../replica/core/client-table.ts'
import { type CoreConfig, primaryOf } from '../../../replica/core/config.ts'
import type { Effect, Observation } from '../../../replica/core/effect.ts'
import { Execution } from '../../../replica/core/execution.ts'
import { SlotLog } from '../../../replica/core/log.ts'
import { NormalCase } from '../../../replica/core/normal-case.ts'
import { Outbox } from '../../../replica/core/outbox.ts'
import { PrimaryWatch } from '../../../replica/core/primary-watch.ts'
import { ViewTimer } from '../../../replica/core/view-timer.ts'
import { Waiting } from '../../../replica/core/waiting.ts'
import { transfer } from '../../paper/fixture.ts'
import { configOf, cryptoOf, DEFAULT_SHAPE, genesisOf, sign } from '../../scenarios/parties.ts'

/** What single parts of a core are given and say. */

export const EMPTY = new Uint8Array(0)

export function configFor(
  self: number,
  shape: { readonly n?: number; readonly k?: number } = {},
): CoreConfig {
  const whole = { ...DEFAULT_SHAPE, k: 8, ...shape }
  return configOf(whole, genesisOf(whole), self)
}

export const effectsOf = <T extends Effect['type']>(
  effects: readonly Effect[],
  type: T,
): Extract<Effect, { type: T }>[] =>
  effects.filter((effect): effect is Extract<Effect, { type: T }> => effect.type === type)

export const rejectionsIn = (effects: readonly Effect[]): string[] =>
  effectsOf(effects, 'observe').flatMap(({ what }) => (what.kind === 'rejected' ? [what.code] : []))

export const observedIn = (effects: readonly Effect[], kind: Observation['kind']): Observation[] =>
  effectsOf(effects, 'observe').flatMap(({ what }) => (what.kind === kind ? [what] : []))

/** Everything that was handed to the disk is on it. */
export function persistAll(outbox: Outbox): Effect[] {
  const effects = outbox.drain()
  const last = effectsOf(effects, 'persist').at(-1)
  if (last !== undefined) outbox.durable = last.position
  return effects
}

/** The normal case of one replica, in view 0 at first. */
export function orderingParts(self: number, shape: { readonly k?: number } = {}) {
  const config = configFor(self, shape)
  const outbox = new Outbox()
  const log = new SlotLog(seq(0), config.logWindow)
  const table = new ClientTable(new Waiting(outbox))
  const execution = new Execution({
    config,
    outbox,
    executed: { lastExecuted: seq(0), chain: ZERO_DIGEST },
    committedInLog: seq(0),
  })
  const timer = new ViewTimer({ config, outbox })
  const watch = new PrimaryWatch({ config, outbox })
  const crypto = cryptoOf(replicaId(self))
  const allowances = new Allowances(outbox)
  const parts = { config, crypto, outbox, log, table, execution, timer, watch, allowances }
  const normalCase = new NormalCase({ ...parts, view: view(0), orderedUpTo: seq(0), mayVote: true })
  return { ...parts, normalCase }
}

/** Batch `number` of one transfer. */
export const batchAt = (number: number): Batch => batchOf([transfer(number)])

/** Enters `v` with a NEW-VIEW that puts these batches at 1 and up. */
export function enterView(
  { normalCase, config }: Pick<ReturnType<typeof orderingParts>, 'normalCase' | 'config'>,
  v: number,
  batches: readonly Batch[],
): void {
  const signer = primaryOf(view(v), config.quorum)
  const headers = batches.map(({ digest }, index) => {
    const header = { view: view(v), seq: seq(index + 1), digest }
    const statement = { type: 'pre-prepare' as const, view: v, seq: index + 1, signer, digests: [digest] }
    return { ...header, signature: sign(statement) }
  })
  normalCase.enterView({ view: view(v), headers, upTo: seq(batches.length), at: 0 as LogPosition })
}

/** A well-formed certificate of q-1 backups. */
export function certificateOf(
  { digest }: Batch,
  { n, v, quorum }: { readonly n: number; readonly v: number; readonly quorum: CoreConfig['quorum'] },
): PreparedCertificate {
  const primary = primaryOf(view(v), quorum)
  const backups = Array.from({ length: quorum.n }, (_, id) => id).filter((id) => id !== primary)
  return {
    header: { view: view(v), seq: seq(n), digest, signature: EMPTY },
    prepares: backups.slice(0, quorum.quorum - 1).map((id) => ({ replica: replicaId(id), signature: EMPTY })),
  }
}

export const viewChangeWith = (
  replica: number,
  newView: number,
  prepared: readonly PreparedCertificate[],
): ViewChange => ({
  type: 'view-change',
  newView: view(newView),
  lowWaterMark: 0 as Seq,
  incarnation: 0,
  checkpoints: [],
  prepared,
  digest: ZERO_DIGEST,
  body: EMPTY,
  replica: replica as ReplicaId,
  signature: EMPTY,
})
