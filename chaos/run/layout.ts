import { join } from 'node:path'

/** Where things are in the directory of a run: all that `pbft check --run` needs to judge it again, and people to read. */
export const runPaths = (directory: string) => ({
  /** What ran: seed, plan, versions, machine. */
  run: join(directory, 'run.json'),
  results: join(directory, 'results.json'),
  plan: join(directory, 'plan.yaml'),
  /** A HistoryEvent per line. */
  history: join(directory, 'history.jsonl'),
  faults: join(directory, 'faults.jsonl'),
  /** What replicas said of themselves while it ran, a look per line. */
  samples: join(directory, 'samples.jsonl'),
  /** What replicas sent and received around view changes, merged. */
  messages: join(directory, 'messages.jsonl'),
  junit: join(directory, 'junit.xml'),
  genesis: join(directory, 'genesis.json'),
  cluster: join(directory, 'cluster.json'),
})

/** Of one replica: its logs, its vote logs (`votes`, `votes.lost-<n>`, each with its `archive`), its rows. */
export const replicaPaths = (directory: string, id: number) => {
  const own = join(directory, `replica-${id}`)
  return {
    directory: own,
    log: join(own, 'replica.log'),
    votes: join(own, 'votes'),
    database: join(own, 'database'),
  }
}
