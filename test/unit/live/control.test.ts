import { describe, expect, test } from 'vitest'
import type { Message } from '../../../protocol/messages.ts'
import { NULL_BATCH } from '../../../protocol/signing.ts'
import { principalId, seq, ZERO_DIGEST } from '../../../protocol/types.ts'
import { Disguise, type MakeAdversary } from '../../../replica/runtime/adversary.ts'
import { type ControlCommand, Controls } from '../../../replica/runtime/control.ts'
import { SendFilter } from '../../../replica/runtime/send-filter.ts'
import { orderingParts } from '../core/parts-fixture.ts'

/** What wears a disguise, without what only a running replica has. */
const disguiseWhere = (allowByzantine: boolean) => {
  const worn: string[] = []
  const make: MakeAdversary = (behaviours) => {
    if (behaviours.includes('nonsense')) throw new Error('column 1: "nonsense" is no behaviour')
    worn.push(behaviours)
    return { hears: () => false, effects: () => [], wire: () => [] }
  }
  const { config, crypto } = orderingParts(1)
  const disguise = new Disguise({ make, liar: { config, crypto, random: () => 0 }, allowByzantine })
  return { allowByzantine, disguise, worn }
}
const HONEST = disguiseWhere(false)
const LYING = disguiseWhere(true)
const MESSAGE: Message = { type: 'fetched-batch', seq: seq(1), batch: NULL_BATCH }
const OTHER: Message = { type: 'fetch-batch', seq: seq(1), digest: ZERO_DIGEST }
const lineOf = (command: ControlCommand): string => JSON.stringify(command)

describe('commands', () => {
  test('a clock jumps and runs at another rate', () => {
    const controls = new Controls()
    const before = controls.clock.nowMs()
    expect(controls.perform(lineOf({ kind: 'clock', rate: 2, jumpMs: 60_000 }), HONEST)).toEqual({
      done: true,
    })
    expect(controls.clock.nowMs()).toBeGreaterThanOrEqual(before + 60_000)
  })

  test('messages are held back where genesis allows lies, until told otherwise', () => {
    const controls = new Controls()
    const drop: ControlCommand = { kind: 'send-filter', drop: [{ type: 'fetched-batch', probability: 1 }] }
    expect(controls.perform(lineOf(drop), LYING)).toEqual({ done: true })
    expect(controls.sends.passes(principalId(1), MESSAGE)).toBe(false)
    expect(controls.sends.passes(principalId(1), OTHER)).toBe(true)
    expect(controls.perform(lineOf({ kind: 'send-filter', drop: [] }), LYING)).toEqual({ done: true })
    expect(controls.sends.passes(principalId(1), MESSAGE)).toBe(true)
  })

  test('where genesis does not, that is refused and changes nothing', () => {
    const controls = new Controls()
    const drop: ControlCommand = { kind: 'send-filter', drop: [{ type: 'fetched-batch', probability: 1 }] }
    expect(controls.perform(lineOf(drop), HONEST)).toEqual({
      error: expect.stringContaining('allowByzantine'),
    })
    expect(controls.sends.passes(principalId(1), MESSAGE)).toBe(true)
  })

  test('a replica lies where genesis allows it, until it is told to be honest', () => {
    const controls = new Controls()
    const lying = disguiseWhere(true)
    const from = principalId(1)
    const byzantine = (behaviours: string) => lineOf({ kind: 'byzantine', behaviours })
    expect(lying.disguise.hears(from, MESSAGE)).toBe(true)
    expect(controls.perform(byzantine('sign; dark(n2)'), lying)).toEqual({ done: true })
    expect(lying.worn).toEqual(['sign; dark(n2)'])
    expect(lying.disguise.hears(from, MESSAGE)).toBe(false)
    expect(controls.perform(byzantine(''), lying)).toEqual({ done: true })
    expect(lying.disguise.hears(from, MESSAGE)).toBe(true)
  })

  test('where genesis does not, it stays honest, and may be told so', () => {
    const controls = new Controls()
    const honest = disguiseWhere(false)
    const refused = controls.perform(lineOf({ kind: 'byzantine', behaviours: 'sign' }), honest)
    expect(refused).toEqual({ error: expect.stringContaining('allowByzantine') })
    expect(honest.worn).toEqual([])
    expect(controls.perform(lineOf({ kind: 'byzantine', behaviours: '' }), honest)).toEqual({ done: true })
  })

  test.each([
    ['', 'control'],
    ['{', 'control'],
    ['null', 'control'],
    ['[]', 'control'],
    ['{"kind":"toast"}', 'kind'],
    ['{"kind":"clock","rate":0}', 'rate'],
    ['{"kind":"clock","rate":11}', 'rate'],
    ['{"kind":"clock","rate":"2"}', 'rate'],
    ['{"kind":"clock","jumpMs":-1}', 'jumpMs'],
    ['{"kind":"clock","back":1}', 'back'],
    ['{"kind":"byzantine"}', 'behaviours'],
    ['{"kind":"byzantine","behaviours":"nonsense"}', 'no behaviour'],
    ['{"kind":"send-filter"}', 'drop'],
    ['{"kind":"send-filter","drop":[{"type":"toast","probability":1}]}', 'drop.0.type'],
    ['{"kind":"send-filter","drop":[{"type":"commit","probability":2}]}', 'drop.0.probability'],
    ['{"kind":"send-filter","drop":[{"type":"commit","probability":1,"to":[-1]}]}', 'drop.0.to.0'],
  ])('%s is answered with an error that names %s', (line, where) => {
    const controls = new Controls()
    expect(controls.perform(line, LYING)).toEqual({ error: expect.stringContaining(where) })
  })
})

describe('what is held back', () => {
  test('with a probability, and of some receivers alone', () => {
    const chances = [0.1, 0.9, 0.1, 0.9]
    const filter = new SendFilter(() => chances.shift() ?? 1)
    filter.drop([{ type: 'fetched-batch', probability: 0.5, to: [1, 2] }])
    expect(filter.passes(principalId(3), MESSAGE)).toBe(true)
    expect([1, 1, 2, 2].map((to) => filter.passes(principalId(to), MESSAGE))).toEqual([
      false,
      true,
      false,
      true,
    ])
  })
})
