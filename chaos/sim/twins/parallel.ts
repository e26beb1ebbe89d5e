import { inThreads, workerBeside } from '../threads.ts'
import { spaceOf, type TwinsShare, type TwinsTally } from './twins.ts'

/** What one thread takes at a time: places in the space, half of them schedules, or seeds. */
const PLACES = 128
const SEEDS = 8

/** Over several threads; tallies come as they are ready. */
export async function* twinsInParallel(whole: TwinsShare, threads: number): AsyncGenerator<TwinsTally> {
  const worker = workerBeside('worker', import.meta.url)
  const answers = inThreads<TwinsShare, TwinsTally>({ worker, shares: sharesOf(whole), threads })
  for await (const { answer } of answers) yield answer
}

function* sharesOf(whole: TwinsShare): Generator<TwinsShare> {
  if (whole.kind === 'given') yield whole
  else if (whole.kind === 'exhaustive') {
    const until = Math.min(whole.until, spaceOf(whole).size)
    for (let from = whole.from; from < until; from += PLACES) {
      yield { ...whole, from, until: Math.min(from + PLACES, until) }
    }
  } else {
    for (let at = 0; at < whole.schedules; at += SEEDS) {
      const schedules = Math.min(SEEDS, whole.schedules - at)
      yield { ...whole, fromSeed: whole.fromSeed + at, schedules }
    }
  }
}
