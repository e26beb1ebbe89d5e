import { existsSync } from 'node:fs'
import { rename } from 'node:fs/promises'
import { PostgresStore } from '../../db/postgres/store.ts'
import type { Position } from '../../db/store.ts'
import type { Genesis } from '../../protocol/config.ts'
import { keyPairFromSeed, signerOf } from '../../protocol/crypto.ts'
import type { Vote } from '../../protocol/messages.ts'
import { signedBytes } from '../../protocol/signing.ts'
import { type Digest, logPosition, replicaId, type Seq } from '../../protocol/types.ts'
import { type Bundle, bundlePaths, loadBundle } from '../runtime/bundle.ts'
import { openDatabase } from '../runtime/database.ts'
import { DirectoryLock } from '../runtime/vote-log/directory-lock.ts'
import { VoteLog } from '../runtime/vote-log/vote-log.ts'
import { VoteLogError } from '../runtime/vote-log/vote-log-error.ts'
import { AlreadyRunningError } from './claims.ts'
import { bundleOf } from './layout.ts'

/** Where the whole cluster begins again: the newest state that any database holds. */
export type ResetPoint = {
  readonly seq: Seq
  readonly chain: Digest
  readonly stateRoot: Digest
  /** Each replica's database, by its id; those below `seq` fetch the state when they start. */
  readonly positions: readonly Seq[]
}

/** The databases do not continue each other: no state of them is the cluster's. */
export class DatabasesDisagreeError extends Error {
  override name = 'DatabasesDisagreeError'
}

/**
 * [D5] What the databases of a stopped cluster agree on. Starts embedded ones for as long as it takes.
 * @throws DatabasesDisagreeError, ConfigError, ProvisionError, StoreError
 */
export async function findResetPoint(directory: string, genesis: Genesis): Promise<ResetPoint> {
  const opened: Opened[] = []
  try {
    for (const { id } of genesis.replicas)
      opened.push(await open(await loadBundle(bundleOf(directory, id)), genesis))
    const newest = opened.reduce((best, one) =>
      one.position.lastExecuted > best.position.lastExecuted ? one : best,
    )
    for (const other of opened) await requireContinued(other, newest)
    const held = opened.filter(({ position }) => position.lastExecuted === newest.position.lastExecuted)
    const roots = await Promise.all(held.map(async ({ store }) => (await store.takeCheckpoint()).stateRoot))
    const [stateRoot] = roots
    const liar = roots.findIndex((root) => root !== stateRoot)
    if (stateRoot === undefined || liar !== -1) {
      throw new DatabasesDisagreeError(
        `the databases of replicas ${held[0]?.id} and ${held[liar]?.id} hold different rows after the same ` +
          `${newest.position.lastExecuted} batches: run \`pbft check\`, which names the row, and repair it first`,
      )
    }
    const { lastExecuted: seq, chain } = newest.position
    return { seq, chain, stateRoot, positions: opened.map(({ position }) => position.lastExecuted) }
  } finally {
    for (const { close } of opened) await close()
  }
}

type Opened = {
  readonly id: number
  readonly store: PostgresStore
  readonly position: Position
  close(): Promise<void>
}

async function open(bundle: Bundle, genesis: Genesis): Promise<Opened> {
  const { id } = bundle.own
  const database = await openDatabase(bundle)
  const store = new PostgresStore({ url: database.url, genesis, replica: replicaId(id) })
  const close = async () => {
    await store.close()
    await database.stop()
  }
  try {
    return { id, store, position: await store.connect(), close }
  } catch (error) {
    await close()
    throw error
  }
}

async function requireContinued({ id, position }: Opened, newest: Opened): Promise<void> {
  const { lastExecuted, chain } = position
  const theirs = lastExecuted === 0 ? chain : (await newest.store.chainAt(lastExecuted))?.chain
  if (theirs === chain) return
  throw new DatabasesDisagreeError(
    `the databases of replicas ${id} and ${newest.id} hold different histories at ${lastExecuted}: run \`pbft check\`, ` +
      'which names the row. No state of theirs is the cluster’s.',
  )
}

