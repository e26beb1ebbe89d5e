import type { Logger } from 'pino'
import { PostgresStore } from '../../db/postgres/store.ts'
import type { RunningDatabase } from '../../db/provision/types.ts'
import { redactUrl } from '../../db/provision/url.ts'
import type { ChannelEvent } from '../../protocol/channel/endpoint.ts'
import { DEFAULT_CHANNEL_LIMITS } from '../../protocol/channel/limits.ts'
import { sodiumChannelCrypto } from '../../protocol/channel-crypto.ts'
import { decodeMessage, encodeMessage, isMalformed } from '../../protocol/codec.ts'
import { logWindowOf } from '../../protocol/config.ts'
import { keyPairFromSeed, signerOf, sodiumVerifier } from '../../protocol/crypto.ts'
import { type RunningEndpoint, startEndpoint } from '../../protocol/endpoint-driver.ts'
import type { ReplicaReport } from '../../protocol/inspection.ts'
import { quorumOf } from '../../protocol/quorum.ts'
import { batchDigestOf, signedBytes } from '../../protocol/signing.ts'
import { isReplica, type PrincipalId, type ReplicaId, replicaId, type Seq } from '../../protocol/types.ts'
import { formatAddress } from '../../protocol/udp.ts'
import type { CoreConfig, CoreCrypto } from '../core/config.ts'
import { ReplicaCore } from '../core/core.ts'
import type { Effect, Fault } from '../core/effect.ts'
import type { Event } from '../core/event.ts'
import { type Bundle, bundlePaths, loadBundle } from './bundle.ts'
import { openDatabase } from './database.ts'
import { Engine } from './engine.ts'
import { Executor, readDatabase } from './executor.ts'
import { Meters } from './meters.ts'
import { Principals, verifyClaims } from './verifier.ts'
import { VoteLog } from './vote-log/vote-log.ts'

export type RunningReplica = {
  readonly id: ReplicaId
  readonly address: string
  report(): ReplicaReport
  /** Stops serving, makes the log durable, and stops the database if this replica started it. */
  stop(): Promise<void>
}

/** A fault that only an operator can judge: two things that this replica relies on contradict each other. */
export class ReplicaFault extends Error {
  override name = 'ReplicaFault'
  readonly fault: Fault
  constructor(fault: Fault) {
    super(`${fault.code} at seq ${fault.seq}: ${fault.detail}. The replica stopped; its files are untouched.`)
    this.fault = fault
  }
}

type Options = {
  readonly bundleDirectory: string
  readonly log: Logger
  /** Called once, when the replica cannot go on; `stop` is still the caller's. */
  readonly onFatal: (error: Error) => void
}

/** @throws ConfigError, VoteLogError, ProvisionError, StoreError, UdpError, ReplicaFault: each says what to do. */
export async function startReplica(options: Options): Promise<RunningReplica> {
  const bundle = await loadBundle(options.bundleDirectory)
  const { genesis, own } = bundle
  const votes = await VoteLog.open(bundlePaths(bundle.directory).votes, {
    genesisDigest: genesis.digest,
    replica: replicaId(own.id),
  })
  const undo: (() => Promise<void>)[] = [() => votes.log.close()]
  try {
    const database = await openDatabase(bundle)
    undo.push(() => database.stop())
    const store = new PostgresStore({ url: database.url, genesis, replica: replicaId(own.id) })
    undo.push(() => store.close())
    const state = await readDatabase(store, genesis.parameters.checkpointInterval)
    const replica = new Replica({ bundle, options, votes, database, store, lastExecuted: state.lastExecuted })
    undo.push(() => replica.close())
    await replica.serve(state)
    return { ...replica.running(), stop: () => unwind(undo) }
  } catch (error) {
    await unwind(undo)
    throw error
  }
}

async function unwind(undo: (() => Promise<void>)[]): Promise<void> {
  for (let step = undo.pop(); step !== undefined; step = undo.pop()) await step()
}

type Opened = Awaited<ReturnType<typeof VoteLog.open>>

/** Puts the parts of one replica process together: socket, log, database and core around one engine. */
class Replica {
  readonly #bundle: Bundle
  readonly #options: Options
  readonly #votes: Opened
  readonly #database: RunningDatabase
  readonly #meters = new Meters()
  readonly #principals: Principals
  readonly #executor: Executor
  readonly #self: ReplicaId
  readonly #startedMs = performance.now()
  #engine: Engine | undefined
  #endpoint: RunningEndpoint | undefined
  #failed = false
  /** Events of this turn; dispatched together so that they share one fsync. */
  #turn: Event[] = []

