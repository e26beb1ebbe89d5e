import { mkdirSync, writeFileSync } from 'node:fs'
import { rowText } from '../../../../chaos/check/dump/copy-text.ts'
import { TABLE_NAMES, tableFile } from '../../../../chaos/check/dump/dump-database.ts'
import type { HistoryEvent } from '../../../../chaos/check/history.ts'
import { encodeHistoryEvent } from '../../../../chaos/check/history-lines.ts'
import { Model, type ModelStep } from '../../../../chaos/check/replay/model.ts'
import { replicaPaths, runPaths } from '../../../../chaos/run/layout.ts'
import { DEFAULT_PARAMETERS, type Genesis, parseGenesis } from '../../../../protocol/config.ts'
import { digestOf, type KeyPair, keyPairFromSeed, signerOf } from '../../../../protocol/crypto.ts'
import type { Batch, Statement, Vote } from '../../../../protocol/messages.ts'
import type { Operation, SimpleOperation } from '../../../../protocol/operations.ts'
import { quorumOf } from '../../../../protocol/quorum.ts'
import { decodeResults } from '../../../../protocol/results-codec.ts'
import { requestOf } from '../../../../protocol/signed.ts'
import { batchOf, signedBytes } from '../../../../protocol/signing.ts'
import {
  clientId,
  type Digest,
  digestToBytes,
  lane,
  logPosition,
  type ReplicaId,
  replicaId,
  requestNumber,
  seq,
  view,
} from '../../../../protocol/types.ts'
import { isVote, type VoteRecord } from '../../../../replica/core/vote-record.ts'
import { VoteLog } from '../../../../replica/runtime/vote-log/vote-log.ts'

export type SyntheticOptions = {
  readonly replicas?: number
  readonly batches: number
  readonly requestsPerBatch?: number
  readonly operationsPerRequest?: number
  readonly accounts?: number
  readonly checkpointInterval?: number
  readonly history?: boolean
  /** Operations of a seq's requests, in place of the usual ones. */
  readonly operationsAt?: (seq: number) => readonly SimpleOperation[] | undefined
  /** Records as a replica's log gets them, in place of the usual ones. */
  readonly recordsOf?: (
    records: readonly VoteRecord[],
    at: { seq: number; replica: number },
  ) => readonly VoteRecord[]
  /** The database of a replica stops here. */
  readonly executedBy?: (replica: number) => number
  /** What the logs agree on, when it is not what was signed. */
  readonly batchAt?: (batch: Batch, seq: number) => Batch
}

const CLIENT = clientId(1000)
const FIRST_NUMBER = 1_000_000

/** Keys and signatures of all that take part in an imitated run. */
export class Parties {
  readonly genesis: Genesis
  readonly genesisText: string
  readonly #keys = new Map<number, KeyPair>()
  readonly #clusterId: Buffer

