import { balanceLines } from '../../chaos/scenario/inspect/balances.ts'
import { logLines } from '../../chaos/scenario/inspect/log.ts'
import { perfLines } from '../../chaos/scenario/inspect/perf.ts'
import { parseStatusQuery, statusLines } from '../../chaos/scenario/inspect/status.ts'
import { viewLines } from '../../chaos/scenario/inspect/views.ts'
import type { SetResult } from '../../chaos/scenario/run-set.ts'
import { REPLICAS, replicaNamed } from '../../chaos/scenario/scenario.ts'
import { nearest } from '../../client/suggestion.ts'

/** What a line at the prompt comes to. */
export type Outcome =
  | { readonly kind: 'said'; readonly lines: readonly string[] }
  /** It needs to know more: the next line is the answer, and empty means all. */
  | { readonly kind: 'ask'; readonly question: string; readonly answered: (answer: string) => Outcome }
  | { readonly kind: 'next' | 'quit' }

/** By number, for those who know them so: `1.3` is `log n3`. */
const BY_NUMBER = ['log', 'status', 'db', 'views', 'perf'] as const
export const COMMAND_WORDS = [...BY_NUMBER, 'help', 'next', 'quit'] as const

export const HELP = [
  'log <id>                     1.<id>   the vote log of a replica, and its messages',
  'status <seq|request> [id]    2.<id>   how far it got at each replica: PP, P, C, E, X; asks when bare, empty is all',
  'db [id]                      3.<id>   balances, of one replica or all',
  'views                        4        every NEW-VIEW with its O',
  'perf [id]                    5.<id>   throughput and latency',
  'next                                  the next set (an empty line, too)',
  'quit                                  ends; sets that are left are not run',
  'help',
  'An id is n1 to n7, or 1 to 7. A request is a transaction, (A, C, 5), or CLIENT/LANE/NUMBER/DIGEST.',
]

/** One line at the prompt behind a set. Total: what is not understood is said. */
export function runCommand(line: string, result: SetResult): Outcome {
  const [typed = '', ...rest] = line.trim().split(/\s+/)
  if (typed === '') return { kind: 'next' }
  const { word, argument } = spelledOut(typed, rest.join(' '))
  switch (word) {
    case 'log':
      return argument === '' ? askReplica('log', result) : ofReplica(argument, (id) => logOf(id, result))
    case 'db':
      return ofReplicas(argument, (ids) => balanceLines(chosen(ids, result)))
    case 'status':
      return status(argument, result)
    case 'views':
      return said(viewLines(result.evidence.replicas))
    case 'perf':
      return ofReplicas(argument, (ids) => perfLines(result, ids))
    case 'help':
      return said(HELP)
    case 'next':
    case 'quit':
      return { kind: word }
    default: {
      const meant = nearest(word, COMMAND_WORDS)
      return said([
        `there is no command ${typed}${meant === undefined ? '' : `: did you mean ${meant}?`}`,
        ...HELP,
      ])
    }
  }
}

const said = (lines: readonly string[]): Outcome => ({ kind: 'said', lines })

/** `1.n3` is `log n3`, `4` is `views`; `n` and `q` are next and quit. */
function spelledOut(typed: string, rest: string): { readonly word: string; readonly argument: string } {
  const [, number, id = ''] = /^([1-5])(?:\.(\w*))?$/.exec(typed) ?? []
  if (number !== undefined) {
    const word = BY_NUMBER[Number(number) - 1] ?? ''
    // Of `2.3` the id is the replica; what about is asked for, unless it follows.
    const replica = /^\d/.test(id) ? `n${id}` : id
    return { word, argument: `${rest} ${replica}`.trim() }
  }
  const lower = typed.toLowerCase()
  const short: Readonly<Record<string, string>> = { n: 'next', q: 'quit', exit: 'quit', '?': 'help' }
  return { word: short[lower] ?? lower, argument: rest }
}

const askReplica = (word: string, result: SetResult): Outcome => ({
  kind: 'ask',
  question: 'replica (n1 to n7): ',
  answered: (answer) =>
    answer.trim() === '' ? said([`${word} needs a replica`]) : runCommand(`${word} ${answer}`, result),
})

function ofReplica(text: string, work: (id: number) => readonly string[]): Outcome {
  const id = replicaNamed(text)
  return id === undefined ? said([`expected a replica, n1 to n${REPLICAS}, not ${text}`]) : said(work(id))
}

function ofReplicas(text: string, work: (ids: readonly number[] | undefined) => readonly string[]): Outcome {
  return text === '' ? said(work(undefined)) : ofReplica(text, (id) => work([id]))
}

const chosen = (ids: readonly number[] | undefined, { evidence }: SetResult) =>
  evidence.replicas.filter(({ replica }) => ids === undefined || ids.includes(replica))

const logOf = (id: number, result: SetResult): readonly string[] => chosen([id], result).flatMap(logLines)

/** The replica, where there is one, stands last: `status 4 n2`, `status (A, C, 5) n2`. */
function status(argument: string, result: SetResult): Outcome {
  const [, before = '', last = ''] = /^(.*?)\s*(\S*)$/s.exec(argument) ?? []
  const isOne = /^n/i.test(last) || (before !== '' && !/[(,]/.test(last) && !last.endsWith(')'))
  const id = isOne ? replicaNamed(last) : undefined
  if (isOne && id === undefined) return said([`expected a replica, n1 to n${REPLICAS}, not ${last}`])
  const about = isOne ? before : argument
  const answer = (text: string): Outcome => {
    const query = parseStatusQuery(text)
    if (query === undefined)
      return said([`expected a sequence number, or a transaction such as (A, C, 5), not ${text}`])
    return said(statusLines(query, chosen(id === undefined ? undefined : [id], result)))
  }
  if (about !== '') return answer(about)
  return { kind: 'ask', question: 'sequence number or request (empty: all): ', answered: answer }
}
