import { beforeEach, expect, test } from 'vitest'
import type { Batch, Committed, Status, Vote } from '../../../protocol/messages.ts'
import { type Digest, type LogPosition, requestNumber, type View } from '../../../protocol/types.ts'
import type { Answers } from '../../../replica/core/answers.ts'
import { CatchUp } from '../../../replica/core/catch-up.ts'
import type { Effect } from '../../../replica/core/effect.ts'
import type { ViewFacts } from '../../../replica/core/status.ts'
import { Waiting } from '../../../replica/core/waiting.ts'
import { at, chainAt, id, K, Party } from './state-fixture.ts'

const batchOf = (text: string): Batch => ({ digest: text.padEnd(64, '0') as Digest, requests: [] })
const VOTES: readonly Vote[] = [0, 1, 2].map((replica) => ({
  replica: id(replica),
  signature: new Uint8Array(1),
}))

let party: Party
let catchUp: CatchUp
let views: ViewFacts
let isPending: boolean
let waiting: Waiting
let currentView: number

beforeEach(() => {
  party = new Party(3, { seq: 4 })
  isPending = false
  currentView = 2
  waiting = new Waiting(party.outbox)
  views = {
    get view() {
      return currentView as View
    },
    highestViewChange: 5 as View,
    viewChangesHere: [id(1)],
    get isPending() {
      return isPending
    },
    isVoting: false,
    answer: () => {},
  }
  const { config, outbox, log, execution, checkpoints, source } = party
  const answers = { answer: () => true } as unknown as Answers
  catchUp = new CatchUp({ config, outbox, log, execution, views, checkpoints, answers, source, waiting })
})

const statusFrom = (from: number, lastExecuted: number, servedFrom: number): void => {
  const status: Status = {
    type: 'status',
    view: 0 as View,
    highestViewChange: 0 as View,
    viewChanges: [],
    lowWaterMark: at(0),
    lastExecuted: at(lastExecuted),
    servedFrom: at(servedFrom),
    isAmnesiac: false,
    accepted: new Uint8Array(0),
    prepared: new Uint8Array(0),
    committed: new Uint8Array(0),
    checkpoint: null,
    bodies: null,
    wordsWanted: false,
  }
  catchUp.onStatus(id(from), status, party.outbox.nowMs)
}

const tick = (): Effect[] => {
  party.outbox.nowMs += 100
  catchUp.onTimeout()
  return party.outbox.drain()
}

/** Of the last STATUS among these. */
const asked = (effects: readonly Effect[]): Status['bodies'] => {
  const all = effects.flatMap((e) =>
    e.type === 'send' && e.message.type === 'status' ? [e.message.bodies] : [],
  )
  return all.at(-1) ?? null
}

const committed = (seq: number, batch: Batch, over: Partial<Committed> = {}): Committed => ({
  type: 'committed',
  seq: at(seq),
  digest: batch.digest,
  view: 0 as View,
  commits: VOTES,
  batch,
  last: false,
  ...over,
})

/** `from` brings a batch, whose proof holds or not. */
function bring(from: number, message: Committed, valid = true): Effect[] {
  catchUp.onCommitted(id(from), message)
  const effects = party.outbox.drain()
  for (const effect of effects) {
    if (effect.type === 'verify')
      catchUp.onVerified(
        effect.check,
        effect.claims.map(() => valid),
      )
  }
  return [...effects, ...party.outbox.drain()]
}

test('[CP5] STATUS says where its sender is in views, what its log serves, and whether it votes', () => {
  party.source.onInstalled(at(3))
  catchUp.start()
  const [status] = party.outbox.drain().flatMap((e) => (e.type === 'send' ? [e.message] : []))
  expect(status).toMatchObject({
    type: 'status',
    view: 2,
    highestViewChange: 5,
    viewChanges: [1],
    lastExecuted: 4,
    servedFrom: 3,
    isAmnesiac: true,
  })
})

test('[VC5] while a view change is under way STATUS goes out at every tick', () => {
  isPending = true
  expect([tick(), tick()].map((effects) => effects.filter(({ type }) => type === 'send').length)).toEqual([
    1, 1,
  ])
  isPending = false
  expect(tick().filter(({ type }) => type === 'send')).toEqual([])
})

