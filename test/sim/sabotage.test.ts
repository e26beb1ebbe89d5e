import { expect, test } from 'vitest'
import {
  campaign,
  type Sabotage,
  type SimOptions,
  type SimReport,
  type ViolationKind,
} from '../../chaos/sim/simulate.ts'
import { digestOf } from '../../protocol/crypto.ts'
import type { Message, Request } from '../../protocol/messages.ts'
import type { ReadValue } from '../../protocol/operations.ts'
import { requestNumber } from '../../protocol/types.ts'
import type { Effect } from '../../replica/core/effect.ts'
import { seqOfRecord } from '../../replica/core/vote-record.ts'

/** The first seed of a few that catches a cluster in which every replica has the bug. */
function firstCaught(
  sabotage: () => Sabotage,
  { faults = ['crash', 'power'], runs = 12 }: Pick<SimOptions, 'faults'> & { readonly runs?: number } = {},
): SimReport | undefined {
  for (let seed = 1; seed <= runs; seed++) {
    const reports = campaign({
      fromSeed: seed,
      runs: 1,
      clients: 4,
      requests: 60,
      faults,
      sabotage: sabotage(),
    })
    for (const report of reports) if (report.failure !== null) return report
  }
  return undefined
}

const caught = (report: SimReport | undefined): ViolationKind | undefined => report?.failure?.kind

test('[D1] sends that do not wait for their record are caught', () => {
  const withoutAfter = (effect: Effect): Effect =>
    effect.type === 'send' ? { type: 'send', to: effect.to, message: effect.message } : effect
  const report = firstCaught(() => ({ effects: (_, effects) => effects.map(withoutAfter) }), {
    faults: 'none',
  })
  expect(caught(report)).toBe('not-durable')
})

test('[D1] a PREPARE that goes out before its record is handed to the log is caught', () => {
  const isPrepare = (effect: Effect) => effect.type === 'send' && effect.message.type === 'prepare'
  const early = (effects: readonly Effect[]): Effect[] => [
    ...effects.flatMap((effect) =>
      effect.type === 'send' && isPrepare(effect)
        ? [{ type: 'send' as const, to: effect.to, message: effect.message }]
        : [],
    ),
    ...effects.filter((effect) => !isPrepare(effect)),
  ]
  expect(caught(firstCaught(() => ({ effects: (_, effects) => early(effects) }), { faults: 'none' }))).toBe(
    'not-durable',
  )
})

test('[D1] a primary that forgets the end of its log and uses a number again is caught', () => {
  const report = firstCaught(() => ({
    recovered(replica, votes) {
      if (replica !== 0) return votes
      const proposed = votes.filter(({ kind }) => kind === 'pre-prepare').map(seqOfRecord)
      const last = Math.max(0, ...proposed)
      return votes.filter((record) => seqOfRecord(record) !== last || record.kind === 'stable')
    },
  }))
  expect(caught(report)).toBe('promise-broken')
})

test('[NC5] a database that executes a repeated request again is caught', () => {
  // Every request is executed once more under a number of its own, and reported under the old one.
  const twice = (request: Request): Request[] => [request, { ...request, number: requestNumber(2 ** 52) }]
  const report = firstCaught(
    () => ({
      execute: (_, run, perform) => {
        const doubled = run.map(({ seq, batch }) => ({
          seq,
          batch: { ...batch, requests: batch.requests.flatMap(twice) },
        }))
        return perform(doubled).map(({ seq, chain, lanes, incarnations }) => {
          const [first] = lanes
          return {
            seq,
            chain,
            incarnations,
            lanes: first === undefined ? [] : lanes.map((entry) => ({ ...entry, number: first.number })),
          }
        })
      },
    }),
    { faults: 'none' },
  )
  expect(caught(report)).toBe('executed-twice')
})

test('[NC9] one replica that executes another batch is caught', () => {
  const report = firstCaught(
    () => ({
      execute: (replica, run, perform) =>
        perform(
          run.map(({ seq, batch }) => {
            const digest = replica === 2 && seq % 5 === 0 ? digestOf(Buffer.from('another')) : batch.digest
            return { seq, batch: { ...batch, digest } }
          }),
        ),
    }),
    { faults: 'none' },
  )
  expect(caught(report)).toBe('agreement')
})

