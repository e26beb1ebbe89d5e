import { signerOf } from '../protocol/crypto.ts'
import type { RunningEndpoint } from '../protocol/endpoint-driver.ts'
import type {
  AccountId,
  HistoryEntry,
  Operation,
  OperationResult,
  ReadValue,
  RequestName,
  SimpleOperation,
  TransferId,
} from '../protocol/operations.ts'
import { HISTORY_ENTRIES_MAX } from '../protocol/operations.ts'
import { quorumOf } from '../protocol/quorum.ts'
import { type ClientId, clientId, type ReplicaId, replicaId, type Seq } from '../protocol/types.ts'
import { type Amount, accountOf, amountOf, checkOperation } from './arguments.ts'
import { openConnection } from './connection.ts'
import { type ClientLimits, clientConfigOf } from './context.ts'
import { ClientCore } from './core.ts'
import { ClientDriver } from './driver.ts'
import type { Answer, Observation, RequestOutcome, Travelled } from './effects.ts'
import { IndeterminateError, NoQuorumError, ProtocolError, RefusedError } from './errors.ts'
import { type ClusterFiles, loadClusterFiles } from './files.ts'
import { type RequestSize, requestRoomOf } from './request-size.ts'

export type ConnectOptions = {
  /** The directory of genesis.json, cluster.json and client.json, or what is in them. */
  readonly cluster: string | ClusterFiles
  /** How long to wait for sessions with a quorum. */
  readonly connectTimeoutMs?: number
  /** How long a call waits for its answer unless it says otherwise. */
  readonly callTimeoutMs?: number
  readonly limits?: Partial<ClientLimits>
  readonly onObservation?: (what: Observation) => void
}

export const CONNECT_TIMEOUT_MS = 5_000
export const CALL_TIMEOUT_MS = 10_000

export type CallOptions = { readonly timeoutMs?: number }
export type Transferred = {
  readonly id: TransferId
  readonly fromBalance: bigint
  readonly toBalance: bigint
}
/** Balance right after the deposit or withdrawal. */
export type Moved = { readonly id: TransferId; readonly balance: bigint }

/**
 * Resolves once a quorum of replicas has a session with this client.
 * @throws ConfigError for files that must be mended @throws NoQuorumError
 */
export async function connect(options: ConnectOptions): Promise<Bank> {
  const { cluster, connectTimeoutMs = CONNECT_TIMEOUT_MS } = options
  const files = typeof cluster === 'string' ? await loadClusterFiles(cluster) : cluster
  const { genesis, key } = files
  const signer = signerOf(key.keyPair.secretKey)
  const core = new ClientCore(clientConfigOf(genesis, key.id, options.limits), {
    sign: (bytes) => signer.sign(bytes),
    random: Math.random,
  })
  const quorum = quorumOf(genesis.replicas.length).quorum
  const replicas = genesis.replicas.map(({ id }) => replicaId(id))
  const connected = () => replicas.filter((id) => endpoint.isUp(id))
  const enough = Promise.withResolvers<void>()
  const driver = new ClientDriver(core, {
    transport: { send: (peer, bytes) => endpoint.send(peer, bytes) },
    onObservation: options.onObservation ?? (() => {}),
  })
  const endpoint = await openConnection(files, (events) => {
    driver.onChannelEvents(events)
    if (connected().length >= quorum) enough.resolve()
  })
  const timer = setTimeout(() => {
    const answered = connected()
    const facts = { answered, replicas: replicas.length, quorum, waitedMs: connectTimeoutMs }
    enough.reject(new NoQuorumError(facts))
  }, connectTimeoutMs)
  try {
    await enough.promise
  } catch (error) {
    driver.close()
    await endpoint.close()
    throw error
  } finally {
    clearTimeout(timer)
  }
  return new Bank({ files, driver, endpoint, callTimeoutMs: options.callTimeoutMs ?? CALL_TIMEOUT_MS })
}

