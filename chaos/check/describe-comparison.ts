import type { Comparison } from './compare-databases.ts'
import { replicasNamed } from './tally.ts'

/** What is wrong with which replica's database, one line each. */
export function describeComparison({
  reference,
  databases,
  differences,
  contradictions,
}: Comparison): { readonly replica: number; readonly text: string }[] {
  const wrong = new Set(differences.map(({ replica }) => replica))
  const equal = databases.map(({ replica }) => replica).filter((replica) => !wrong.has(replica))
  const others = equal.length > 0 ? equal : [reference]
  return [
    ...differences.map(({ replica, difference: { table, key, column, values } }) => {
      const [theirs, its] = values.map((value) => value ?? (column === null ? '(no such row)' : 'null'))
      const where = whereIs(table, key, column)
      const have = others.length > 1 ? 'have' : 'has'
      const text = `replica ${replica} differs first in ${where}: it has ${its}, ${replicasNamed(others)} ${have} ${theirs}`
      return { replica, text }
    }),
    ...contradictions.map(({ replica, contradiction: { table, key, column, is, shouldBe } }) => {
      const where = whereIs(table, key, column)
      const text = `replica ${replica} contradicts its own history in ${where}: it has ${is}, its transfers make it ${shouldBe}`
      return { replica, text }
    }),
  ]
}

const whereIs = (table: string, key: string, column: string | null): string =>
  `table ${table}, row ${key}${column === null ? '' : `, column ${column}`}`
