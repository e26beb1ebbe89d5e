import { parentPort } from 'node:worker_threads'
import { runSimulated, type SimJob } from './sim-run.ts'

/** One thread of the experiment: a job in, its run out. */
parentPort?.on('message', (job: SimJob) => parentPort?.postMessage(runSimulated(job)))
