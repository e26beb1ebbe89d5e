import { MemoryStore } from '../../../db/memory-store.ts'
import type { BatchAt, Executed } from '../../../db/store.ts'
import type { Genesis } from '../../../protocol/config.ts'
import type { Request } from '../../../protocol/messages.ts'
import { type AccountId, EXTERNAL_ACCOUNT, type Operation } from '../../../protocol/operations.ts'
import type { Digest, PrincipalId, ReplicaId, Seq } from '../../../protocol/types.ts'
import type { Happenings } from '../happenings.ts'
import { Violation } from '../violation.ts'
import type { AuthorityCheck } from './authority-check.ts'

export type AgreedResult = {
  readonly seq: Seq
  readonly digest: Digest
  readonly result: Uint8Array
}

type Version = { readonly version: Seq; readonly balance: bigint | null }

export const requestKey = (request: Pick<Request, 'client' | 'lane' | 'number'>): string =>
  `${request.client}/${request.lane}/${request.number}`

/**
 * The one history that all replicas must share. Whoever executes a sequence number first extends it; everybody after
 * must get the same chain. A model of its own executes each batch once more, so that all being wrong alike is seen.
 */
export class HistoryCheck {
  readonly #model: MemoryStore
  readonly #happenings: Happenings
  readonly #authority: AuthorityCheck
  readonly #checkpointInterval: number
  /** By seq; the chain covers batch and results. */
  readonly #chains: Digest[] = []
  /** Of the batch that was executed at a seq, and of what some replica holds for committed there. */
  readonly #batches: Digest[] = []
  readonly #committed = new Map<Seq, Digest>()
  readonly #roots = new Map<Seq, Digest>()
  readonly #results = new Map<string, AgreedResult>()
  readonly #versions = new Map<AccountId, Version[]>()
  /** Requests that a client was told will never execute. */
  readonly #fenced = new Set<string>()

