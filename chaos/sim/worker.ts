import { parentPort } from 'node:worker_threads'
import type { Share } from './parallel.ts'
import { campaign } from './simulate.ts'

/** One thread of `campaignInParallel`: a share of seeds in, their reports out. */
parentPort?.on('message', (share: Share) => parentPort?.postMessage([...campaign(share)]))
