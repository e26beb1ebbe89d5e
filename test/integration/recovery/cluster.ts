import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { compareDatabases } from '../../../chaos/check/compare-databases.ts'
import { openDatabases } from '../../../chaos/check/databases.ts'
import { type LiveChoices, LiveCluster } from '../../../chaos/live/live-cluster.ts'
import type { LiveDatabase } from '../../../chaos/live/live-database.ts'
import { type Bank, connect } from '../../../client/client.ts'
import { findHome } from '../../../db/provision/data-directory.ts'
import { findPostmaster } from '../../../db/provision/postmaster.ts'
import type { ReplicaReport } from '../../../protocol/inspection.ts'
import { bundleOf } from '../../../replica/local-cluster/layout.ts'
import type { LocalClusterEvent } from '../../../replica/local-cluster.ts'
import { bundlePaths } from '../../../replica/runtime/bundle.ts'
import { Depositors, namesOf } from './depositors.ts'

const LOOK_MS = 50
const PATIENCE_MS = 40_000
/** K: small, so that a few seconds of load pass many checkpoints and a state soon can't be reached by messages. */
export const CHECKPOINT_INTERVAL = 10

export type Died = Extract<LocalClusterEvent, { kind: 'died' }>
export type Notice = Extract<LocalClusterEvent, { kind: 'notice' }>

type Choices = {
  readonly replicas?: number
  readonly callers?: number
  /** Accounts that nobody pays into. */
  readonly idle?: readonly string[]
  readonly live?: Partial<LiveChoices>
}

/** A cluster of real processes with databases of their own, under a load whose every answer is remembered. */
export class RecoveryCluster {
  readonly directory: string
  readonly replicas: readonly number[]
  readonly notices: readonly Notice[]
  readonly #parent: string
  /** Who ended unasked. */
  readonly died: readonly Died[]
  readonly live: LiveCluster
  #bank: Bank | undefined
  #load: Depositors | undefined

  private constructor(parts: {
    readonly parent: string
    readonly live: LiveCluster
    readonly died: readonly Died[]
    readonly notices: readonly Notice[]
  }) {
    this.#parent = parts.parent
    this.live = parts.live
    this.directory = parts.live.directory
    this.died = parts.died
    this.notices = parts.notices
    this.replicas = parts.live.replicas
  }

  /** Started and under load. */
  static async start(choices: Choices = {}): Promise<RecoveryCluster> {
    const { replicas = 4, callers = 8, idle = [] } = choices
    const parent = await mkdtemp(join(tmpdir(), 'pbft-recovery-'))
    // As root, Postgres runs as another user, who has to get to its files.
    await chmod(parent, 0o755)
    const notices: Notice[] = []
    const died: Died[] = []
    const live = await LiveCluster.make(
      join(parent, 'cluster'),
      {
        replicas,
        clients: 1,
        accounts: [...namesOf(callers), ...idle].map((id) => ({ id, balance: 0n })),
        checkpointInterval: CHECKPOINT_INTERVAL,
        tuning: { scrubIntervalMs: 50, statusIdleMs: 200 },
        postgres: ['embedded'],
        seed: 1,
        // Only where a test plays with links or connections: else the process that tests would carry them all.
        udpProxy: false,
        databaseProxy: false,
        ...choices.live,
      },
      (event) => {
        if (event.kind === 'died') died.push(event)
        if (event.kind === 'notice') notices.push(event)
      },
    )
    const made = new RecoveryCluster({ parent, live, died, notices })
    try {
      await live.start()
      made.#bank = await connect({ cluster: await live.clientFiles(0), callTimeoutMs: 60_000 })
      made.#load = new Depositors(made.#bank, callers)
      return made
    } catch (error) {
      await made.close()
      throw error
    }
  }

