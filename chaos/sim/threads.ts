import { Worker } from 'node:worker_threads'

/** The program of a thread, beside the file of `url`, under the same ending: TypeScript in a checkout, JavaScript in a package. */
export const workerBeside = (name: string, url: string): URL =>
  new URL(`./${name}${url.endsWith('.ts') ? '.ts' : '.js'}`, url)

/** `at`: to which share, counted from 0. */
export type Answered<Answer> = { readonly at: number; readonly answer: Answer }

/** Answers to `shares`, one message each, as they are ready. */
export async function* inThreads<Share, Answer>(args: {
  readonly worker: URL
  readonly shares: Iterable<Share>
  readonly threads: number
}): AsyncGenerator<Answered<Answer>> {
  const shares = args.shares[Symbol.iterator]()
  const arrived: Answered<Answer>[] = []
  let taken = 0
  let wake = Promise.withResolvers<void>()
  let busy = 0
  let failure: unknown
  const workers = Array.from({ length: Math.max(1, args.threads) }, () => {
    const worker = new Worker(args.worker)
    let at = 0
    const next = () => {
      const share = shares.next()
      if (share.done === true) busy -= 1
      else {
        at = taken
        taken += 1
        worker.postMessage(share.value)
      }
    }
    worker.on('message', (answer: Answer) => {
      arrived.push({ at, answer })
      next()
      wake.resolve()
    })
    worker.on('error', (error) => {
      failure = error
      wake.resolve()
    })
    busy += 1
    next()
    return worker
  })
  try {
    while (busy > 0 || arrived.length > 0) {
      if (failure !== undefined) throw failure
      yield* arrived.splice(0)
      if (busy === 0) continue
      await wake.promise
      wake = Promise.withResolvers<void>()
    }
  } finally {
    await Promise.all(workers.map((worker) => worker.terminate()))
  }
}