/**
 * The bank, as one client sees it. Amounts are whole minor units. Every call that changes something rejects with
 * RefusedError (the bank's answer: nothing changed), InvalidArgumentError (nothing was sent), NotSentError or
 * OverloadedError (not executed), or IndeterminateError (ask `lookup` later). Calls made at once share requests, and
 * have no order among themselves: await one before the next where it matters.
 */
export class Bank {
  readonly client: ClientId
  readonly #files: ClusterFiles
  readonly #driver: ClientDriver
  readonly #endpoint: RunningEndpoint
  readonly #callTimeoutMs: number

  constructor(parts: {
    readonly files: ClusterFiles
    readonly driver: ClientDriver
    readonly endpoint: RunningEndpoint
    readonly callTimeoutMs: number
  }) {
    this.client = parts.files.key.id
    this.#files = parts.files
    this.#driver = parts.driver
    this.#endpoint = parts.endpoint
    this.#callTimeoutMs = parts.callTimeoutMs
  }

  /** For this client, unless `owner` names another one, which takes a teller. `name` and `address` are the owner's. */
  async open(args: {
    readonly account: AccountId
    readonly owner?: number
    readonly name?: string
    readonly address?: string
  }): Promise<void> {
    const { account, owner = this.client, name, address = null } = args
    const customer = name === undefined ? null : { name, address }
    await this.#one({ kind: 'open', account, owner: clientId(owner), customer }, 'opened')
  }

  /** Takes a teller. */
  async deposit({ to, amount }: { readonly to: AccountId; readonly amount: Amount }): Promise<Moved> {
    const operation = { kind: 'deposit', account: to, amount: amountOf(amount) } as const
    const { id, creditBalance } = await this.#one(operation, 'transferred')
    return { id, balance: creditBalance }
  }

  /** Takes a teller. */
  async withdraw({ from, amount }: { readonly from: AccountId; readonly amount: Amount }): Promise<Moved> {
    const operation = { kind: 'withdraw', account: from, amount: amountOf(amount) } as const
    const { id, debitBalance } = await this.#one(operation, 'transferred')
    return { id, balance: debitBalance }
  }

  /** Takes the owner of `from`, or a teller. */
  async transfer(args: {
    readonly from: AccountId
    readonly to: AccountId
    readonly amount: Amount
  }): Promise<Transferred> {
    const operation = {
      kind: 'transfer',
      from: args.from,
      to: args.to,
      amount: amountOf(args.amount),
    } as const
    const { id, debitBalance, creditBalance } = await this.#one(operation, 'transferred')
    return { id, fromBalance: debitBalance, toBalance: creditBalance }
  }

  /** A quorum read [NC7]: sees all that was answered to anybody before. @throws RefusedError 'unknown-account' */
  async balance(account: AccountId): Promise<bigint> {
    const [value] = await this.read([account])
    if (value === undefined || value.balance === null) {
      throw new RefusedError({ code: 'unknown-account', detail: account })
    }
    return value.balance
  }

  /** Newest first; the next page is `before` the seq of the last entry. */
  async history(
    account: AccountId,
    {
      limit = HISTORY_ENTRIES_MAX,
      before = null,
    }: { readonly limit?: number; readonly before?: Seq | null } = {},
  ): Promise<readonly HistoryEntry[]> {
    const { entries } = await this.#one({ kind: 'history', account, before, limit }, 'history')
    return entries
  }

  /** All or nothing. @throws RefusedError with the `index` of the operation that undid the group */
  async linked(operations: readonly SimpleOperation[]): Promise<readonly OperationResult[]> {
    const { results } = await this.#one({ kind: 'linked', operations }, 'linked')
    return results
  }

  /** Operations in one request, executed in this order, each with a result of its own, refusals among them. */
  async submit(
    operations: readonly Operation[],
    options: CallOptions = {},
  ): Promise<readonly OperationResult[]> {
    return (await this.submitTraced(operations, options)).results
  }

