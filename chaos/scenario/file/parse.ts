import {
  type Attack,
  nameOf,
  type Place,
  type Scenario,
  type ScenarioSet,
  type Transaction,
} from '../scenario.ts'
import {
  attacksFrom,
  numberFrom,
  type PlacedAttack,
  type PlacedReplica,
  replicasFrom,
  transactionFrom,
} from './cells.ts'
import { type ColumnName, columnsOf } from './columns.ts'
import { found, Problems, ScenarioError } from './problem.ts'
import { type Field, type FileRecord, recordsOf } from './records.ts'

const BYTES_MAX = 1_000_000

/**
 * Reads a scenario file: a header, then for each set a row with its number, a transaction, who is live, who is byzantine
 * and the attacks, and rows with further transactions alone.
 * @throws ScenarioError with every problem of the file, each with line, column and what was expected
 */
export function parseScenario({ name, text }: { readonly name: string; readonly text: string }): Scenario {
  const problems = new Problems()
  if (text.length > BYTES_MAX) {
    problems.add({ line: 1, column: 1 }, `expected at most ${BYTES_MAX} characters, not ${text.length}`)
    throw new ScenarioError(name, problems.all)
  }
  const [header, ...records] = recordsOf(text, problems)
  const columns = columnsOf(header, problems)
  const sets = columns === undefined ? [] : new SetReader(columns, problems).read(records)
  if (columns !== undefined && records.length === 0) {
    problems.add(
      { line: (header?.fields[0]?.at.line ?? 0) + 1, column: 1 },
      'expected a row that begins a set',
    )
  }
  if (problems.all.length > 0) throw new ScenarioError(name, problems.all)
  return { name, sets }
}

/** Each attack once, at all its targets: what is done to a message twice may undo itself. */
function merged(attacks: readonly Attack[]): Attack[] {
  return [...Map.groupBy(attacks, ({ name }) => name).values()].flatMap(([first, ...more]): Attack[] => {
    if (first === undefined) return []
    if (!('targets' in first)) return [first]
    const targets = [first, ...more].flatMap((attack) => ('targets' in attack ? attack.targets : []))
    return [{ ...first, targets: [...new Set(targets)] }]
  })
}

type OpenSet = Omit<ScenarioSet, 'transactions'> & { readonly transactions: Transaction[] }

class SetReader {
  readonly #columns: ReadonlyMap<ColumnName, number>
  readonly #problems: Problems
  readonly #sets: OpenSet[] = []
  /** Null before the first; what follows a row that cannot be read belongs to a set that nobody knows. */
  #open: OpenSet | 'unknown' | null = null
  #lastNumber = 0

  constructor(columns: ReadonlyMap<ColumnName, number>, problems: Problems) {
    this.#columns = columns
    this.#problems = problems
  }

  read(records: readonly FileRecord[]): readonly ScenarioSet[] {
    for (const record of records) {
      if (record.isWhole) this.#row(record.fields)
      else this.#open = 'unknown'
    }
    return this.#sets
  }

  #row(fields: readonly Field[]): void {
    const [first] = fields
    if (first === undefined) return
    for (const { text, at } of fields.slice(1 + Math.max(...this.#columns.values()))) {
      if (text.trim() !== '') this.#problems.add(at, `expected the end of the row, not ${found(text)}`)
    }
    const row = new Row(fields, this.#columns)
    if (row.has('number')) this.#begin(row)
    else this.#goOn(row)
    const transaction = transactionFrom(row.field('transaction'), this.#problems)
    if (transaction !== undefined && this.#open !== null && this.#open !== 'unknown') {
      this.#open.transactions.push(transaction)
    }
  }

  #begin(row: Row): void {
    const number = numberFrom(row.field('number'), this.#problems)
    if (number !== undefined && number <= this.#lastNumber) {
      const before = `set ${this.#lastNumber} stands before it`
      this.#problems.add(row.field('number').at, `expected a set number above ${this.#lastNumber}: ${before}`)
    }
    this.#lastNumber = Math.max(this.#lastNumber, number ?? 0)
    if (!row.has('live')) {
      this.#problems.add(
        row.field('live').at,
        'expected the replicas that are live, such as [n1, n2, n3]; [] when all are down',
      )
    }
    const live = replicasFrom(row.field('live'), this.#problems)
    const byzantine = replicasFrom(row.field('byzantine'), this.#problems)
    const attacks = attacksFrom(row.field('attack'), this.#problems)
    this.#judge({ live, byzantine, attacks })
    this.#open = {
      number: number ?? 0,
      transactions: [],
      live: live.map(({ replica }) => replica).sort((a, b) => a - b),
      byzantine: byzantine.map(({ replica }) => replica).sort((a, b) => a - b),
      attacks: merged(attacks.map(({ attack }) => attack)),
    }
    this.#sets.push(this.#open)
  }

  #judge(set: {
    readonly live: readonly PlacedReplica[]
    readonly byzantine: readonly PlacedReplica[]
    readonly attacks: readonly PlacedAttack[]
  }): void {
    const live = new Set(set.live.map(({ replica }) => replica))
    for (const { replica, at } of set.byzantine) {
      if (!live.has(replica)) {
        this.#problems.add(
          at,
          `${nameOf(replica)} is byzantine and not live: expected one of the live replicas`,
        )
      }
    }
    const [attack] = set.attacks
    if (attack !== undefined && set.byzantine.length === 0) {
      this.#problems.add(
        attack.at,
        `an attack without a byzantine replica: expected who does ${attack.attack.name}`,
      )
    }
  }

  /** A row of a set that was begun has a transaction, and nothing else. */
  #goOn(row: Row): void {
    if (this.#open === null) {
      this.#problems.add(
        row.field('number').at,
        'expected the number of a set: no set begins before this row',
      )
      this.#open = 'unknown'
    }
    for (const column of ['live', 'byzantine', 'attack'] as const) {
      const { text, at } = row.field(column)
      if (text.trim() === '') continue
      this.#problems.add(
        at,
        `only the row with a set's number says who is live or byzantine and how: expected nothing, not ${found(text)}`,
      )
    }
  }
}

/** Fields by the names of their columns; a row may end early. */
class Row {
  readonly #fields: readonly Field[]
  readonly #columns: ReadonlyMap<ColumnName, number>

  constructor(fields: readonly Field[], columns: ReadonlyMap<ColumnName, number>) {
    this.#fields = fields
    this.#columns = columns
  }

  field(column: ColumnName): Field {
    return this.#fields[this.#columns.get(column) ?? -1] ?? { text: '', at: this.#end }
  }

  has(column: ColumnName): boolean {
    return this.field(column).text.trim() !== ''
  }

  get #end(): Place {
    const last = this.#fields.at(-1)
    if (last === undefined) return { line: 1, column: 1 }
    return { line: last.at.line, column: last.at.column + last.text.length }
  }
}
