import { Scenario } from './scenario.ts'

/** From `# [RULE] title` to the next one: blocks of commands, `----`, and what they bring about. */
export type ScenarioText = { readonly title: string; readonly text: string }

const SEPARATOR = '----'
const TITLE = /^# (\[.*)$/

export function parseScenarios(text: string): ScenarioText[] {
  const scenarios: { title: string; lines: string[] }[] = []
  for (const line of text.split('\n')) {
    const title = TITLE.exec(line)?.[1]
    if (title !== undefined) scenarios.push({ title, lines: [] })
    const current = scenarios.at(-1)
    if (current === undefined) {
      if (line.trim() !== '') throw new Error(`a scenario starts with "# [RULE] title", not: ${line}`)
    } else current.lines.push(line)
  }
  return scenarios.map(({ title, lines }) => ({ title, text: `${lines.join('\n').trimEnd()}\n` }))
}

/** The scenario's text with what really happened behind each `----`, and every effect on the way. */
export function play({ text }: ScenarioText): {
  readonly text: string
  readonly transcript: readonly string[]
} {
  const scenario = new Scenario()
  const out: string[] = []
  let produced: string[] = []
  let expecting = false
  for (const line of text.trimEnd().split('\n')) {
    if (expecting && line.trim() !== '') continue
    if (expecting) out.push(...produced)
    if (expecting) produced = []
    expecting = line === SEPARATOR
    out.push(line)
    if (!expecting && line.trim() !== '' && !line.startsWith('#')) produced.push(...told(scenario, line))
  }
  out.push(...produced)
  return { text: `${out.join('\n')}\n`, transcript: scenario.cluster.transcript }
}

/** A command that cannot be run says where it stands. */
function told(scenario: Scenario, line: string): string[] {
  try {
    return scenario.run(line)
  } catch (error) {
    throw new Error(`at "${line}": ${error instanceof Error ? error.message : error}`, { cause: error })
  }
}

export const rewritten = (text: string): string =>
  parseScenarios(text)
    .map((scenario) => play(scenario).text)
    .join('\n')