test('[CP5] bodies are asked of one whose log reaches down to what is missing', () => {
  statusFrom(0, 9, 6)
  statusFrom(1, 9, 4)
  statusFrom(2, 9, 5)
  expect(catchUp.isBehind).toBe(true)
  expect(asked(tick())).toEqual({ source: 1, after: 4 })
  expect(catchUp.isBeyondMessages).toBe(false)
})

test('[CP5] one replica alone does not make this one late', () => {
  statusFrom(0, 1_000, 900)
  for (let ticks = 0; ticks < 5; ticks++) tick()
  expect(catchUp.isBehind).toBe(false)
  expect(catchUp.isBeyondMessages).toBe(false)
})

test('[CP4] state is fetched when f+1 are ahead and no log reaches, for some ticks', () => {
  const seen: boolean[] = []
  for (let ticks = 0; ticks < 4; ticks++) {
    statusFrom(0, 90, 60)
    statusFrom(1, 90, 60)
    tick()
    seen.push(catchUp.isBeyondMessages)
  }
  expect(seen).toEqual([false, false, true, true])
  // One that says it can serve may be a liar that drips; f+1 are not.
  statusFrom(2, 90, 4)
  expect(catchUp.isBeyondMessages).toBe(true)
  statusFrom(1, 90, 4)
  expect(catchUp.isBeyondMessages).toBe(false)
})

test('[CP4] so it is when those who say they can serve bring nothing', () => {
  const givers = new Set<number>()
  for (let ticks = 0; ticks < 30 && !catchUp.isBeyondMessages; ticks++) {
    statusFrom(0, 90, 0)
    statusFrom(1, 90, 0)
    statusFrom(2, 90, 60)
    const bodies = asked(tick())
    if (bodies !== null) givers.add(bodies.source)
  }
  expect(catchUp.isBeyondMessages).toBe(true)
  expect([...givers].sort()).toEqual([0, 1])
})

test('[CP4] a replica that hears nobody any more does not fetch state', () => {
  statusFrom(0, 90, 60)
  statusFrom(1, 90, 60)
  for (let ticks = 0; ticks < 31; ticks++) tick()
  expect(catchUp.isBehind).toBe(false)
  expect(catchUp.isBeyondMessages).toBe(false)
  statusFrom(0, 90, 60)
  statusFrom(1, 90, 60)
  catchUp.onSessionDown(id(0))
  expect(catchUp.isBehind).toBe(false)
})

test('[CP5] a source that brings nothing in a tick is replaced', () => {
  const givers: (number | undefined)[] = []
  for (let ticks = 0; ticks < 3; ticks++) {
    for (const from of [0, 1, 2]) statusFrom(from, 90, 0)
    givers.push(asked(tick())?.source)
  }
  expect(new Set(givers).size).toBe(3)
})

test('[CP5] a source that drips is replaced, although something moves', () => {
  for (const from of [0, 1, 2]) statusFrom(from, 90, 0)
  const first = asked(tick())?.source as number
  let seq = 5
  let next: Status['bodies'] = null
  for (let ticks = 0; ticks < 2; ticks++) {
    bring(first, committed(seq, batchOf(`b${seq}`)))
    seq += 1
    next = asked(tick()) ?? next
  }
  expect(next?.source).not.toBe(first)
  expect(next?.after).toBe(seq - 1)
})

test('[CP5] garbage does not pass for bringing something', () => {
  for (let ticks = 0; ticks < 40 && !catchUp.isBeyondMessages; ticks++) {
    for (const from of [1, 2]) statusFrom(from, 90, 60)
    statusFrom(0, 90, 0)
    tick()
    bring(0, committed(5, batchOf('bad')), false)
  }
  expect(catchUp.isBeyondMessages).toBe(true)
})

test('[NC4] a peer that is late is told how far this replica is, when it says where it stands', () => {
  const late = new Party(3, { seq: 40 })
  const { config, outbox, log, execution, checkpoints, source } = late
  const answers = { answer: () => true } as unknown as Answers
  party = late
  catchUp = new CatchUp({ config, outbox, log, execution, views, checkpoints, answers, source, waiting })
  statusFrom(0, 39, 0)
  expect(outbox.drain()).toEqual([])
  statusFrom(0, 24, 0)
  expect(outbox.drain()).toMatchObject([
    { type: 'send', to: [0], message: { type: 'status', lastExecuted: 40 } },
  ])
})

