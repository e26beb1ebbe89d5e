import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'
import { JsonFields } from './json-fields.ts'

/** What of a replica's report must not go back. */
export type ReplicaSample = {
  readonly replica: number
  readonly pid: number
  readonly view: number
  readonly highestViewChange: number
  readonly lastExecuted: number
  readonly lowWaterMark: number
  readonly isAmnesiac: boolean
}

export type Sample = { readonly atMs: number; readonly reports: readonly ReplicaSample[] }

/** @throws FieldError, or SyntaxError for what is no JSON */
export function decodeSample(line: string): Sample {
  const parsed: unknown = JSON.parse(line)
  const fields = JsonFields.of(parsed)
  return { atMs: fields.number('atMs'), reports: fields.list('reports', reportFrom) }
}

const reportFrom = (fields: JsonFields): ReplicaSample => ({
  replica: fields.whole('replica'),
  pid: fields.whole('pid'),
  view: fields.whole('view'),
  highestViewChange: fields.whole('highestViewChange'),
  lastExecuted: fields.whole('lastExecuted'),
  lowWaterMark: fields.whole('lowWaterMark'),
  isAmnesiac: fields.boolean('isAmnesiac'),
})

/** Samples in the order of the file; what cannot be read is handed to `onBad`, and left out. */
export async function* readSamples(
  path: string,
  onBad: (line: number, why: string) => void,
): AsyncGenerator<Sample> {
  let number = 0
  for await (const line of createInterface({ input: createReadStream(path) })) {
    number += 1
    if (line === '') continue
    try {
      yield decodeSample(line)
    } catch (error) {
      onBad(number, error instanceof Error ? error.message : String(error))
    }
  }
}