  constructor({ replicas = 4, accounts = 8, checkpointInterval = 8 }: Partial<SyntheticOptions>) {
    const ids = [...Array.from({ length: replicas }, (_, id) => id), CLIENT]
    for (const id of ids)
      this.#keys.set(id, keyPairFromSeed(digestToBytes(digestOf(Buffer.from(`seed of ${id}`)))))
    const publicKey = (id: number) => Buffer.from(this.#keyOf(id).publicKey).toString('hex')
    this.genesisText = JSON.stringify({
      version: 1,
      clusterId: '00112233445566778899aabbccddeeff',
      allowByzantine: false,
      parameters: { ...DEFAULT_PARAMETERS, checkpointInterval },
      replicas: ids.slice(0, -1).map((id) => ({ id, publicKey: publicKey(id) })),
      clients: [{ id: CLIENT, name: 'Tess', address: null, publicKey: publicKey(CLIENT), role: 'teller' }],
      accounts: Array.from({ length: accounts }, (_, i) => ({
        id: `a${i}`,
        owner: CLIENT,
        balance: '1000000',
      })),
    })
    this.genesis = parseGenesis({ name: 'genesis.json', text: this.genesisText })
    this.#clusterId = Buffer.from(this.genesis.clusterId, 'hex')
  }

  sign(statement: Statement): Uint8Array {
    return signerOf(this.#keyOf(statement.signer).secretKey).sign(signedBytes(this.#clusterId, statement))
  }

  #keyOf(id: number): KeyPair {
    const pair = this.#keys.get(id)
    if (pair === undefined) throw new Error(`no key of ${id}`)
    return pair
  }
}

type Lines = { [Table in (typeof TABLE_NAMES)[number] | 'meta']: string[] }
const emptyLines = (): Lines => ({
  meta: [],
  accounts: [],
  transfers: [],
  chain: [],
  customers: [],
  principals: [],
  client_table: [],
})

/** A run's directory as a chaos run leaves it, made by the model and signed by everybody: no cluster is needed. */
export async function makeRun(directory: string, options: SyntheticOptions): Promise<Parties> {
  const parties = new Parties(options)
  const { genesis } = parties
  mkdirSync(directory, { recursive: true })
  const paths = runPaths(directory)
  writeFileSync(paths.genesis, parties.genesisText)
  const logs = await Promise.all(
    genesis.replicas.map(({ id }) => SignedLog.create(directory, { id, parties, options })),
  )
  const dumps = genesis.replicas.map(({ id }) => new Dump(directory, id))
  const model = new Model(genesis)
  const history = new HistoryFile(paths.history)
  for (const dump of dumps) if (options.executedBy?.(dump.replica) === 0) dump.finish(model, genesis)
  for (let n = 1; n <= options.batches; n++) {
    const signed = signedBatch(parties, n, options)
    const batch = options.batchAt?.(signed, n) ?? signed
    const step = model.execute({ seq: seq(n), batch })
    for (const log of logs) log.append(n, batch, step)
    for (const dump of dumps) {
      const last = options.executedBy?.(dump.replica) ?? options.batches
      if (n <= last) dump.append(step)
      if (n === last) dump.finish(model, genesis)
    }
    if (options.history !== false) history.append(n, batch, step)
    if (n % 256 === 0) await Promise.all(logs.map((log) => log.settled()))
  }
  history.close()
  await Promise.all(logs.map((log) => log.close()))
  return parties
}

function signedBatch(
  parties: Parties,
  n: number,
  { requestsPerBatch = 2, operationsPerRequest = 2, accounts = 8, operationsAt }: SyntheticOptions,
): Batch {
  const requests = Array.from({ length: requestsPerBatch }, (_, i) => {
    const operations: readonly Operation[] =
      operationsAt?.(n) ??
      Array.from({ length: operationsPerRequest }, (_, j) => operationOf(n * 7 + i * 3 + j, accounts))
    const number = requestNumber(FIRST_NUMBER + n)
    return requestOf({ client: CLIENT, lane: lane(i), number, operations }, (statement) =>
      parties.sign(statement),
    )
  })
  return batchOf(requests)
}

/** Mostly transfers, some deposits, withdrawals and balances. */
function operationOf(n: number, accounts: number): SimpleOperation {
  const account = `a${(n * 31) % accounts}`
  const other = `a${(n * 31 + 1 + (n % (accounts - 1))) % accounts}`
  switch (n % 10) {
    case 0:
      return { kind: 'deposit', account, amount: 5n }
    case 1:
      return { kind: 'withdraw', account, amount: 3n }
    case 2:
      return { kind: 'balance', account }
    default:
      return { kind: 'transfer', from: account, to: other, amount: BigInt(1 + (n % 5)) }
  }
}

/** One replica's vote log, with the votes that it would hold. */
class SignedLog {
  readonly #log: VoteLog
  readonly #id: ReplicaId
  readonly #parties: Parties
  readonly #options: SyntheticOptions
  #position = 0
  #lastVote = 0
  #persisted = 0
  #waiting: (() => void)[] = []