/**
 * Gives every replica a vote log that begins at `point`, proven by the signatures of all of them. The old logs are
 * kept beside it. The new ones take their places only when no old one is left in its own: wherever this is interrupted,
 * nobody that remembers what others promised meets somebody that does not; done again it does the same.
 * @returns where each old log went, by replica; null where there was none
 * @throws AlreadyRunningError while a replica runs @throws VoteLogError, ConfigError
 */
export async function resetVotes(
  directory: string,
  genesis: Genesis,
  point: ResetPoint,
): Promise<(string | null)[]> {
  const bundles = await Promise.all(genesis.replicas.map(({ id }) => loadBundle(bundleOf(directory, id))))
  const locks = lockAll(bundles)
  try {
    const fresh: string[] = []
    const checkpoints = bundles.map((bundle) => voteOf(bundle, point))
    for (const bundle of bundles) fresh.push(await writeLog(bundle, { point, checkpoints }))
    const kept: (string | null)[] = []
    for (const bundle of bundles) kept.push(await putAside(bundlePaths(bundle.directory).votes))
    for (const [i, { directory: own }] of bundles.entries()) {
      const log = fresh[i]
      if (log !== undefined) await rename(log, bundlePaths(own).votes)
    }
    return kept
  } finally {
    for (const lock of locks) lock.release()
  }
}

/** A replica that runs holds its vote log's lock, and one without a log makes one as it starts. */
function lockAll(bundles: readonly Bundle[]): DirectoryLock[] {
  const locks: DirectoryLock[] = []
  try {
    for (const { directory } of bundles) {
      const { votes } = bundlePaths(directory)
      if (existsSync(votes)) locks.push(DirectoryLock.take(votes))
    }
    return locks
  } catch (error) {
    for (const lock of locks) lock.release()
    if (!(error instanceof VoteLogError) || error.code !== 'locked') throw error
    throw new AlreadyRunningError(`${error.message} Stop every replica first.`, { cause: error })
  }
}

/** @throws AlreadyRunningError */
export function requireStopped(bundles: readonly Bundle[]): void {
  for (const lock of lockAll(bundles)) lock.release()
}

async function writeLog(
  { directory, genesis, own }: Bundle,
  { point, checkpoints }: { readonly point: ResetPoint; readonly checkpoints: readonly Vote[] },
): Promise<string> {
  const path = freeName(`${bundlePaths(directory).votes}.new`)
  const identity = { genesisDigest: genesis.digest, replica: replicaId(own.id) }
  await VoteLog.create(path, identity)
  const { log } = await VoteLog.open(path, identity)
  const { seq, stateRoot, chain } = point
  if (seq > 0) log.append(logPosition(1), { kind: 'stable', seq, stateRoot, chain, checkpoints }, true)
  await log.close()
  return path
}

async function putAside(votes: string): Promise<string | null> {
  if (!existsSync(votes)) return null
  const kept = freeName(`${votes}.reset`)
  await rename(votes, kept)
  return kept
}

/** `path` with the first number behind it that nothing has. */
function freeName(path: string): string {
  let number = 1
  while (existsSync(`${path}-${number}`)) number += 1
  return `${path}-${number}`
}

function voteOf({ genesis, own }: Bundle, { seq, stateRoot, chain }: ResetPoint): Vote {
  const replica = replicaId(own.id)
  const signer = signerOf(keyPairFromSeed(Buffer.from(own.secretSeed, 'hex')).secretKey)
  const statement = {
    type: 'checkpoint',
    view: 0,
    seq,
    signer: replica,
    digests: [stateRoot, chain],
  } as const
  return { replica, signature: signer.sign(signedBytes(Buffer.from(genesis.clusterId, 'hex'), statement)) }
}
