import { InvalidArgumentError } from 'commander'
import type { Count, CountRange } from '../../chaos/experiments/faults/choices.ts'
import type { Runtime } from '../../chaos/experiments/faults/result.ts'

const DELAY_MS_MAX = 10_000
/** So often nothing would ever be done. */
const DROP_MAX = 0.9
/** Of a range of shares: its ends and what is half way. */
const POINTS_OF_RANGE = 3
const COUNT = /^(?:(f)(?:\+(\d{1,3}))?|(\d{1,3}))$/

/** `0..f+1`, `0,1,f`: numbers and ranges of them, commas between. */
export function maliciousFrom(text: string): readonly CountRange[] {
  return text.split(',').map((part) => {
    const ends = part.split('..').map((word) => countFrom(word.trim()))
    const [from, to] = [ends[0], ends.at(-1)]
    if (from === undefined || to === undefined || ends.length > 2) {
      throw new InvalidArgumentError('It must be numbers and ranges, such as 0..f+1 or 0,1,f,f+1.')
    }
    return { from, to }
  })
}

function countFrom(word: string): Count | undefined {
  const [match, f, more, number] = COUNT.exec(word) ?? []
  if (match === undefined) return undefined
  return f === undefined
    ? { isAboveF: false, number: Number(number) }
    : { isAboveF: true, number: Number(more ?? 0) }
}

/** `5..40ms`: every datagram's latency is drawn between the two; `10ms` is a latency without chance. */
export function delayFrom(text: string): { readonly min: number; readonly max: number } {
  const [match, from, to] = /^(\d+(?:\.\d+)?)(?:\.\.(\d+(?:\.\d+)?))?(?:ms)?$/.exec(text) ?? []
  const min = Number(from)
  const max = Number(to ?? from)
  if (match === undefined || min > max || max > DELAY_MS_MAX) {
    throw new InvalidArgumentError(`It must be such as 5..40ms or 10ms, up to ${DELAY_MS_MAX} ms.`)
  }
  return { min, max }
}

/** `0,0.05,0.2`: these; `0..0.2`: 0, 0.1 and 0.2. */
export function dropFrom(text: string): readonly number[] {
  const isRange = text.includes('..')
  const shares = text
    .split(isRange ? '..' : ',')
    .map((word) => (word.trim() === '' ? Number.NaN : Number(word)))
  const [from = Number.NaN, to = Number.NaN] = shares
  if (
    shares.some((share) => !(share >= 0 && share <= DROP_MAX)) ||
    (isRange && (shares.length !== 2 || from >= to)) ||
    new Set(shares).size < shares.length
  ) {
    throw new InvalidArgumentError(`It must be such as 0..0.2 or 0,0.05,0.2, each up to ${DROP_MAX}.`)
  }
  if (!isRange) return shares
  const steps = POINTS_OF_RANGE - 1
  return Array.from({ length: POINTS_OF_RANGE }, (_, i) =>
    Number((from + ((to - from) * i) / steps).toPrecision(6)),
  )
}

export function runtimeFrom(text: string): Runtime {
  if (text === 'sim' || text === 'real') return text
  throw new InvalidArgumentError('It must be sim or real.')
}
