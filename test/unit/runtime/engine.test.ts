import { describe, expect, test } from 'vitest'
import { NULL_BATCH } from '../../../protocol/signing.ts'
import {
  type Digest,
  type LogPosition,
  logPosition,
  replicaId,
  seq,
  type View,
} from '../../../protocol/types.ts'
import type { CheckId, Effect } from '../../../replica/core/effect.ts'
import type { Event } from '../../../replica/core/event.ts'
import type { VoteRecord } from '../../../replica/core/vote-record.ts'
import { Engine, type Ports } from '../../../replica/runtime/engine.ts'

const R1 = replicaId(1)
const R2 = replicaId(2)
const TICK: Event = { type: 'timeout', timer: 'status' }

const batchRecord = (n: number): VoteRecord => ({ kind: 'batch', seq: seq(n), batch: NULL_BATCH })
const NEW_VIEW: VoteRecord = {
  kind: 'new-view',
  message: {
    type: 'new-view',
    view: 1 as View,
    viewChanges: [],
    headers: [],
    digest: 'aa' as Digest,
    body: new Uint8Array(0),
    replica: R1,
    signature: new Uint8Array(0),
  },
  viewChanges: [],
}
const persist = (position: number, record: VoteRecord = batchRecord(position), sync = true): Effect => ({
  type: 'persist',
  position: position as LogPosition,
  record,
  sync,
})
const fetch = (n: number, after?: number): Effect => ({
  type: 'send',
  to: [R1, R2],
  message: { type: 'fetch-checkpoint', above: seq(n) },
  ...(after === undefined ? {} : { after: after as LogPosition }),
})
const verify = (check: number): Effect => ({ type: 'verify', check: check as CheckId, claims: [] })
const HALT: Effect = { type: 'halt', fault: { code: 'diverged', seq: seq(1), detail: 'scripted' } }

/** An engine around a core that answers event after event with what the script says, and what it did to its ports. */
function engineOf(
  script: readonly (readonly Effect[])[],
  changed: (say: Say) => Partial<Ports> = () => ({}),
) {
  const done: string[] = []
  const say: Say = (what) => {
    done.push(what)
  }
  const steps = [...script]
  const core = {
    step: (event: Event) => {
      say(`step ${event.type}`)
      return steps.shift() ?? []
    },
  }
  const ports: Ports = {
    log: {
      append: (position, record) => say(`append ${position} ${record.kind}`),
      flush: () => say('flush'),
    },
    send: (to, message) => say(`send ${to.join(',')} ${'above' in message ? message.above : message.type}`),
    verify: (claims) => claims.map(() => true),
    execute: ({ seq: at }) => say(`execute ${at}`),
    readState: ({ nonce }) => say(`read ${nonce}`),
    readCommitted: ({ after }) => say(`read-committed ${after}`),
    state: ({ type }) => say(type),
    collectGarbage: (upTo) => say(`collect ${upTo}`),
    keepEvidence: ({ accused }) => say(`keep-evidence ${accused}`),
    setTimer: (timer, ms) => say(`set ${timer} ${ms}`),
    stopTimer: (timer) => say(`stop ${timer}`),
    observe: (what) => say(`observe ${what.kind}`),
    halt: ({ code }) => say(`halt ${code}`),
    nowMs: () => 0,
    ...changed(say),
  }
  const engine = new Engine(core, ports)
  /** What was done since the last time. */
  const since = () => done.splice(0)
  return { engine, since, say }
}
type Say = (what: string) => void

describe('[D1] durable before visible', () => {
  test('what depends on a record waits for it; the rest does not', () => {
    const { engine, since } = engineOf([[persist(1), fetch(7, 1), fetch(8)]])
    engine.dispatch([TICK])
    expect(since()).toEqual(['step timeout', 'append 1 batch', 'send 1,2 8', 'flush'])
    engine.onPersisted(logPosition(1))
    expect(since()).toEqual(['send 1,2 7', 'step persisted', 'flush'])
  })

  test('each waits for its own', () => {
    const { engine, since } = engineOf([[persist(1), fetch(7, 1), persist(2), fetch(8, 2), fetch(9, 1)]])
    engine.dispatch([TICK])
    since()
    engine.onPersisted(logPosition(1))
    expect(since().filter((what) => what.startsWith('send'))).toEqual(['send 1,2 7', 'send 1,2 9'])
    engine.onPersisted(logPosition(3))
    expect(since().filter((what) => what.startsWith('send'))).toEqual(['send 1,2 8'])
  })

  test('what is durable already holds nothing back', () => {
    const { engine, since } = engineOf([[persist(1)], [], [fetch(7, 1)]])
    engine.dispatch([TICK])
    engine.onPersisted(logPosition(1))
    since()
    engine.dispatch([TICK])
    expect(since()).toEqual(['step timeout', 'send 1,2 7', 'flush'])
  })

  test('the events of a turn share one flush, after all they wrote', () => {
    const { engine, since } = engineOf([[persist(1)], [persist(2)]])
    engine.dispatch([TICK, TICK])
    expect(since()).toEqual(['step timeout', 'append 1 batch', 'step timeout', 'append 2 batch', 'flush'])
  })
})

