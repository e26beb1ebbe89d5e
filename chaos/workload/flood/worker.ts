import { parentPort } from 'node:worker_threads'
import { Flooder, type FloodOrder } from './flooder.ts'

/** One flooder in a thread: floods from its order until it is told to stop, and then says how much it sent. */
let flooder: Promise<Flooder> | undefined
parentPort?.on('message', async (order: FloodOrder | 'stop') => {
  if (order === 'stop') {
    parentPort?.postMessage((await (await flooder)?.stop()) ?? 0)
    return
  }
  flooder = Flooder.start(order)
  await flooder
  parentPort?.postMessage('flooding')
})
