import { replicaId } from '../../protocol/types.ts'
import { bundlePaths, loadBundle } from './bundle.ts'
import { ReplicaDatabase } from './database.ts'
import { openVotes } from './open-votes.ts'
import { Replica, type ReplicaOptions, type RunningReplica } from './replica.ts'

export type StartedReplica = RunningReplica & {
  /** Stops serving, makes the log durable, and stops the database if this replica started it. */
  stop(): Promise<void>
}

/** @throws ConfigError, VoteLogError, ProvisionError, StoreError, UdpError, ReplicaFault: each says what to do. */
export async function startReplica(options: ReplicaOptions): Promise<StartedReplica> {
  const bundle = await loadBundle(options.bundleDirectory)
  const { genesis, own } = bundle
  const votes = await openVotes(bundlePaths(bundle.directory).votes, {
    genesisDigest: genesis.digest,
    replica: replicaId(own.id),
    archive: options.archive ?? false,
    noteSynced: options.noteSynced ?? false,
    onNotice: options.onNotice,
  })
  const undo: (() => Promise<void>)[] = [() => votes.log.close()]
  try {
    const database = await ReplicaDatabase.open(bundle)
    undo.push(() => database.stop())
    const replica = new Replica({ bundle, options, votes, database })
    undo.push(() => replica.close())
    await replica.serve()
    return { ...replica.running(), stop: () => unwind(undo) }
  } catch (error) {
    await unwind(undo)
    throw error
  }
}

async function unwind(undo: (() => Promise<void>)[]): Promise<void> {
  for (let step = undo.pop(); step !== undefined; step = undo.pop()) await step()
}