  private constructor(
    log: VoteLog,
    { id, parties, options }: { id: number; parties: Parties; options: SyntheticOptions },
  ) {
    this.#log = log
    this.#id = replicaId(id)
    this.#parties = parties
    this.#options = options
    log.onPersisted = (upTo) => {
      this.#persisted = upTo
      for (const wake of this.#waiting.splice(0)) wake()
    }
  }

  static async create(
    run: string,
    args: { id: number; parties: Parties; options: SyntheticOptions },
  ): Promise<SignedLog> {
    const { votes } = replicaPaths(run, args.id)
    mkdirSync(replicaPaths(run, args.id).directory, { recursive: true })
    const identity = { genesisDigest: args.parties.genesis.digest, replica: replicaId(args.id) }
    await VoteLog.create(votes, identity)
    const { log } = await VoteLog.open(votes, { ...identity, segmentBytesMax: 2 ** 24 })
    return new SignedLog(log, args)
  }

  append(n: number, batch: Batch, step: ModelStep): void {
    const records = recordsOf({ n, batch, step, id: this.#id, parties: this.#parties })
    const kept = this.#options.recordsOf?.(records, { seq: n, replica: this.#id }) ?? records
    for (const record of kept) {
      this.#log.append(logPosition(++this.#position), record, isVote(record))
      if (isVote(record)) this.#lastVote = this.#position
    }
  }

  async settled(): Promise<void> {
    this.#log.flush()
    while (this.#persisted < this.#lastVote) await new Promise<void>((resolve) => this.#waiting.push(resolve))
  }

  async close(): Promise<void> {
    this.#log.flush()
    await this.#log.close()
  }
}

type Slot = { n: number; batch: Batch; step: ModelStep; id: ReplicaId; parties: Parties }

function recordsOf({ n, batch, step, id, parties }: Slot): VoteRecord[] {
  const { replicas, parameters } = parties.genesis
  const { quorum } = quorumOf(replicas.length)
  const at = { view: view(0), seq: seq(n), digest: batch.digest }
  const vote = (type: 'prepare' | 'commit' | 'pre-prepare', signer: number): Vote => {
    const signature = cached(parties, {
      type,
      view: 0,
      seq: n,
      signer: replicaId(signer),
      digests: [batch.digest],
    })
    return { replica: replicaId(signer), signature }
  }
  const header = { ...at, signature: vote('pre-prepare', 0).signature }
  const backups = replicas.map((one) => one.id).filter((other) => other !== 0)
  const preparing = [...backups.filter((other) => other === id), ...backups.filter((other) => other !== id)]
  const committing = replicas.map((one) => (one.id + id) % replicas.length)
  const records: VoteRecord[] = [
    { kind: 'pre-prepare', header, batch },
    { kind: 'prepared', header, prepares: preparing.slice(0, quorum - 1).map((one) => vote('prepare', one)) },
    { kind: 'committed', ...at, commits: committing.slice(0, quorum).map((one) => vote('commit', one)) },
  ]
  if (n % parameters.checkpointInterval !== 0) return records
  const state = { seq: seq(n), stateRoot: rootOf(n), chain: step.executed.chain }
  const signed = (signer: number): Vote => ({
    replica: replicaId(signer),
    signature: cached(parties, {
      type: 'checkpoint',
      view: 0,
      seq: n,
      signer: replicaId(signer),
      digests: [state.stateRoot, state.chain],
    }),
  })
  const checkpoints = committing.slice(0, quorum).map(signed)
  return [
    ...records,
    { kind: 'checkpoint', ...state, signature: signed(id).signature },
    { kind: 'stable', ...state, checkpoints },
  ]
}

/** The checker has no tree over the rows: any root will do. */
const rootOf = (n: number): Digest => digestOf(Buffer.from(`root ${n}`))

/** Each vote is in several logs, and signed once. Those of the last sequence numbers are enough. */
const signatures = new Map<string, Uint8Array>()
const SIGNATURES_MAX = 1_000

function cached(parties: Parties, statement: Statement): Uint8Array {
  const { type, seq, signer, digests } = statement
  const key = `${type} ${seq} ${signer} ${digests.join()}`
  let signature = signatures.get(key)
  if (signature === undefined) {
    signature = parties.sign(statement)
    if (signatures.size > SIGNATURES_MAX) signatures.clear()
    signatures.set(key, signature)
  }
  return signature
}

/** A database's files. */
class Dump {
  readonly replica: number
  readonly #directory: string
  readonly #lines = emptyLines()
  readonly #isBegun = new Set<string>()

  constructor(run: string, replica: number) {
    this.replica = replica
    this.#directory = replicaPaths(run, replica).database
    mkdirSync(this.#directory, { recursive: true })
  }

  append({ changes, executed }: ModelStep): void {
    for (const row of changes.transfers) this.#lines.transfers.push(rowText('transfers', row))
    for (const row of changes.chain) this.#lines.chain.push(rowText('chain', row))
    if (executed.seq % 1_024 === 0) this.#write()
  }

  finish(model: Model, genesis: Genesis): void {
    const lines = this.#lines
    for (const table of ['accounts', 'customers', 'principals', 'client_table'] as const)
      lines[table] = model.rows(table).map((row) => rowText(table, row))
    const { lastExecuted, chain } = model.position
    const digests = [genesis.clusterId, genesis.digest].map((hex) => `\\\\x${hex}`)
    lines.meta = [`${[...digests, this.replica, lastExecuted, `\\\\x${chain}`, 1].join('\t')}\n`]
    this.#write()
  }

  #write(): void {
    for (const name of [...TABLE_NAMES, 'meta'] as const) {
      const flag = this.#isBegun.has(name) ? 'a' : 'w'
      this.#isBegun.add(name)
      writeFileSync(tableFile(this.#directory, name), this.#lines[name].join(''), { flag })
      this.#lines[name] = []
    }
  }
}

/** Every request is one call, and now and then somebody reads. */
class HistoryFile {
  readonly #path: string
  #lines: string[] = []
  #calls = 0

  constructor(path: string) {
    this.#path = path
    writeFileSync(path, '')
  }

  append(n: number, batch: Batch, { executed, changes }: ModelStep): void {
    const beganUs = n * 10_000
    batch.requests.forEach((request, i) => {
      const call = ++this.#calls
      const { client, lane: onLane, number, digest, operations } = request
      const results = decodeResults(executed.lanes[i]?.result ?? new Uint8Array()) ?? []
      const part = {
        client: clientId(client),
        lane: onLane,
        number,
        digest,
        offset: 0,
        count: operations.length,
      }
      this.#push({
        type: 'invoke',
        atUs: beganUs + i,
        call,
        caller: i,
        client,
        what: { kind: 'submit', operations },
      })
      this.#push({ type: 'ok', atUs: beganUs + 5_000 + i, call, request: part, results })
    })
    if (n % 4 === 0) this.#read(beganUs + 7_000, changes)
    if (this.#lines.length > 10_000) this.#flush()
  }

  #read(atUs: number, { accounts }: ModelStep['changes']): void {
    const call = ++this.#calls
    const read = accounts.slice(0, 2).map(({ after }) => after)
    const what = { kind: 'read', accounts: read.map(({ id }) => id) } as const
    this.#push({ type: 'invoke', atUs, call, caller: 1_000, client: CLIENT, what })
    const values = read.map(({ id, balance, version }) => ({ account: id, balance, version }))
    this.#push({ type: 'ok', atUs: atUs + 1_000, call, request: null, values })
  }

  #push(event: HistoryEvent): void {
    this.#lines.push(encodeHistoryEvent(event))
  }

  #flush(): void {
    if (this.#lines.length === 0) return
    writeFileSync(this.#path, `${this.#lines.join('\n')}\n`, { flag: 'a' })
    this.#lines = []
  }

  close(): void {
    this.#flush()
  }
}

export const databaseFile = (
  run: string,
  replica: number,
  table: (typeof TABLE_NAMES)[number] | 'meta',
): string => tableFile(replicaPaths(run, replica).database, table)