  constructor(args: {
    bundle: Bundle
    options: Options
    votes: Opened
    database: RunningDatabase
    store: PostgresStore
    lastExecuted: Seq
  }) {
    this.#bundle = args.bundle
    this.#options = args.options
    this.#votes = args.votes
    this.#database = args.database
    this.#self = replicaId(args.bundle.own.id)
    this.#principals = new Principals(args.bundle.genesis)
    this.#executor = new Executor({
      store: args.store,
      lastExecuted: args.lastExecuted,
      checkpointInterval: args.bundle.genesis.parameters.checkpointInterval,
      events: {
        onExecuted: ({ seq, chain, lanes }) => this.#enqueue({ type: 'executed', seq, chain, lanes }),
        onConnected: (database) => {
          this.#options.log.info({ lastExecuted: database.lastExecuted }, 'database reached again')
          this.#enqueue({ type: 'database-connected', database })
        },
        onDisconnected: (error) =>
          this.#options.log.warn({ error: error.message }, 'database lost; reconnecting'),
        onFatal: (error) => this.#fail(error),
      },
    })
  }

  /** Recovers the core, opens the socket and starts. */
  async serve(database: Parameters<typeof ReplicaCore.recover>[0]['database']): Promise<void> {
    const { genesis, cluster, own } = this.#bundle
    const { log, recovered, stats } = this.#votes
    const core = ReplicaCore.recover({
      config: coreConfig(this.#bundle, this.#principals),
      crypto: this.#crypto(),
      votes: recovered,
      database,
    })
    const engine = new Engine(core, this.#ports())
    this.#engine = engine
    log.onPersisted = (upTo) => this.#attempt(() => engine.onPersisted(upTo))
    log.onFailure = (error) => this.#fail(error)
    const entry = cluster.replicas[own.id]
    if (entry === undefined) throw new Error('parseCluster checked that each replica has an address')
    const { publicKey, secretKey } = keyPairFromSeed(Buffer.from(own.secretSeed, 'hex'))
    this.#endpoint = await startEndpoint({
      host: entry.host,
      port: entry.port,
      config: {
        self: this.#self,
        clusterId: Buffer.from(genesis.clusterId, 'hex'),
        genesisDigest: genesis.digest,
        peers: (id) => {
          const known = id === this.#self ? publicKey : this.#principals.publicKey(id)
          return known === undefined ? undefined : { id, publicKey: known }
        },
        limits: { ...DEFAULT_CHANNEL_LIMITS, payloadBytes: cluster.tuning.payloadBytes },
      },
      crypto: sodiumChannelCrypto({ secretKey }),
      onEvents: (events) => this.#onChannel(events),
    })
    for (const { id, host, port } of cluster.replicas) {
      if (id !== own.id) this.#endpoint.connect(replicaId(id), formatAddress(host, port))
    }
    const { lastExecuted, lowWaterMark } = engine.position
    this.#options.log.info(
      { ...stats, lastExecuted, lowWaterMark, address: this.#endpoint.address },
      'serving',
    )
    this.#enqueue({ type: 'start' })
  }

  #crypto(): CoreCrypto {
    const { genesis, own } = this.#bundle
    const signer = signerOf(keyPairFromSeed(Buffer.from(own.secretSeed, 'hex')).secretKey)
    const clusterId = Buffer.from(genesis.clusterId, 'hex')
    return { sign: (statement) => signer.sign(signedBytes(clusterId, statement)), batchDigest: batchDigestOf }
  }

  #ports(): ConstructorParameters<typeof Engine>[1] {
    const clusterId = Buffer.from(this.#bundle.genesis.clusterId, 'hex')
    const trust = { principals: this.#principals, verifier: sodiumVerifier, clusterId }
    return {
      log: this.#votes.log,
      send: (to, message) => this.#endpoint?.send(to, message),
      verify: (claims) => verifyClaims(claims, trust),
      execute: ({ seq, batch }) => {
        this.#meters.executing(batch)
        this.#executor.execute({ seq, batch })
      },
      readState: (effect) => this.#guard(this.#readState(effect)),
      readCommitted: (effect) => this.#guard(this.#readCommitted(effect)),
      observe: (what) => {
        this.#meters.observe(what)
        if (what.kind === 'stable' || what.kind === 'caught-up') this.#options.log.debug(what, what.kind)
      },
      halt: (fault) => this.#fail(new ReplicaFault(fault)),
      onTimeout: (timer) => this.#enqueue({ type: 'timeout', timer }),
      nowMs: () => performance.now(),
    }
  }

  /** Work beside the core: what goes wrong there stops the replica, too. */
  #guard(work: Promise<void>): void {
    work.catch((error: unknown) => this.#fail(error instanceof Error ? error : new Error(String(error))))
  }

  async #readState({ to, nonce, accounts, atLeast }: Extract<Effect, { type: 'read-state' }>): Promise<void> {
    const values = await this.#executor.read(accounts, atLeast)
    if (values === undefined) return this.#meters.count('read-unavailable')
    this.#endpoint?.send(to, encodeMessage({ type: 'read-reply', nonce, values }))
  }

  async #readCommitted(effect: Extract<Effect, { type: 'read-committed' }>): Promise<void> {
    const { reader, after, upTo, bytesMax } = effect
    const entries = await this.#votes.log.readCommitted({ from: (after + 1) as Seq, upTo, bytesMax })
    this.#enqueue({ type: 'committed-read', reader, entries })
  }

  #onChannel(events: readonly ChannelEvent[]): void {
    for (const event of events) {
      switch (event.type) {
        case 'message':
          this.#onMessage(event.from, event.message)
          break
        case 'session-up':
        case 'session-down':
          if (isReplica(event.peer)) this.#options.log.info({ peer: event.peer }, event.type)
          this.#turn.push({ type: event.type, peer: event.peer })
          break
        case 'lost':
          // What a peer lacks it asks for by STATUS.
          this.#meters.count('lost-by-channel')
          break
      }
    }
    // At once, so that what is said to them leaves before this turn ends.
    this.#dispatch()
  }

  #onMessage(from: PrincipalId, bytes: Uint8Array): void {
    const message = decodeMessage(bytes)
    if (isMalformed(message)) return this.#meters.count('malformed-message')
    if (message.type !== 'inspect') {
      this.#turn.push({ type: 'message', from, message })
      return
    }
    const report = JSON.stringify(this.running().report())
    this.#endpoint?.send(from, encodeMessage({ type: 'inspection', nonce: message.nonce, report }))
  }

  #enqueue(event: Event): void {
    this.#turn.push(event)
    if (this.#turn.length === 1) queueMicrotask(() => this.#dispatch())
  }

  #dispatch(): void {
    const events = this.#turn
    if (events.length === 0) return
    this.#turn = []
    this.#attempt(() => this.#engine?.dispatch(events))
  }

  /** The core throws when this replica broke a rule of its own: it stops before anybody can see it. */
  #attempt(step: () => void): void {
    if (this.#failed) return
    try {
      step()
    } catch (error) {
      this.#fail(error instanceof Error ? error : new Error(String(error)))
    }
  }

  #fail(error: Error): void {
    if (this.#failed) return
    this.#failed = true
    this.#engine?.stop()
    this.#options.onFatal(error)
  }

  running(): Omit<RunningReplica, 'stop'> {
    return { id: this.#self, address: this.#endpoint?.address ?? '', report: () => this.#report() }
  }

  #report(): ReplicaReport {
    const position = this.#engine?.position
    const { user, system } = process.cpuUsage()
    const { rss, heapUsed } = process.memoryUsage()
    const { cluster } = this.#bundle
    return {
      replica: this.#self,
      pid: process.pid,
      upMs: Math.round(performance.now() - this.#startedMs),
      view: position?.view ?? 0,
      primary: position?.primary ?? 0,
      lastExecuted: position?.lastExecuted ?? 0,
      chain: position?.chain ?? '',
      lowWaterMark: position?.lowWaterMark ?? 0,
      peers: cluster.replicas
        .map(({ id }) => id)
        .filter((id) => id !== this.#self && this.#endpoint?.isUp(replicaId(id)) === true),
      database: {
        url: redactUrl(this.#database.url),
        connected: this.#executor.connected,
        pid: this.#database.pid ?? null,
      },
      committed: this.#meters.committed,
      executed: { batches: this.#meters.batches, operations: this.#meters.operations },
      cpu: { userMs: user / 1000, systemMs: system / 1000 },
      memory: { rssBytes: rss, heapUsedBytes: heapUsed },
      counters: { ...this.#endpoint?.counters(), ...this.#meters.counters },
    }
  }

  async close(): Promise<void> {
    this.#failed = true
    this.#engine?.stop()
    await this.#endpoint?.close()
    await this.#executor.close()
  }
}

function coreConfig({ genesis, cluster, own }: Bundle, principals: Principals): CoreConfig {
  const { parameters } = genesis
  return {
    self: replicaId(own.id),
    quorum: quorumOf(genesis.replicas.length),
    ...parameters,
    logWindow: logWindowOf(parameters),
    ...cluster.tuning,
    isAdmitted: (id) => principals.has(id),
  }
}