  /** `submit`, with the request in which the operations travelled: names their place in the order for ever. */
  async submitTraced(
    operations: readonly Operation[],
    { timeoutMs = this.#callTimeoutMs }: CallOptions = {},
  ): Promise<{ readonly results: readonly OperationResult[]; readonly travelled: Travelled }> {
    for (const operation of operations) checkOperation(operation)
    const answer = await this.#driver.call(
      (core, deadlineMs) => core.submit(operations, deadlineMs),
      timeoutMs,
    )
    return expectKind(answer, 'results')
  }

  /**
   * Balances and row versions of one state [NC7]; null for an account that does not exist.
   * @throws UnavailableError
   */
  async read(accounts: readonly AccountId[], options: CallOptions = {}): Promise<readonly ReadValue[]> {
    return (await this.readTraced(accounts, options)).values
  }

  /** `read`, with the request in which it travelled; null: a quorum read, which is none. */
  async readTraced(
    accounts: readonly AccountId[],
    { timeoutMs = this.#callTimeoutMs }: CallOptions = {},
  ): Promise<{ readonly values: readonly ReadValue[]; readonly travelled: Travelled | null }> {
    for (const account of accounts) accountOf(account)
    const answer = await this.#driver.call((core, deadlineMs) => core.read(accounts, deadlineMs), timeoutMs)
    return expectKind(answer, 'values')
  }

  /**
   * What became of a request whose answer did not come. Given the error of a call, the results are that call's;
   * given a request's name, they are those of all calls that travelled in it.
   * @throws UnavailableError
   */
  async lookup(
    what: RequestName | IndeterminateError,
    { timeoutMs = this.#callTimeoutMs }: CallOptions = {},
  ): Promise<RequestOutcome> {
    const name = what instanceof IndeterminateError ? what.request : what
    const answer = await this.#driver.call((core, deadlineMs) => core.lookup(name, deadlineMs), timeoutMs)
    const { outcome } = expectKind(answer, 'outcome')
    if (outcome.kind !== 'executed' || !(what instanceof IndeterminateError)) return outcome
    const { offset, count } = what.slice
    return { kind: 'executed', results: outcome.results.slice(offset, offset + count) }
  }

  /** Replicas that this client has a session with now. */
  get connected(): readonly ReplicaId[] {
    return this.#files.genesis.replicas.map(({ id }) => replicaId(id)).filter((id) => this.#endpoint.isUp(id))
  }

  /** What one request takes. */
  get requestRoom(): RequestSize {
    return requestRoomOf(this.#files.genesis.parameters)
  }

  get replicas(): number {
    return this.#files.genesis.replicas.length
  }

  /** The clients of genesis, for people who call them by name. */
  get clients(): readonly { readonly id: number; readonly name: string }[] {
    return this.#files.genesis.clients
  }

  /** Rejects what is not answered yet. */
  async close(): Promise<void> {
    this.#driver.close()
    await this.#endpoint.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #one<K extends OperationResult['kind']>(
    operation: Operation,
    kind: K,
  ): Promise<OperationResult & { kind: K }> {
    const [result] = await this.submit([operation])
    if (result?.kind === 'refused') throw new RefusedError(result)
    if (result === undefined || !isKind(result, kind)) {
      throw new ProtocolError(`a quorum answered ${operation.kind} with ${result?.kind ?? 'nothing'}`)
    }
    return result
  }
}

const isKind = <K extends OperationResult['kind']>(
  result: OperationResult,
  kind: K,
): result is OperationResult & { kind: K } => result.kind === kind

/** The core answers each sort of call with its own kind; anything else is our mistake. */
function expectKind<K extends Answer['kind']>(answer: Answer, kind: K): Answer & { kind: K } {
  if (answer.kind !== kind) throw new Error(`a ${kind} call was answered with ${answer.kind}`)
  return answer as Answer & { kind: K }
}
