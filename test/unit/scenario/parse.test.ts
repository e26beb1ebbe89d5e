import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseScenario } from '../../../chaos/scenario/file/parse.ts'
import { ScenarioError } from '../../../chaos/scenario/file/problem.ts'
import { ATTACK_NAMES } from '../../../chaos/scenario/scenario.ts'
import { COMMAND_WORDS } from '../../../cli/scenario/commands.ts'

const HEADER = 'Set Number,Transactions,Live,Byzantine,Attack'
const ALL = '"[n1, n2, n3, n4, n5, n6, n7]"'
const EXAMPLE = `${HEADER}
1,"(A, C, 5)",${ALL},"[n3]","[time; dark(n6); equivocation(n7)]"
,"(C, E, 2)",,,
,(G),,,
4,"(B, A, 10)","[n1, n2]",[],[]
`
const parse = (text: string) => parseScenario({ name: 's.csv', text }).sets
const WANTED = [
  {
    number: 1,
    transactions: [
      { kind: 'transfer', from: 'A', to: 'C', amount: 5n },
      { kind: 'transfer', from: 'C', to: 'E', amount: 2n },
      { kind: 'read', account: 'G' },
    ],
    live: [0, 1, 2, 3, 4, 5, 6],
    byzantine: [2],
    attacks: [{ name: 'time' }, { name: 'dark', targets: [5] }, { name: 'equivocation', targets: [6] }],
  },
  {
    number: 4,
    transactions: [{ kind: 'transfer', from: 'B', to: 'A', amount: 10n }],
    live: [0, 1],
    byzantine: [],
    attacks: [],
  },
]

test('sets, transactions, who is live, who is byzantine and how', () => {
  expect(parse(EXAMPLE)).toEqual(WANTED)
})