test('[CP4] while state is fetched no bodies are asked for', () => {
  for (const from of [0, 1, 2]) statusFrom(from, 90, 0)
  party.execution.pause()
  expect(asked(tick())).toBe(null)
})

/** Executes 5 as `digest`, and moves h to it. */
function executeAt5(batch: Batch): void {
  party.log.at(at(5)).committed = { view: 0 as View, digest: batch.digest }
  party.execution.commit(at(5), { batch, at: 0 as LogPosition })
  party.execution.advance()
  party.execution.onExecuted(at(5), chainAt(5))
  catchUp.onExecuted()
  party.log.moveTo(at(5))
  party.outbox.drain()
}

const halts = (effects: readonly Effect[]) =>
  effects.flatMap((e) => (e.type === 'halt' ? [[e.fault.code, e.fault.seq]] : []))

test('[VC6] a proof of another batch stops the replica, also at or below h', () => {
  executeAt5(batchOf('mine'))
  expect(halts(bring(0, committed(5, batchOf('theirs')), false))).toEqual([])
  expect(halts(bring(0, committed(5, batchOf('theirs'))))).toEqual([['conflicting-commit', 5]])
})

test('[VC6] so does the word of f+1; that of one is counted', () => {
  executeAt5(batchOf('mine'))
  const word = { commits: [], batch: null }
  const first = bring(0, committed(5, batchOf('theirs'), word))
  expect(halts(first)).toEqual([])
  expect(first).toMatchObject([{ type: 'observe', what: { kind: 'rejected', code: 'conflicting' } }])
  expect(halts(bring(0, committed(5, batchOf('theirs'), word)))).toEqual([])
  expect(halts(bring(1, committed(5, batchOf('theirs'), word)))).toEqual([['conflicting-commit', 5]])
})

test('[CP5] what is remembered of executed batches is bounded', () => {
  executeAt5(batchOf('mine'))
  for (let seq = 6; seq <= 6 + 4 * K; seq++) {
    party.log.moveTo(at(seq - 1))
    party.log.at(at(seq)).committed = { view: 0 as View, digest: batchOf(`b${seq}`).digest }
    party.execution.reset({ lastExecuted: at(seq), chain: chainAt(seq) })
    catchUp.onExecuted()
  }
  expect(halts(bring(0, committed(5, batchOf('theirs'))))).toEqual([])
  expect(halts(bring(0, committed(3 * K, batchOf('theirs'))))).toEqual([['conflicting-commit', 3 * K]])
})

test('[CP5] a single replica that says it is ahead is asked when nothing moves, and given up when it brings nothing', () => {
  const seen: boolean[] = []
  for (let ticks = 0; ticks < 12; ticks++) {
    statusFrom(0, 90, 0)
    seen.push(asked(tick()) !== null)
  }
  expect(seen).toContain(true)
  expect(seen.slice(-3)).toEqual([false, false, false])
  expect(catchUp.isBehind).toBe(false)
  expect(catchUp.isBeyondMessages).toBe(false)
})

test('[CP5] [NC8] where nothing moves and a request waits STATUS goes out at every tick: it may be this replica that is late', () => {
  tick()
  expect(tick()).not.toContainEqual(expect.objectContaining({ type: 'send' }))
  waiting.add(1, requestNumber(1))
  for (let ticks = 0; ticks < 3; ticks++) {
    expect(tick()).toContainEqual(expect.objectContaining({ type: 'send', to: [0, 1, 2] }))
  }
})

const excuses = (): number => {
  let count = 0
  while (count < 10 && catchUp.excusesPrimary()) count += 1
  return count
}

test('[NC8] who is late excuses the primary, also while its own database keeps it from catching up', () => {
  for (const peer of [0, 1]) statusFrom(peer, 90, 0)
  expect(excuses()).toBe(10)
})

test('[NC8] but only so often in a view while what the others bring proves nothing', () => {
  for (const peer of [0, 1]) statusFrom(peer, 90, 0)
  bring(0, committed(5, batchOf('unproven'), { commits: VOTES.slice(1) }))
  expect(excuses()).toBe(4)
  currentView += 1
  expect(excuses()).toBe(4)
  bring(0, committed(5, batchOf('proven')))
  expect(excuses()).toBe(4)
})

test('[NC8] who is not late does not excuse it', () => {
  statusFrom(0, 90, 0)
  expect(excuses()).toBe(0)
})
