import { LiveCluster } from '../../../chaos/live/live-cluster.ts'

/** Makes a cluster in the directory that it is given, says which processes run, and waits to be killed. */
const [, , directory = ''] = process.argv
const cluster = await LiveCluster.make(directory, {
  replicas: 4,
  clients: 1,
  accounts: [],
  postgres: ['embedded'],
  seed: 1,
})
await cluster.start()
const reports = [...(await cluster.reports()).values()]
process.stdout.write(`${JSON.stringify(reports.flatMap(({ pid, database }) => [pid, database.pid]))}\n`)
