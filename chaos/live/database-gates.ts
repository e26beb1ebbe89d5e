import type { StruckCluster } from './struck-cluster.ts'

type Hold = { readonly kind: 'refuse' } | { readonly kind: 'slow'; readonly ms: number }

/** What faults ask of the proxies before the databases: the end of one does not end what another asks for. */
export class DatabaseGates {
  readonly #cluster: Pick<StruckCluster, 'database'>
  readonly #holds = new Map<number, Set<Hold>>()

  constructor(cluster: Pick<StruckCluster, 'database'>) {
    this.#cluster = cluster
  }

  /** In force until the returned function is called. */
  hold(id: number, hold: Hold): () => void {
    const own = { ...hold }
    const holds = this.#holds.get(id) ?? new Set<Hold>()
    this.#holds.set(id, holds.add(own))
    this.#apply(id)
    return () => {
      if (!holds.delete(own)) return
      this.#cluster.database(id).open()
      this.#apply(id)
    }
  }

  #apply(id: number): void {
    const holds = [...(this.#holds.get(id) ?? [])]
    const database = this.#cluster.database(id)
    const slowMs = Math.max(0, ...holds.map((hold) => (hold.kind === 'slow' ? hold.ms : 0)))
    if (slowMs > 0) database.slow(slowMs)
    if (holds.some(({ kind }) => kind === 'refuse')) database.refuse()
  }
}
