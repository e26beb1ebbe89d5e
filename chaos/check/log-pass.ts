import type { Genesis } from '../../protocol/config.ts'
import type { Batch } from '../../protocol/messages.ts'
import type { Digest, Seq } from '../../protocol/types.ts'
import type { LogDamage } from '../../replica/runtime/vote-log/offline-scan.ts'
import { type AgreedSlot, agreedLog } from './logs/agreed-log.ts'
import type { LogSource } from './logs/log-sources.ts'
import { AgreementCheck } from './properties/agreement.ts'
import type { ChainOfDatabase } from './properties/chain.ts'
import { CheckpointVotes } from './properties/checkpoints.ts'
import { MonotonicityCheck } from './properties/monotonicity.ts'
import { ProofCheck } from './properties/proof.ts'
import { ValidityCheck } from './properties/validity.ts'
import { SignaturePool } from './signatures/pool.ts'
import { statementsOf, verdictsOf } from './signatures/slot-statements.ts'

export type DamagedLog = LogDamage & { readonly source: LogSource }

/** One reading of all vote logs, and what each property that is about them came to. */
export class LogPass {
  readonly agreement: AgreementCheck
  readonly proof: ProofCheck
  readonly validity: ValidityCheck
  readonly monotonicity = new MonotonicityCheck()
  readonly checkpoints = new CheckpointVotes()
  readonly damage: DamagedLog[] = []
  readonly pool: SignaturePool
  readonly #genesis: Genesis
  readonly #sources: readonly LogSource[]
  readonly #chains: readonly ChainOfDatabase[]
  readonly #judging = new Set<Promise<void>>()
  #operations = 0

  constructor(
    genesis: Genesis,
    { sources, chains }: { sources: readonly LogSource[]; chains: readonly ChainOfDatabase[] },
  ) {
    const replicas = genesis.replicas.length
    const { allowByzantine } = genesis
    this.#genesis = genesis
    this.#sources = sources
    this.#chains = chains
    this.pool = new SignaturePool(genesis)
    this.agreement = new AgreementCheck({
      replicas,
      databases: chains.map(({ replica, lastExecuted, batches }) => ({
        replica,
        lastExecuted,
        batchAt: (seq) => batches.get(seq),
      })),
    })
    this.proof = new ProofCheck({ replicas, allowByzantine })
    this.validity = new ValidityCheck(genesis)
  }

  /** Of all agreed batches. */
  get operations(): number {
    return this.#operations
  }

  /** Reads the logs; `onAgreed` gets each decided number in order. Resolves when every signature is verified. */
  async run(onAgreed: (slot: AgreedSlot) => void): Promise<void> {
    const slots = agreedLog(this.#sources, {
      genesis: this.#genesis,
      onRecord: (record, source) => {
        this.monotonicity.onRecord(record, source)
        this.checkpoints.onRecord(record, source.replica)
      },
      onDamage: (damage, source) => this.damage.push({ ...damage, source }),
      onLate: (record, { replica }) => {
        if (record.kind === 'committed') this.agreement.onLateMark({ ...record, replica })
      },
      executedAt: (seq) => this.#executedAt(seq),
    })
    for await (const slot of slots) {
      this.agreement.onSlot(slot)
      this.#operations += operationsOf(slot.batch)
      this.#judge(slot)
      onAgreed(slot)
      await this.pool.room()
    }
    await this.#settled()
  }

  async #settled(): Promise<void> {
    await this.pool.drain()
    await Promise.all(this.#judging)
  }

  #judge(slot: AgreedSlot): void {
    const statements = statementsOf(slot, this.#genesis.replicas.length)
    const judging = this.pool.check(statements).then((valid) => {
      const verdicts = verdictsOf(slot, valid)
      const isProven = this.proof.onSlot(slot, verdicts, this.#executedBy(slot.seq, slot.digest))
      if (slot.batch === null) return
      const { unsigned } = verdicts
      this.validity.onBatch(slot.seq, { requests: slot.batch.requests.length, unsigned, isProven })
    })
    this.#judging.add(judging)
    void judging.then(
      () => this.#judging.delete(judging),
      () => undefined,
    )
  }

  /** What most databases executed there. */
  #executedAt(seq: Seq): Digest | undefined {
    const digests = this.#chains.flatMap(({ batches }) => batches.get(seq) ?? [])
    const [most] = [...Map.groupBy(digests, (digest) => digest)].sort(([, a], [, b]) => b.length - a.length)
    return most?.[0]
  }

  #executedBy(seq: number, digest: Digest): number[] {
    return this.#chains.filter(({ batches }) => batches.get(seq) === digest).map(({ replica }) => replica)
  }

  /** Numbers that databases executed and no log speaks of. */
  finishUnlogged(): void {
    const highest = Math.max(0, ...this.#chains.map(({ batches }) => batches.highest))
    for (let seq = 1; seq <= highest; seq++) {
      if (this.agreement.decided.get(seq) !== undefined) continue
      const digest = this.#executedAt(seq as Seq)
      if (digest === undefined) continue
      this.agreement.onDatabasesAlone(seq)
      if (this.#sources.length > 0) this.proof.onUnlogged(seq, digest, this.#executedBy(seq, digest))
    }
  }

  /** The batches at these numbers, found by reading the logs once more. */
  async batchesAt(seqs: ReadonlySet<number>): Promise<Map<number, Batch>> {
    const found = new Map<number, Batch>()
    const ignore = () => undefined
    const slots = agreedLog(this.#sources, {
      genesis: this.#genesis,
      onRecord: ignore,
      onDamage: ignore,
      onLate: ignore,
      executedAt: () => undefined,
    })
    for await (const { seq, batch } of slots) {
      if (seqs.has(seq) && batch !== null) found.set(seq, batch)
      if (found.size === seqs.size) break
    }
    return found
  }
}

const operationsOf = (batch: Batch | null): number =>
  (batch?.requests ?? []).reduce((sum, { operations }) => sum + operations.length, 0)