  get load(): Depositors {
    if (this.#load === undefined) throw new Error('the cluster is not started')
    return this.#load
  }

  bundle(id: number): string {
    return bundleOf(this.directory, id)
  }

  votes(id: number): string {
    return bundlePaths(this.bundle(id)).votes
  }

  postgres(id: number): string {
    return bundlePaths(this.bundle(id)).postgres
  }

  get running(): readonly number[] {
    return this.live.running
  }

  /** @throws ReplicaStartError */
  startReplica(id: number, { failpoint }: { readonly failpoint?: string } = {}): Promise<void> {
    const environment = failpoint === undefined ? undefined : { ...process.env, PBFT_FAILPOINT: failpoint }
    return this.live.startReplica(id, environment === undefined ? {} : { environment })
  }

  kill(id: number): Promise<void> {
    return this.live.kill(id)
  }

  /** Started to die at a point; killed before where it runs. */
  async arm(id: number, failpoint: string): Promise<void> {
    if (this.running.includes(id)) await this.kill(id)
    // One that dies on its way up did what was asked.
    await this.startReplica(id, { failpoint }).catch(() => undefined)
  }

  async restart(id: number): Promise<void> {
    if (this.running.includes(id)) await this.kill(id)
    await this.startReplica(id)
  }

  /** How a replica ended that nobody stopped. */
  async untilDied(id: number): Promise<Died> {
    return this.until(`replica ${id} ends`, async () => {
      if (this.running.includes(id)) return undefined
      return this.died.findLast(({ replica }) => replica === id)
    })
  }

  /** Looks until there is something to see. @throws after a while, naming what there was to wait for */
  async until<T>(what: string, look: () => Promise<T | undefined>): Promise<T> {
    const deadlineMs = performance.now() + PATIENCE_MS
    while (performance.now() < deadlineMs) {
      const seen = await look()
      if (seen !== undefined) return seen
      await delay(LOOK_MS)
    }
    const states = (await this.reports()).map(
      ({ replica, view, highestViewChange, lastExecuted, lowWaterMark, isAmnesiac, transfer, database }) =>
        `r${replica} view ${view}/${highestViewChange} executed ${lastExecuted} stable ${lowWaterMark}` +
        `${isAmnesiac ? ' amnesiac' : ''}${transfer === null ? '' : ` fetching ${transfer.seq}`}` +
        `${database.connected ? '' : ' no database'}`,
    )
    throw new Error(`waited in vain until ${what}: ${[`running ${this.running}`, ...states].join('; ')}`)
  }

  async reports(): Promise<readonly ReplicaReport[]> {
    return [...(await this.live.reports()).values()]
  }

  report(id: number): Promise<ReplicaReport> {
    return this.until(`replica ${id} answers`, async () =>
      (await this.reports()).find(({ replica }) => replica === id),
    )
  }

  /** The load goes on past `batches` more of them, unless `mortal` ends before. */
  async advance(batches: number, mortal?: number): Promise<void> {
    const from = await this.until('somebody answers', async () => (await this.highest()) || undefined)
    await this.until(`${batches} batches beyond ${from}`, async () =>
      this.#isGone(mortal) || (await this.highest()) >= from + batches ? true : undefined,
    )
  }

  /** How far anyone has executed. */
  async highest(): Promise<number> {
    return Math.max(0, ...(await this.reports()).map(({ lastExecuted }) => lastExecuted))
  }

  #isGone(id: number | undefined): boolean {
    return id !== undefined && !this.running.includes(id)
  }

  /** All run, and level; those that do not are started. */
  async heal(): Promise<void> {
    for (const id of this.replicas) if (!this.running.includes(id)) await this.startReplica(id)
    await this.level()
  }

  /** Every replica has been where the first one is now, votes, and fetches nothing, unless `mortal` ends before. */
  async level(mortal?: number): Promise<void> {
    const goal = await this.highest()
    await this.until(`all replicas are level at ${goal}`, async () => {
      if (this.#isGone(mortal)) return true
      const reports = await this.reports()
      const isLevel = reports.every((report) => isWell(report) && report.lastExecuted >= goal)
      return isLevel && reports.length === this.replicas.length ? true : undefined
    })
  }

  /** The load pauses, and every replica stands at the same place. */
  async settle(): Promise<void> {
    await this.load.pause()
    await this.until('all replicas stand at the same place', async () => {
      const reports = await this.reports()
      const places = new Set(reports.map(({ lastExecuted, chain }) => `${lastExecuted} ${chain}`))
      const isSettled = reports.every(isWell) && places.size === 1
      return isSettled && reports.length === this.replicas.length ? true : undefined
    })
  }

  /**
   * Settles; then nothing that a caller was told is lost, and all databases are equal and follow from their history.
   * The load goes on. @returns what is wrong, in words; empty when all is well
   */
  async audit(): Promise<string[]> {
    await this.settle()
    const findings = [...(await this.#auditDatabases()), ...(await this.load.audit())]
    this.load.resume()
    return findings
  }

  async #auditDatabases(): Promise<string[]> {
    const { genesis } = this.live
    const { opened, unreachable } = await openDatabases(this.directory, genesis)
    try {
      const views = new Map(opened.map(({ replica, snapshot }) => [replica, snapshot]))
      const { differences, contradictions } = await compareDatabases(views, genesis)
      return [
        ...unreachable.map(({ replica, reason }) => `replica ${replica}: ${reason}`),
        ...differences.map(
          ({ replica, difference }) => `replica ${replica} differs: ${JSON.stringify(difference)}`,
        ),
        ...contradictions.map((found) => `contradiction: ${JSON.stringify(found)}`),
      ]
    } finally {
      await Promise.all(opened.map(({ close }) => close()))
    }
  }

  database(id: number): LiveDatabase {
    return this.live.database(id)
  }

  async postmaster(id: number): Promise<number | undefined> {
    const home = await findHome(this.postgres(id))
    return home === undefined ? undefined : (await findPostmaster(home.data))?.pid
  }

  /** The replica's own log file. It writes there when it has time: what it has to say may come later. */
  logOf(id: number): Promise<string> {
    return readFile(bundlePaths(this.bundle(id)).log, 'utf8')
  }

  /** The log of the first of these replicas that says so, behind its first `from` characters. */
  untilLogged(
    ids: number | readonly number[],
    text: RegExp,
    { from = 0 }: { readonly from?: number } = {},
  ): Promise<string> {
    return this.until(`the log of replica ${ids} says ${text}`, async () => {
      const logs = await Promise.all([ids].flat().map((id) => this.logOf(id)))
      return logs.map((log) => log.slice(from)).find((log) => text.test(log))
    })
  }

  wipeVotes(id: number): Promise<void> {
    return this.live.wipeVotes(id)
  }

  wipeDatabase(id: number): Promise<void> {
    return this.live.wipeDatabase(id)
  }

  async close(): Promise<void> {
    await this.#load?.stop()
    await this.#bank?.close()
    await this.live.remove()
    await rm(this.#parent, { recursive: true, force: true })
  }
}

const isWell = ({ isAmnesiac, transfer, database }: ReplicaReport): boolean =>
  !isAmnesiac && transfer === null && database.connected