describe('order', () => {
  test('[style] a check is answered behind its step and before the next event', () => {
    const { engine, since } = engineOf([[verify(1), persist(1)], [fetch(7)], [fetch(8)]])
    engine.dispatch([TICK, TICK])
    expect(since()).toEqual([
      'step timeout',
      'append 1 batch',
      'step verified',
      'send 1,2 7',
      'step timeout',
      'send 1,2 8',
      'flush',
    ])
  })

  test('what a port dispatches comes behind the step that called it, and shares its flush', () => {
    const { engine, since } = engineOf([[persist(1), { type: 'take-checkpoint' }, persist(2)]], (say) => ({
      state: ({ type }) => {
        say(type)
        engine.dispatch([{ type: 'checkpoints-lost' }])
      },
    }))
    engine.dispatch([TICK])
    expect(since()).toEqual([
      'step timeout',
      'append 1 batch',
      'take-checkpoint',
      'append 2 batch',
      'step checkpoints-lost',
      'flush',
    ])
  })

  test('every effect has its port', () => {
    const { engine, since } = engineOf([
      [
        { type: 'execute', seq: seq(3), batch: NULL_BATCH },
        { type: 'read-state', to: R1, nonce: 4, accounts: [], atLeast: seq(1) },
        { type: 'read-committed', reader: R1, after: seq(5), upTo: seq(9), bytesMax: 1 },
        { type: 'take-checkpoint' },
        { type: 'keep-checkpoints', seqs: [] },
        { type: 'install-transfer' },
        { type: 'cancel-transfer' },
        { type: 'collect-garbage', upTo: seq(6) },
        { type: 'set-timer', timer: 'view-change', ms: 500 },
        { type: 'set-timer', timer: 'status', ms: 100 },
        { type: 'stop-timer', timer: 'view-change' },
        { type: 'observe', what: { kind: 'stable', seq: seq(8) } },
      ],
    ])
    engine.dispatch([TICK])
    expect(since()).toEqual([
      'step timeout',
      'execute 3',
      'read 4',
      'read-committed 5',
      'take-checkpoint',
      'keep-checkpoints',
      'install-transfer',
      'cancel-transfer',
      'collect 6',
      'set view-change 500',
      'set status 100',
      'stop view-change',
      'observe stable',
      'flush',
    ])
  })

  test('an adversary sees a step’s effects before they are performed', () => {
    const { engine, since } = engineOf([[persist(1), fetch(7)]], () => ({
      alter: (effects) => effects.filter(({ type }) => type !== 'send'),
    }))
    engine.dispatch([TICK])
    expect(since()).toEqual(['step timeout', 'append 1 batch', 'flush'])
  })
})

describe('[D4] a halt', () => {
  test('ends everything: nothing behind it is written, said or stepped', () => {
    const { engine, since } = engineOf([[persist(1), HALT, fetch(7), persist(2)], [fetch(8)]])
    engine.dispatch([TICK, TICK])
    expect(since()).toEqual(['step timeout', 'append 1 batch', 'halt diverged'])
    engine.dispatch([TICK])
    expect(since()).toEqual([])
  })

  test('keeps back what was waiting for the disk', () => {
    const { engine, since } = engineOf([[persist(1), fetch(7, 1)], [HALT]])
    engine.dispatch([TICK, TICK])
    since()
    engine.onPersisted(logPosition(1))
    expect(since()).toEqual([])
  })

  test('what the core throws comes out, and nothing is performed', () => {
    const core = {
      step: () => {
        throw new Error('an invariant')
      },
    }
    const engine = new Engine(core, { ...portsThatFail(), nowMs: () => 0 })
    expect(() => engine.dispatch([TICK])).toThrow('an invariant')
    engine.stop()
    engine.dispatch([TICK])
  })
})

/** None of them may be called. */
function portsThatFail(): Ports {
  const fail = () => {
    throw new Error('performed')
  }
  return {
    log: { append: fail, flush: fail },
    send: fail,
    verify: fail,
    execute: fail,
    readState: fail,
    readCommitted: fail,
    state: fail,
    collectGarbage: fail,
    keepEvidence: fail,
    setTimer: fail,
    stopTimer: fail,
    observe: fail,
    halt: fail,
    nowMs: fail,
  }
}

describe('[D1] failpoints', () => {
  test('stand before and after what they name', () => {
    const { engine, since } = engineOf([[persist(1, NEW_VIEW), fetch(7, 1)]], (say) => ({ failpoint: say }))
    engine.dispatch([TICK])
    expect(since()).toEqual([
      'step timeout',
      'before-new-view',
      'before-persist-new-view',
      'append 1 new-view',
      'after-persist-new-view',
      'after-new-view',
      'before-sync',
      'flush',
    ])
    engine.onPersisted(logPosition(1))
    expect(since()).toEqual([
      'after-sync',
      'before-send-fetch-checkpoint',
      'send 1,2 7',
      'after-send-fetch-checkpoint',
      'step persisted',
      'flush',
    ])
  })

  test('no sync is named where nothing waits for one', () => {
    const { engine, since } = engineOf([[persist(1, batchRecord(1), false)]], (say) => ({ failpoint: say }))
    engine.dispatch([TICK])
    expect(since()).not.toContain('before-sync')
  })

  test.each([
    ['before-persist-batch', ['step timeout']],
    ['after-persist-batch', ['step timeout', 'append 1 batch']],
    ['before-send-fetch-checkpoint', ['step timeout', 'append 1 batch']],
    ['after-send-fetch-checkpoint', ['step timeout', 'append 1 batch', 'send 1,2 7']],
    ['before-sync', ['step timeout', 'append 1 batch', 'send 1,2 7', 'append 2 batch']],
  ])('a process that stops at %s does nothing more', (point, done) => {
    const { engine, since } = engineOf([[persist(1), fetch(7), persist(2)]], () => ({
      failpoint: (passed) => {
        if (passed === point) engine.stop()
      },
    }))
    engine.dispatch([TICK])
    expect(since()).toEqual(done)
  })
})
