import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Machine } from '../../sim/machine.ts'
import { Violation } from '../../sim/violation.ts'
import { type Judgement, NOBODY_CORRECT, type ReplicaEvidence, type SetEvidence } from '../evidence.ts'
import { describeTraceLine, isWorthSaying } from '../inspect/log.ts'
import type { Told } from '../outcome.ts'
import {
  describeAttacks,
  describeReplicas,
  nameOf,
  roleIn,
  type ScenarioSet,
  type Transaction,
} from '../scenario.ts'
import type { Stage, StageOptions } from '../stage.ts'
import { SimCluster } from './sim-cluster.ts'

/** Simulated. */
const LEVEL_MS_MAX = 20_000
const CALM_MS_MAX = 3_000

/** Sets in the deterministic simulator: equal files give equal runs, to the microsecond. */
export class SimStage implements Stage {
  readonly #options: StageOptions
  #cluster: SimCluster | undefined
  /** What the simulation's checks found: it does not go on behind that. */
  #violation: Violation | undefined
  /** Calls under way, each ended by what its client is told. */
  readonly #calls = new Set<(told: Told) => void>()
  #isDriving = false

  constructor(options: StageOptions) {
    this.#options = options
  }

  nowMs(): number {
    return this.#cluster?.nowMs ?? 0
  }

  get #current(): SimCluster {
    if (this.#cluster === undefined) throw new Error('no set has begun')
    return this.#cluster
  }

  async begin({ live, byzantine, attacks }: ScenarioSet): Promise<void> {
    if (this.#cluster === undefined || !this.#options.keepState) {
      this.#violation = undefined
      this.#cluster = new SimCluster((replica, line) => {
        if (!isWorthSaying(line)) return
        const seconds = (line.atMs / 1_000).toFixed(3).padStart(8)
        this.#options.onMessage?.(`${seconds} s  ${nameOf(replica)} ${describeTraceLine(line)}`)
      })
    }
    const cluster = this.#current
    this.#guarded(() => cluster.arrange({ live, liars: byzantine, attacks: describeAttacks(attacks) }))
  }

  perform(transaction: Transaction, patienceMs: number): Promise<Told> {
    const { promise, resolve } = Promise.withResolvers<Told>()
    const answer = (told: Told) => {
      this.#calls.delete(answer)
      resolve(told)
    }
    this.#calls.add(answer)
    this.#guarded(() => this.#current.begin(transaction, patienceMs, answer))
    void this.#drive()
    return promise
  }

  /** Runs events while somebody waits; whoever may call now, or got an answer, does so before time goes on. */
  async #drive(): Promise<void> {
    if (this.#isDriving) return
    this.#isDriving = true
    while (this.#calls.size > 0) {
      await nextTurn()
      const waiting = this.#calls.size
      this.#guarded(() =>
        this.#current.simulation.runUntil(() => this.#calls.size < waiting, Number.POSITIVE_INFINITY),
      )
    }
    this.#isDriving = false
  }

  /** A check that fails ends the run: who waits is told so. */
  #guarded(work: () => void): void {
    try {
      if (this.#violation === undefined) work()
    } catch (error) {
      if (!(error instanceof Violation)) throw error
      this.#violation = error
    }
    if (this.#violation === undefined) return
    for (const answer of this.#calls) answer({ kind: 'unknown', why: 'the simulation ended at a violation' })
  }

  async end(set: ScenarioSet, { expectsLevel }: { readonly expectsLevel: boolean }): Promise<SetEvidence> {
    const { simulation, messages } = this.#current
    const correct = simulation.machines.filter(({ replica }) => roleIn(set, replica) === 'correct')
    const behind = () => correct.filter((machine) => !this.#isLevel(machine, correct))
    this.#guarded(() => {
      simulation.runUntil(
        () => behind().length === 0,
        this.nowMs() + (expectsLevel ? LEVEL_MS_MAX : CALM_MS_MAX),
      )
      if (!this.#options.keepState) for (const machine of simulation.machines) machine.kill()
    })
    return {
      replicas: simulation.machines.map((machine) =>
        evidenceOf(machine, set, messages[machine.replica] ?? []),
      ),
      judgement: this.#judge(),
      behind: expectsLevel ? behind().map(({ replica }) => replica) : [],
      incidents: [],
    }
  }

  #isLevel({ database }: Machine, others: readonly Machine[]): boolean {
    const furthest = Math.max(...others.map((one) => one.database.store.position.lastExecuted))
    return database.store.position.lastExecuted === furthest
  }

  /** Of those that never lied since the state was fresh. */
  #judge(): Judgement {
    const { simulation } = this.#current
    if (this.#violation !== undefined) {
      const { kind, message } = this.#violation
      return { verdict: 'fail', summary: `${kind}: ${message}`, properties: [] }
    }
    const honest = simulation.machines.filter(({ replica }) => !simulation.world.liars.has(replica))
    if (honest.length === 0) return NOBODY_CORRECT
    const { height } = simulation
    const highest = honest.filter(({ database }) => database.store.position.lastExecuted === height)
    const unlike = simulation.unlikeModel(highest)
    if (unlike !== undefined) {
      const summary = `the rows of ${nameOf(unlike.replica)} differ from those that the agreed batches make`
      return { verdict: 'fail', summary, properties: [] }
    }
    const rows = describeReplicas(highest.map(({ replica }) => replica))
    const summary =
      height === 0
        ? 'every check held behind every event; nothing was executed, and every database holds what it was opened with'
        : `every check held behind every event, and the rows of ${rows} are those that the agreed batches up to seq ${height} make`
    return { verdict: 'pass', summary, properties: [] }
  }

  async close(): Promise<void> {
    this.#cluster = undefined
  }
}

function evidenceOf(
  { replica, database, disk }: Machine,
  set: ScenarioSet,
  messages: ReplicaEvidence['messages'],
): ReplicaEvidence {
  const { lastExecuted, chain } = database.store.position
  const rows = database.store.allRows()
  return {
    replica,
    role: roleIn(set, replica),
    lastExecuted,
    chain,
    balances: new Map(rows.accounts.map(({ id, balance }) => [id, balance])),
    lanes: rows.clients,
    records: disk.records,
    messages,
  }
}
