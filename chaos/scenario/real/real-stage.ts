import { mkdirSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { ReplicaReport } from '../../../protocol/inspection.ts'
import { bundlePaths } from '../../../replica/runtime/bundle.ts'
import type { SetEvidence } from '../evidence.ts'
import { History } from '../history.ts'
import type { Told } from '../outcome.ts'
import { REPLICAS, roleIn, type ScenarioSet, type Transaction } from '../scenario.ts'
import type { Stage, StageOptions } from '../stage.ts'
import type { ScenarioCluster } from './cluster.ts'
import { Customers } from './customers.ts'
import { dump, evidenceOf, judge, type Remains } from './evidence.ts'
import { MessageTail } from './message-tail.ts'

const LOOK_MS = 100
/** For who must get level, and for who need not. */
const LEVEL_MS_MAX = 20_000
const CALM_MS_MAX = 3_000
/** Clients whose requests nobody answered learn of them when there is a quorum again. */
const SETTLE_MS_MAX = 5_000

export type RealStageOptions = StageOptions & {
  /** All replicas serve, and their databases are where they stay. */
  readonly onServing: () => Promise<void>
}

/** Sets on real replica processes, real UDP and real databases. */
export class RealStage implements Stage {
  readonly #cluster: ScenarioCluster
  readonly #options: RealStageOptions
  /** Of what is judged. */
  readonly #directory: string
  readonly #history: History
  #customers: Customers
  /** Since the state was fresh. */
  readonly #liars = new Set<number>()
  #hasState = false
  #tail: MessageTail | undefined

  /** @param directory for rows and histories; made here */
  constructor(cluster: ScenarioCluster, directory: string, options: RealStageOptions) {
    mkdirSync(directory, { recursive: true })
    this.#cluster = cluster
    this.#directory = directory
    this.#options = options
    this.#history = new History(join(directory, 'history.jsonl'))
    this.#customers = this.#newCustomers()
  }

  #newCustomers(): Customers {
    return new Customers(this.#cluster, (event) => this.#history.record(event))
  }

  nowMs(): number {
    return performance.now()
  }

  async begin({ live, byzantine, attacks }: ScenarioSet): Promise<void> {
    if (!this.#hasState || !this.#options.keepState) await this.#becomeFresh()
    const down = this.#replicas.filter((id) => !live.some((one) => one === id))
    await this.#cluster.kill(down)
    await this.#cluster.start(live)
    await this.#cluster.lie(byzantine, attacks)
    for (const id of byzantine) this.#liars.add(id)
    await this.#followMessages()
    await this.#settleDoubts()
  }

  get #replicas(): readonly number[] {
    return Array.from({ length: REPLICAS }, (_, id) => id)
  }

  async #becomeFresh(): Promise<void> {
    await this.#customers.close()
    await this.#cluster.startFresh()
    await this.#options.onServing()
    this.#history.restart()
    this.#liars.clear()
    this.#customers = this.#newCustomers()
    this.#hasState = true
  }

  async #followMessages(): Promise<void> {
    const { onMessage } = this.#options
    if (onMessage === undefined) return
    const files = this.#replicas.map((replica) => {
      return { replica, file: bundlePaths(this.#cluster.bundle(replica)).messages }
    })
    this.#tail = await MessageTail.follow(files, onMessage)
  }

  async #settleDoubts(): Promise<void> {
    for (let waitedMs = 0; this.#customers.doubts > 0 && waitedMs < SETTLE_MS_MAX; waitedMs += LOOK_MS) {
      await delay(LOOK_MS)
    }
  }

  perform(transaction: Transaction, patienceMs: number): Promise<Told> {
    return this.#customers.perform(transaction, patienceMs)
  }

  async end(set: ScenarioSet, { expectsLevel }: { readonly expectsLevel: boolean }): Promise<SetEvidence> {
    const correct = set.live.filter((id) => !set.byzantine.includes(id))
    const behind = await this.#becomeLevel(correct, expectsLevel ? LEVEL_MS_MAX : CALM_MS_MAX)
    if (!this.#options.keepState) {
      // Nothing that is still held anywhere is executed behind what is said now: this state goes no further.
      await this.#customers.close()
      await this.#cluster.kill(this.#cluster.running)
    }
    await this.#tail?.stop()
    const remains = this.#replicas.map((id) => this.#remainsOf(id, set))
    for (const { dump } of remains) await rm(dump, { recursive: true, force: true })
    const gathered = await Promise.all(remains.map(dump))
    const judgement = await judge(gathered, {
      genesis: this.#cluster.genesis,
      history: this.#history.path,
      liars: this.#liars,
    })
    return {
      replicas: await Promise.all(gathered.map(evidenceOf)),
      judgement,
      behind: expectsLevel ? behind : [],
      incidents: this.#cluster.takeIncidents(),
    }
  }

  #remainsOf(replica: number, set: ScenarioSet): Remains {
    return {
      replica,
      role: roleIn(set, replica),
      bundle: this.#cluster.bundle(replica),
      databaseUrl: this.#cluster.databaseUrl(replica),
      dump: join(this.#directory, `database-${replica}`),
    }
  }

  /** Twice in a row at one place. @returns who is not where the furthest is, when the time is over */
  async #becomeLevel(ids: readonly number[], msMax: number): Promise<readonly number[]> {
    let before = ''
    let behind: readonly number[] = ids
    for (const startedMs = performance.now(); performance.now() - startedMs < msMax; ) {
      const reports = await this.#cluster.reports()
      behind = behindOf(ids, reports)
      const places = ids.map((id) => `${reports.get(id)?.lastExecuted}`).join(' ')
      if (behind.length === 0 && places === before) return []
      before = places
      await delay(LOOK_MS)
    }
    return behind
  }

  async close(): Promise<void> {
    await this.#tail?.stop()
    await this.#customers.close()
    await this.#cluster.stop()
  }
}

function behindOf(ids: readonly number[], reports: ReadonlyMap<number, ReplicaReport>): number[] {
  const placeOf = (id: number) => reports.get(id)?.lastExecuted ?? -1
  const furthest = Math.max(...ids.map(placeOf))
  return ids.filter((id) => placeOf(id) < furthest || placeOf(id) < 0)
}
