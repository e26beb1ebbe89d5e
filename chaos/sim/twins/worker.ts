import { parentPort } from 'node:worker_threads'
import { type TwinsShare, tally, twins } from './twins.ts'

/** One thread of `twinsInParallel`: a share in, its tally out. */
parentPort?.on('message', (share: TwinsShare) => parentPort?.postMessage(tally(twins(share))))
