import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { decodeMessage, isMalformed } from '../../../protocol/codec.ts'
import type { Request } from '../../../protocol/messages.ts'
import { type Digest, logPosition, type PrincipalId, seq } from '../../../protocol/types.ts'
import { ReplicaCore } from '../../../replica/core/core.ts'
import type { DatabaseState, Event } from '../../../replica/core/event.ts'
import { Engine, type Ports } from '../../../replica/runtime/engine.ts'
import {
  CLIENTS,
  configOf,
  crypto,
  DEFAULT_SHAPE,
  genesisOf,
  isSigned,
  requestOf,
  STATUS_BUSY_MS,
} from '../../scenarios/parties.ts'

const GENESIS = genesisOf(DEFAULT_SHAPE)
const EMPTY: DatabaseState = {
  lastExecuted: seq(0),
  chain: GENESIS.digest,
  batchDigest: null,
  checkpoint: null,
  lanes: [],
}

/** An engine around the core of r0, the primary, and what it did to its ports, in order. */
function engineOf(database: DatabaseState = EMPTY) {
  const done: string[] = []
  const say = (what: string) => {
    done.push(what)
  }
  const ports: Ports = {
    log: {
      append: (position, record) => say(`append ${position} ${record.kind}`),
      flush: () => say('flush'),
    },
    send: (to: PrincipalId, bytes: Uint8Array) => {
      const message = decodeMessage(bytes)
      say(`send ${to} ${isMalformed(message) ? 'malformed' : message.type}`)
    },
    verify: (claims) => {
      say(`verify ${claims.length}`)
      return claims.map(isSigned)
    },
    execute: ({ seq: at }) => say(`execute ${at}`),
    readState: ({ nonce }) => say(`read ${nonce}`),
    readCommitted: ({ after }) => say(`read-committed ${after}`),
    observe: (what) => say(`observe ${what.kind}`),
    halt: ({ code }) => say(`halt ${code}`),
    onTimeout: (timer) => {
      say(`timeout ${timer}`)
      engine.dispatch([{ type: 'timeout', timer }])
    },
    nowMs: () => 0,
  }
  const config = configOf(DEFAULT_SHAPE, GENESIS, 0)
  const core = ReplicaCore.recover({ config, crypto, votes: [], database })
  const engine: Engine = new Engine(core, ports)
  /** What was done since the last time. */
  const since = () => done.splice(0)
  return { engine, since }
}

const request = (number: number, lane = 0): Request =>
  requestOf({ client: CLIENTS.alice, lane, number, operations: [{ kind: 'balance', account: 'a' }] })
const received = (message: Request): Event => ({ type: 'message', from: message.client, message })

const CONTRADICTED: DatabaseState = { ...EMPTY, chain: 'ee'.repeat(32) as Digest }

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

describe('[D1] durable before visible', () => {
  test('what depends on a record waits for it; the rest does not', () => {
    const { engine, since } = engineOf()
    engine.dispatch([received(request(1))])
    expect(since()).toEqual([
      'verify 1',
      'observe proposed',
      'append 1 pre-prepare',
      'observe accepted',
      'flush',
    ])
    engine.onPersisted(logPosition(1))
    expect(since()).toEqual(['send 1 pre-prepare', 'send 2 pre-prepare', 'send 3 pre-prepare', 'flush'])
  })

  test('each waits for its own', () => {
    const { engine, since } = engineOf()
    engine.dispatch([received(request(1, 0)), received(request(1, 1))])
    since()
    engine.onPersisted(logPosition(1))
    expect(since().filter((what) => what.startsWith('send'))).toHaveLength(3)
    engine.onPersisted(logPosition(2))
    expect(since().filter((what) => what.startsWith('send'))).toHaveLength(3)
    engine.onPersisted(logPosition(3))
    expect(since()).toEqual(['flush'])
  })

  test('the events of a turn share one flush, after all they wrote', () => {
    const { engine, since } = engineOf()
    engine.dispatch([received(request(1, 0)), received(request(1, 1)), received(request(1, 2))])
    const done = since()
    expect(done.filter((what) => what === 'flush')).toHaveLength(1)
    expect(done.at(-1)).toBe('flush')
    expect(done.filter((what) => what.startsWith('append'))).toHaveLength(3)
  })
})

test('[style] a check is answered behind its step and before the next event', () => {
  const { engine, since } = engineOf()
  engine.dispatch([received(request(1, 0)), received(request(1, 1))])
  expect(since().filter((what) => /verify|proposed/.test(what))).toEqual([
    'verify 1',
    'observe proposed',
    'verify 1',
    'observe proposed',
  ])
})

describe('timers', () => {
  test('go off after their time, and are armed again', () => {
    const { engine, since } = engineOf()
    engine.dispatch([{ type: 'start' }])
    expect(since()).toEqual(['send 1 status', 'send 2 status', 'send 3 status', 'flush'])
    expect(vi.getTimerCount()).toBe(1)
    vi.advanceTimersByTime(STATUS_BUSY_MS - 1)
    expect(since()).toEqual([])
    vi.advanceTimersByTime(1)
    expect(since()).toEqual(['timeout status', 'flush'])
    expect(vi.getTimerCount()).toBe(1)
  })

  test('not after a stop', () => {
    const { engine, since } = engineOf()
    engine.dispatch([{ type: 'start' }])
    since()
    engine.stop()
    expect(vi.getTimerCount()).toBe(0)
    engine.dispatch([received(request(1))])
    expect(since()).toEqual(['flush'])
  })
})

describe('[D4] a halt', () => {
  test('ends the step: nothing behind it is written, said or timed', () => {
    const { engine, since } = engineOf()
    engine.dispatch([{ type: 'start' }])
    since()
    engine.dispatch([{ type: 'database-connected', database: CONTRADICTED }, received(request(1))])
    expect(since()).toEqual(['halt database-contradicts-log', 'flush'])
    expect(vi.getTimerCount()).toBe(0)
  })

  test('keeps back what was waiting for the disk', () => {
    const { engine, since } = engineOf()
    engine.dispatch([received(request(1))])
    engine.dispatch([{ type: 'database-connected', database: CONTRADICTED }])
    since()
    engine.onPersisted(logPosition(1))
    expect(since()).toEqual([])
  })
})