test('[NC3] a primary that proposes two batches for one number is caught', () => {
  const lying = (effects: readonly Effect[]): Effect[] =>
    effects.flatMap((effect) => {
      if (effect.type !== 'send' || effect.message.type !== 'pre-prepare') return [effect]
      const { header } = effect.message
      const other = { ...effect.message, header: { ...header, digest: digestOf(Buffer.from('another')) } }
      return [effect, { ...effect, message: other }]
    })
  const report = firstCaught(
    () => ({ effects: (replica, effects) => (replica === 0 ? lying(effects) : effects) }),
    { faults: 'none' },
  )
  expect(caught(report)).toBe('promise-broken')
})

test('[CP5] [CP4] a cluster that serves neither batches nor states is caught: what was missed never comes', () => {
  const mute = (effects: readonly Effect[]): Effect[] =>
    effects.filter(({ type }) => type !== 'read-committed' && type !== 'read-partitions')
  const report = firstCaught(() => ({ effects: (_, effects) => mute(effects) }), { faults: ['absence'] })
  expect(['stuck', 'not-equal']).toContain(caught(report))
})

test('[NC7] reads that all replicas answer from an old state are caught', () => {
  const report = firstCaught(
    () => {
      const first = new Map<string, ReadValue>()
      const remembered = (value: ReadValue): ReadValue => {
        if (!first.has(value.account)) first.set(value.account, value)
        return first.get(value.account) ?? value
      }
      return { read: (_, values) => values.map(remembered) }
    },
    { faults: 'none' },
  )
  expect(caught(report)).toBe('stale-read')
})

test('[D1] a disk whose fsync lies is caught after a power cut', () => {
  // Either the log itself says that what is missing was on the disk, or what was said shows it.
  const report = firstCaught(() => ({ fsyncLies: true }), { faults: ['power'] })
  expect(['log-lost', 'not-durable']).toContain(caught(report))
})

test('[VC1] VIEW-CHANGEs that leave out what was prepared are caught', () => {
  const forgetful = (effects: readonly Effect[]): Effect[] =>
    effects.map((effect) => {
      if (effect.type === 'persist' && effect.record.kind === 'view-change') {
        const record = { ...effect.record, message: { ...effect.record.message, prepared: [] } }
        return { ...effect, record }
      }
      if (effect.type !== 'send' || effect.message.type !== 'view-change') return effect
      return { ...effect, message: { ...effect.message, prepared: [] } }
    })
  const report = firstCaught(() => ({ effects: (_, effects) => forgetful(effects) }), {
    faults: ['absence', 'crash', 'lonely-primary'],
  })
  expect(['promise-broken', 'new-view']).toContain(caught(report))
})

test('[VC3] a replica that goes on voting in a view that it gave up is caught', () => {
  /** What each replica last sent in the order, said again behind its VIEW-CHANGE. */
  const last = new Map<number, Message>()
  const stubborn = (replica: number, effects: readonly Effect[]): Effect[] =>
    effects.flatMap((effect): readonly Effect[] => {
      if (effect.type !== 'send') return [effect]
      if (effect.message.type === 'commit') last.set(replica, effect.message)
      const message = last.get(replica)
      if (effect.message.type !== 'view-change' || message === undefined) return [effect]
      return [effect, { ...effect, message }]
    })
  const report = firstCaught(
    () => {
      last.clear()
      return { effects: (replica, effects) => stubborn(replica, effects) }
    },
    { faults: ['absence'], runs: 30 },
  )
  expect(caught(report)).toBe('promise-broken')
})

test('[D5] a replica that votes again as soon as it has lost its log is caught', () => {
  const report = firstCaught(
    () => ({ recovered: (_, votes) => votes.filter(({ kind }) => kind !== 'amnesia') }),
    { faults: ['lost-log'], runs: 30 },
  )
  expect(caught(report)).toBe('promise-broken')
})