test.each<[string, (text: string) => string]>([
  ['CRLF', (text) => text.replaceAll('\n', '\r\n')],
  ['lone CR', (text) => text.replaceAll('\n', '\r')],
  ['a byte order mark', (text) => `\ufeff${text}`],
  ['no line end at the end', (text) => text.trimEnd()],
  ['empty lines, and rows of commas and spaces', (text) => text.replaceAll('\n', '\n\n , ,,, \n\n')],
  ['no quotes at all', (text) => text.replaceAll('"', '')],
  ['spaces around quotes and commas', (text) => text.replaceAll('"', ' " ').replaceAll(',', ' , ')],
  ['no spaces within fields', (text) => text.replaceAll(/(?<!Set) /g, '')],
  ['names in quotes', (text) => text.replaceAll(/"/g, '').replaceAll(/(n\d)/g, "'$1'")],
  ['names in doubled quotes', (text) => text.replaceAll(/n(\d)/g, '""n$1""').replaceAll('[""n3""]', '[n3]')],
  ['lower case', (text) => text.toLowerCase()],
  ['upper case', (text) => text.toUpperCase()],
  [
    'another spelling of the header',
    (text) => text.replace(HEADER, '"SetNumber",transaction, Live Nodes ,BYZANTINE,Attacks'),
  ],
  ['commas between attacks', (text) => text.replaceAll('; ', ', ')],
  ['lists without brackets', (text) => text.replaceAll(/[[\]]/g, '')],
  ['rows that end early', (text) => text.replaceAll(/,,,\n/g, '\n').replaceAll(',[],[]\n', '\n')],
  ['a line end within quotes', (text) => text.replace('n3, n4', 'n3,\n n4')],
])('the same with %s', (_, change) => {
  expect(parse(change(EXAMPLE))).toEqual(WANTED)
})

test('an attack that stands there twice is one, at all who are named', () => {
  const [set] = parse(`${HEADER}\n1,(A),${ALL},[n1],"[dark(n6); sign; dark(n7, n6); sign]"\n`)
  expect(set?.attacks).toEqual([{ name: 'dark', targets: [5, 6] }, { name: 'sign' }])
})

test('columns in another order are found by the header', () => {
  const text = `Attack,Live,Transactions,Byzantine,Set Number\n[sign],"n1,n2",(A),n2,3\n`
  expect(parse(text)).toEqual([
    {
      number: 3,
      transactions: [{ kind: 'read', account: 'A' }],
      live: [0, 1],
      byzantine: [1],
      attacks: [{ name: 'sign' }],
    },
  ])
})

const problemsOf = (text: string): string[] => {
  try {
    parse(text)
  } catch (error) {
    if (error instanceof ScenarioError) return error.message.split('\n')
    throw error
  }
  return []
}
const row = (cells: string) => problemsOf(`${HEADER}\n${cells}\n`)

test.each([
  ['nothing', '', 's.csv:1:1: expected the header'],
  ['no header', `1,(A),${ALL},,`, 's.csv:1:1: "1" is no column'],
  ['a column too few', 'Set Number,Transactions,Live,Attack\n1,(A),[n1],', 'the header lacks Byzantine'],
  ['a column twice', `${HEADER},Live\n`, 's.csv:1:47: "Live" is no column, or stands here twice'],
  ['no set', `${HEADER}\n`, 's.csv:2:1: expected a row that begins a set'],
])('a file with %s', (_, text, says) => {
  expect(problemsOf(text).join('\n')).toContain(says)
})

test.each([
  ['a transaction before any set', ',(A),,,', 's.csv:2:1: expected the number of a set'],
  [
    'a number that is none',
    'x,(A),[n1],,',
    's.csv:2:1: expected the number of a set, a whole number from 1 on, not "x"',
  ],
  ['number 0', '0,(A),[n1],,', 's.csv:2:1: expected the number of a set'],
  ['a set twice', '1,(A),[n1],,\n1,(A),[n1],,', 's.csv:3:1: expected a set number above 1'],
  ['sets that go back', '5,(A),[n1],,\n3,(A),[n1],,', 's.csv:3:1: expected a set number above 5'],
  [
    'no transaction',
    '1,,[n1],,',
    's.csv:2:3: expected a transfer (SENDER, RECEIVER, AMOUNT) or a read (CLIENT)',
  ],
  [
    'no brackets',
    '1,"A, C, 5",[n1],,',
    's.csv:2:4: a transfer (SENDER, RECEIVER, AMOUNT) or a read (CLIENT): expected "("',
  ],
  [
    'an open bracket',
    '1,"(A, C, 5",[n1],,',
    's.csv:2:12: a transfer (SENDER, RECEIVER, AMOUNT) or a read (CLIENT): expected ")" behind "(A, C, 5"',
  ],
  [
    'no amount',
    '1,"(A, C)",[n1],,',
    's.csv:2:9: a transfer (SENDER, RECEIVER, AMOUNT) or a read (CLIENT): expected "," and an amount',
  ],
  ['a fourth part', '1,"(A, C, 5, 6)",[n1],,', 'expected ")" behind the amount, not "6"'],
  ['something behind', '1,"(A) x",[n1],,', 's.csv:2:8: '],
  ['an unknown client', '1,"(A, K, 5)",[n1],,', 's.csv:2:8: expected a client, A to J, not "K"'],
  ['an unknown reader', '1,(Alice),[n1],,', 's.csv:2:4: expected a client, A to J, not "Alice"'],
  ['amount 0', '1,"(A, C, 0)",[n1],,', 's.csv:2:11: expected an amount, a whole number from 1 on, not "0"'],
  ['a negative amount', '1,"(A, C, -5)",[n1],,', 'not "-5"'],
  ['half an amount', '1,"(A, C, 2.5)",[n1],,', 'not "2.5"'],
  ['an amount beyond all', '1,"(A, C, 9999999999999999999)",[n1],,', 'expected an amount'],
  ['a transfer to oneself', '1,"(A, a, 5)",[n1],,', 's.csv:2:8: A pays itself'],
  ['no live list', '1,(A),,,', 's.csv:2:7: expected the replicas that are live'],
  ['an unknown replica', '1,(A),"[n1, n9]",,', 's.csv:2:13: expected a replica, n1 to n7, not "n9"'],
  ['replica n0', '1,(A),[n0],,', 'not "n0"'],
  ['a replica twice', '1,(A),"[n1, n2, N1]",,', 's.csv:2:17: N1 is in this list twice'],
  ['a list that is not closed', '1,(A),"[n1, n2",,', 's.csv:2:15: expected "," or "]", not nothing'],
  ['two lists', '1,(A),"[n1] [n2]",,', 'expected nothing behind the list, not "["'],
  ['a byzantine that is not live', '1,(A),[n1],[n2],[sign]', 's.csv:2:13: n2 is byzantine and not live'],
  [
    'an attack without a byzantine',
    '1,(A),[n1],[],[sign]',
    's.csv:2:16: an attack without a byzantine replica',
  ],
  ['no such attack', '1,(A),[n1],[n1],[equivocate]', 'did you mean equivocation?'],
  ['dark for nobody', '1,(A),[n1],[n1],[dark]', 'dark needs to know against whom'],
  ['dark for nobody in brackets', '1,(A),[n1],[n1],[dark()]', 'dark needs to know against whom'],
  ['time against somebody', '1,(A),[n1],[n1],[time(n2)]', 'time is aimed at nobody'],
  ['an unknown target', '1,(A),[n1],[n1],[dark(n8)]', 's.csv:2:23: expected a replica, n1 to n7, not "n8"'],
  ['attacks that run into each other', '1,(A),[n1],[n1],[time sign]', 'expected ";" or "]", not "sign"'],
  ['a live list in a later row', '1,(A),[n1],,\n,(B),[n1],,', 's.csv:3:6: only the row with a set'],
  ['a sixth field', '1,(A),[n1],,,x', 's.csv:2:14: expected the end of the row, not "x"'],
  ['an open quote', '1,"(A),[n1],,', 's.csv:2:3: this quote is never closed'],
  ['something behind a quote', '1,"(A)"x,[n1],,', 's.csv:2:8: expected a comma or the end of the line'],
])('a row with %s: line, column, what was expected', (_, cells, says) => {
  const problems = row(cells)
  expect(problems[0]).toContain(says)
  expect(problems).toHaveLength(1)
})

test('all problems of a file at once, in its order', () => {
  const text = `${HEADER}
1,"(A, K, 0)",[n1],[n2],[sing]
,"(A; B)",,,
,"(A, B, 1)"x,,,
1,(C),[n8],,
`
  expect(problemsOf(text).map((line) => line.split(': ')[0])).toEqual([
    's.csv:2:8',
    's.csv:2:11',
    's.csv:2:21',
    's.csv:2:26',
    's.csv:3:5',
    's.csv:4:13',
    's.csv:5:1',
    's.csv:5:8',
  ])
})

test('any text is read, or refused with a place', () => {
  const piece = fc.constantFrom(
    '"',
    ',',
    '\n',
    '\r',
    '[',
    ']',
    '(',
    ')',
    ';',
    'n1',
    'A',
    '5',
    ' ',
    'dark',
    '\u{1f600}',
    HEADER,
  )
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 60 }), fc.boolean(), (pieces, hasHeader) => {
      const text = `${hasHeader ? `${HEADER}\n` : ''}${pieces.join('')}`
      for (const line of problemsOf(text)) expect(line).toMatch(/^s\.csv:\d+:\d+: \S/)
    }),
  )
})

const docs = (path: string) => join(import.meta.dirname, '../../../docs', path)

test('the file in docs has every attack', () => {
  const name = docs('scenarios/attacks.csv')
  const { sets } = parseScenario({ name, text: readFileSync(name, 'utf8') })
  const names = new Set(sets.flatMap(({ attacks }) => attacks.map((attack) => attack.name)))
  expect([...names].sort()).toEqual([...ATTACK_NAMES].sort())
})

test('docs/scenarios.md: its example can be played, and it lists the attacks and commands that there are', () => {
  const page = readFileSync(docs('scenarios.md'), 'utf8')
  const [example = ''] = [...page.matchAll(/^```csv\n([\s\S]*?)^```$/gm)].map((match) => match[1])
  expect(parse(example)).toHaveLength(2)
  const listed = [...page.matchAll(/^\| `(\w+)[^`]*` \|/gm)].map(([, name = '']) => name)
  expect(listed.toSorted()).toEqual([...ATTACK_NAMES, ...COMMAND_WORDS].toSorted())
})
