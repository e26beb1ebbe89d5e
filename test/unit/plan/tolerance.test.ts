import { expect, test } from 'vitest'
import { parsePlan } from '../../../chaos/plan/parse.ts'
import { requireTolerated } from '../../../chaos/plan/tolerance.ts'

const check = (steps: string, { replicas = 4, head = '' } = {}) => {
  const text = `${head}\ncluster: {replicas: ${replicas}}\nsteps:\n${steps}`
  requireTolerated(parsePlan({ name: 'p', text }))
}
const kill = (ids: string) => `{kind: ProcessChaos, action: kill, selector: {replicas: [${ids}]}}`
const any = (kind: string, action: string, more = '') => `{kind: ${kind}, action: ${action}${more}}`

test.each([
  ['one after the other', `- ${kill('1')}\n- ${kill('2')}`],
  [
    'a wiped replica, then another: the first votes again before',
    `- ${any('StorageChaos', 'wipe-votes')}\n- ${kill('2')}`,
  ],
  [
    'the same replica twice at a time',
    `- parallel: [${kill('1')}, ${any('DatabaseChaos', 'refuse', ', selector: {replicas: [1]}')}]`,
  ],
  [
    'a fault beside any network',
    `- parallel: [${kill('1')}, ${any('NetworkChaos', 'partition', ', partition: {shape: halves}')}]`,
  ],
  [
    'a fault beside slowness and clocks',
    `- parallel: [${kill('1')}, ${any('DatabaseChaos', 'slow', ', mode: all, delay: {latency: 5ms}')}, ${any('TimeChaos', 'jump', ', mode: all, timeOffset: 5s')}]`,
  ],
  [
    'all killed: a power cut',
    `- ${any('ProcessChaos', 'kill', ', mode: all')}\n- ${any('ProcessChaos', 'power-loss', ', mode: all')}\n- ${any('ProcessChaos', 'restart-all')}`,
  ],
  ['all killed, by their number', `- ${any('ProcessChaos', 'kill', ', mode: fixed, value: 4')}`],
  ['all in turn', `- ${any('ProcessChaos', 'rolling-restart', ', mode: all')}`],
  ['again and again', `- ${any('ProcessChaos', 'kill', ", schedule: '@every 1s', times: 9, duration: 30s")}`],
])('%s is tolerated', (_, steps) => {
  expect(() => check(steps)).not.toThrow()
})

test.each([
  [
    'one after the other, the first of them beside itself',
    `- parallel: [{serial: [${kill('1')}, ${kill('2')}]}, ${kill('1')}]`,
    /replica 2 by steps.0.parallel.0.serial.1 .*; replica 1 by steps.0.parallel.1/,
  ],
  ['one by name, several times, is no power cut', `- ${kill('0, 1, 1, 1')}`, /2 replicas could be faulty/],
  ['two by name', `- ${kill('1, 2')}`, /replica 1, replica 2 by steps.0 \(ProcessChaos kill\)/],
  ['two of any', `- ${any('ProcessChaos', 'kill', ', mode: fixed, value: 2')}`, /2 of any by steps.0/],
  [
    'one by name beside one of any',
    `- parallel: [${kill('1')}, ${any('ProcessChaos', 'pause')}]`,
    /replica 1 by steps.0.parallel.0 .*; 1 of any by steps.0.parallel.1/,
  ],
  [
    'a primary beside one by name',
    `- parallel: [${kill('1')}, ${any('ProcessChaos', 'kill', ', mode: primary')}]`,
    /2 replicas could be faulty/,
  ],
  [
    'later, but perhaps before the first is back',
    `- parallel: [${kill('1')}, {serial: [{suspend: 1h}, ${kill('2')}]}]`,
    /steps.0.parallel.1.serial.1/,
  ],
  [
    'again and again beside another',
    `- parallel: [${any('ProcessChaos', 'kill', ", schedule: '@every 1s'")}, ${kill('2')}]`,
    /2 replicas/,
  ],
  [
    'a rolling restart beside another',
    `- parallel: [${any('ProcessChaos', 'rolling-restart', ', mode: all')}, ${kill('2')}]`,
    /2 replicas/,
  ],
  [
    'all databases',
    `- ${any('DatabaseChaos', 'refuse', ', mode: all')}`,
    /4 replicas could be faulty at a time, and of 4 only 1 may be/,
  ],
  ['all vote logs', `- ${any('StorageChaos', 'wipe-votes', ', mode: all')}`, /4 replicas/],
  ['all in a crash loop', `- ${any('ProcessChaos', 'crash-loop', ', mode: all')}`, /4 replicas/],
  ['most, which is no power cut', `- ${kill('0, 1, 2')}`, /3 replicas/],
])('%s is refused, with the names', (_, steps, names) => {
  expect(() => check(steps)).toThrow(names)
  expect(() => check(steps)).toThrow('set beyondTolerance: true')
  expect(() => check(steps, { head: 'beyondTolerance: true' })).not.toThrow()
})

test('of seven replicas two may be faulty, and not three', () => {
  const two = `- parallel: [${kill('1')}, ${any('ProcessChaos', 'pause')}]`
  const three = `- parallel: [${kill('1')}, ${any('ProcessChaos', 'pause', ', mode: fixed, value: 2')}]`
  expect(() => check(two, { replicas: 7 })).not.toThrow()
  expect(() => check(three, { replicas: 7 })).toThrow(/3 replicas could be faulty at a time, and of 7 only 2/)
})

test('three choices from the same two are two', () => {
  const one = any('ProcessChaos', 'kill', ', mode: one, selector: {replicas: [1, 2]}')
  expect(() => check(`- parallel: [${one}, ${one}, ${one}]`, { replicas: 7 })).not.toThrow()
})

test('a plan of very many combinations is judged in time', () => {
  const serial = `{serial: [${Array.from({ length: 7 }, (_, id) => kill(`${id}`)).join(', ')}]}`
  const wide = `- parallel: [${Array.from({ length: 12 }, () => serial).join(', ')}]`
  expect(() => check(wide, { replicas: 7 })).toThrow(/7 replicas could be faulty at a time, and of 7 only 2/)
})
