import { expect, test } from 'vitest'
import {
  BEHAVIOUR_NAMES,
  BehaviourError,
  formatBehaviours,
  parseBehaviours,
} from '../../../replica/byzantine/behaviour.ts'

const read = (text: string) => parseBehaviours(text, { replicas: 7 })

test.each([
  ['', []],
  ['  ', []],
  ['sign', [{ name: 'sign', targets: [] }]],
  ['time; dark(n6); equivocation(n7)', [['time'], ['dark', 5], ['equivocation', 6]]],
  ['Dark( n2 , 3 );SIGN', [['dark', 1, 3], ['sign']]],
  ['sign, dark(n2, n3), crash', [['sign'], ['dark', 1, 2], ['crash']]],
  ['timing;in-dark(0)', [['time'], ['dark', 0]]],
  [
    'slow(20); starve(1000)',
    [
      ['slow', 20],
      ['starve', 1_000],
    ],
  ],
  ['sign();', [['sign']]],
])('"%s" names behaviours', (text, expected) => {
  const wanted = expected.map((one) => (Array.isArray(one) ? { name: one[0], targets: one.slice(1) } : one))
  expect(read(text)).toEqual(wanted)
})

test('what is printed is read back', () => {
  const all = BEHAVIOUR_NAMES.map((name) => ({ name, targets: [] }))
  const aimed = read('dark(n2,n5); slow(7)')
  expect(read(formatBehaviours([...all, ...aimed]))).toEqual([...all, ...aimed])
})

test.each([
  ['sing', 1, '"sing" is no behaviour'],
  ['sign; lie', 7, '"lie" is no behaviour'],
  ['dark(n9)', 6, '"n9" is no replica; they are n1 to n7, or 0 to 6'],
  ['dark(7)', 6, '"7" is no replica'],
  ['dark(n0)', 6, '"n0" is no replica'],
  ['dark(n2', 1, 'expected name or name(target, ...)'],
  ['crash(n2)', 7, 'it takes nothing in brackets'],
  ['slow(1,2)', 6, 'it takes one number'],
  ['slow(n2)', 6, '"n2" is no whole number'],
  ['sign crash', 1, 'expected name or name(target, ...)'],
  ['toString', 1, '"toString" is no behaviour'],
])('"%s" is refused, and says where', (text, column, problem) => {
  expect(() => read(text)).toThrow(BehaviourError)
  expect(() => read(text)).toThrow(`column ${column}: `)
  expect(() => read(text)).toThrow(problem)
})