  constructor(
    genesis: Genesis,
    { happenings, authority }: { readonly happenings: Happenings; readonly authority: AuthorityCheck },
  ) {
    this.#model = new MemoryStore({ genesis })
    this.#model.connectSync()
    this.#happenings = happenings
    this.#authority = authority
    authority.begin(this.#model)
    this.#checkpointInterval = genesis.parameters.checkpointInterval
    this.#chains.push(genesis.digest)
    this.#batches.push(genesis.digest)
    for (const { id } of genesis.accounts) this.#remember(id)
    this.#remember(EXTERNAL_ACCOUNT)
  }

  get height(): Seq {
    return (this.#chains.length - 1) as Seq
  }

  get model(): MemoryStore {
    return this.#model
  }

  /** A replica's database committed this run. */
  onCommitted(
    replica: PrincipalId,
    run: readonly BatchAt[],
    { executed, sum }: { readonly executed: readonly Executed[]; readonly sum: bigint },
  ): void {
    if (sum !== 0n) throw new Violation('money', `replica ${replica}: the balances add up to ${sum}`)
    executed.forEach((one, index) => {
      const at = run[index]
      if (at === undefined || at.seq !== one.seq) throw new Error('a run and its results differ in length')
      if (one.seq === this.#chains.length) this.#extend(replica as ReplicaId, at, one)
      const agreed = this.#chains[one.seq]
      if (agreed !== one.chain) {
        throw new Violation(
          'agreement',
          `seq ${one.seq}: replica ${replica} executed batch ${at.batch.digest.slice(0, 8)} to chain ` +
            `${one.chain.slice(0, 8)}, others have ${agreed?.slice(0, 8)}`,
        )
      }
    })
  }

  #extend(replica: ReplicaId, at: BatchAt, executed: Executed): void {
    for (const { client, lane, number, requestDigest, result } of executed.lanes) {
      const key = requestKey({ client, lane, number })
      const before = this.#results.get(key)
      if (before !== undefined) {
        throw new Violation('executed-twice', `request ${key} at seq ${before.seq} and again at ${at.seq}`)
      }
      if (this.#fenced.has(key)) {
        throw new Violation(
          'wrong-answer',
          `request ${key} executes at ${at.seq}; its client knows it never will`,
        )
      }
      this.#results.set(key, { seq: at.seq, digest: requestDigest, result })
    }
    if (executed.lanes.length < at.batch.requests.length) this.#happenings.count('stale request ordered')
    const [modelled] = this.#model.executeSync([at], { durable: true })
    if (modelled?.chain !== executed.chain) {
      throw new Violation('agreement', `seq ${at.seq}: replica ${replica} differs from the model`)
    }
    this.#authority.onExecuted(at.seq, at.batch, this.#model)
    this.#chains.push(executed.chain)
    this.#batches.push(at.batch.digest)
    if (at.seq % this.#checkpointInterval === 0) {
      this.#roots.set(at.seq, this.#model.takeCheckpointSync().stateRoot)
      this.#model.keepCheckpoints([])
    }
    for (const { operations } of at.batch.requests) {
      for (const operation of operations) for (const account of touched(operation)) this.#remember(account)
    }
  }

  #remember(account: AccountId): void {
    const [value] = this.#model.readSync([account]).values
    if (value === undefined) return
    let versions = this.#versions.get(account)
    if (versions === undefined) {
      versions = [{ version: 0 as Seq, balance: null }]
      this.#versions.set(account, versions)
    }
    const last = versions.at(-1)
    const { version, balance } = value
    if (last?.version === version && last.balance === balance) return
    // A genesis row takes the place of the absent one, which has version 0, too.
    if (last?.version === version) versions.pop()
    versions.push({ version, balance })
  }

  /** The digest of the batch that was executed at `seq`. */
  batchAt(seq: Seq): Digest | undefined {
    return this.#batches[seq]
  }

  /** A replica holds this batch for committed: so does every other, in whatever view. */
  onAgreed(replica: ReplicaId, { seq, digest }: { readonly seq: Seq; readonly digest: Digest }): void {
    const before = this.#committed.get(seq) ?? digest
    this.#committed.set(seq, before)
    if (before === digest) return
    throw new Violation(
      'agreement',
      `seq ${seq}: ${digest.slice(0, 8)} is committed at replica ${replica}, ${before.slice(0, 8)} at another`,
    )
  }

  /** [CP2] A replica took a checkpoint: its root is the model's, unless somebody changed its rows by hand. */
  onRoot(
    { seq, stateRoot, chain }: { readonly seq: Seq; readonly stateRoot: Digest; readonly chain: Digest },
    { replica, isTampered }: { readonly replica: ReplicaId; readonly isTampered: boolean },
  ): void {
    if (isTampered) return
    const root = this.#roots.get(seq) ?? stateRoot
    this.#roots.set(seq, root)
    if (root === stateRoot && this.#chains[seq] === chain) return
    throw new Violation('state', `the state of replica ${replica} at seq ${seq} is not what was agreed`)
  }

  /** [CP4] A fetched state was put in place: it is one that was executed. */
  onInstalled(
    replica: ReplicaId,
    { lastExecuted, chain }: { readonly lastExecuted: Seq; readonly chain: Digest },
  ): void {
    if (this.#chains[lastExecuted] === chain) return
    throw new Violation('state', `replica ${replica} installed a state at ${lastExecuted} that never was`)
  }

  resultOf(request: Pick<Request, 'client' | 'lane' | 'number'>): AgreedResult | undefined {
    return this.#results.get(requestKey(request))
  }

  /** A client learnt that the request never executes. */
  fence(request: Pick<Request, 'client' | 'lane' | 'number'>): void {
    const key = requestKey(request)
    const executed = this.#results.get(key)
    if (executed !== undefined) {
      throw new Violation('wrong-answer', `a lookup says ${key} never executes; it did at ${executed.seq}`)
    }
    this.#fenced.add(key)
  }

  /** Where the value held: from its version up to the next one's; undefined when it never did. */
  spanOf(account: AccountId, value: Version): { readonly from: number; readonly until: number } | undefined {
    const versions = this.#versions.get(account) ?? [{ version: 0 as Seq, balance: null }]
    const at = versions.findLastIndex(
      ({ version, balance }) => version === value.version && balance === value.balance,
    )
    if (at < 0) return undefined
    return { from: value.version, until: versions[at + 1]?.version ?? Number.POSITIVE_INFINITY }
  }
}

function touched(operation: Operation): readonly AccountId[] {
  switch (operation.kind) {
    case 'open':
      return [operation.account]
    case 'deposit':
    case 'withdraw':
      return [operation.account, EXTERNAL_ACCOUNT]
    case 'transfer':
      return [operation.from, operation.to]
    case 'linked':
      return operation.operations.flatMap(touched)
    case 'balance':
    case 'history':
    case 'lookup':
    case 'recover':
      return []
  }
}
