import type { Link } from '../../../chaos/live/live-network.ts'
import type { StruckCluster } from '../../../chaos/live/struck-cluster.ts'
import type { ReplicaReport } from '../../../protocol/inspection.ts'

/** A cluster that only notes what is done to it; replicas are level at once, unless a test holds one back. */
export class FakeCluster implements StruckCluster {
  readonly done: string[] = []
  readonly replicas: readonly number[]
  readonly #running: Set<number>
  readonly #paused = new Set<number>()
  /** Replicas that never get level again. */
  readonly late = new Set<number>()
  readonly unstartable = new Set<number>()
  /** Replicas whose databases can't be wiped. */
  readonly unwipeable = new Set<number>()
  /** Of the last rule: from>to. */
  links: readonly string[] = []
  mostBroken = 0
  view = 0
  rules = 0

  constructor(replicas = 4) {
    this.replicas = Array.from({ length: replicas }, (_, id) => id)
    this.#running = new Set(this.replicas)
  }

  get running(): readonly number[] {
    return [...this.#running].sort((a, b) => a - b)
  }

  /** How many cannot be counted on now. */
  get broken(): number {
    return this.replicas.filter((id) => !this.#running.has(id) || this.#paused.has(id)).length
  }

  readonly network = {
    add: (links: readonly Link[]) => {
      this.rules += 1
      this.links = links.map(({ from, to }) => `${from}>${to}`)
      this.done.push(`rule on ${links.length}`)
      return () => {
        this.rules -= 1
        this.done.push(`mend ${links.length}`)
      }
    },
    heal: () => {
      this.rules = 0
    },
  }

  database(id: number) {
    const note = (what: string) => {
      this.done.push(`${what} database ${id}`)
    }
    return {
      slow: (ms: number) => note(`slow ${ms}`),
      cut: () => note('cut'),
      refuse: () => note('refuse'),
      open: () => note('open'),
      killServer: async () => note('kill'),
      pauseServer: async () => note('pause'),
      resumeServer: async () => note('resume'),
      query: async (sql: string) => {
        note(`edit ${sql.slice(0, 6)}`)
        return { columns: [], rows: [] }
      },
    }
  }

  async startReplica(id: number): Promise<void> {
    if (this.unstartable.has(id)) throw new Error(`replica ${id} did not start: its port is taken`)
    this.#running.add(id)
    this.done.push(`start ${id}`)
  }

  async kill(id: number): Promise<void> {
    this.#running.delete(id)
    this.mostBroken = Math.max(this.mostBroken, this.broken)
    this.done.push(`kill ${id}`)
  }

  async terminate(id: number): Promise<void> {
    this.#running.delete(id)
    this.done.push(`terminate ${id}`)
  }

  pause(id: number): void {
    this.#paused.add(id)
    this.done.push(`pause ${id}`)
  }

  resume(id: number): void {
    if (this.#paused.delete(id)) this.done.push(`resume ${id}`)
  }

  async losePower(ids: readonly number[]): Promise<void> {
    for (const id of ids) this.#running.delete(id)
    this.done.push(`power ${ids.join()}`)
  }

  async wipeVotes(id: number): Promise<void> {
    this.done.push(`wipe votes ${id}`)
  }

  async wipeDatabase(id: number): Promise<void> {
    if (this.unwipeable.has(id)) throw new Error(`the database of replica ${id} is in use`)
    this.done.push(`wipe database ${id}`)
  }

  async control(id: number, command: { readonly kind: string }): Promise<void> {
    this.done.push(`control ${id} ${JSON.stringify(command)}`)
  }

  async reports(): Promise<ReadonlyMap<number, ReplicaReport>> {
    const answering = this.running.filter((id) => !this.#paused.has(id))
    return new Map(answering.map((id) => [id, this.#report(id)]))
  }

  #report(replica: number): ReplicaReport {
    return {
      replica,
      pid: 1,
      upMs: 1,
      view: this.view,
      highestViewChange: this.view,
      primary: this.view % this.replicas.length,
      lastExecuted: this.late.has(replica) ? 1 : 10,
      chain: '',
      lowWaterMark: 0,
      peers: [],
      isAmnesiac: false,
      accused: [],
      transfer: null,
      viewChanges: { started: 0, entered: 0 },
      database: { url: '', connected: true, pid: null },
      committed: {},
      executed: { batches: 0, operations: 0 },
      cpu: { userMs: 0, systemMs: 0 },
      memory: { rssBytes: 0, heapUsedBytes: 0 },
      sent: {},
      counters: {},
    }
  }
}
