import { setTimeout as delay } from 'node:timers/promises'
import { type ClientAdversary, clientAdversaryOf } from '../../client/byzantine/adversary.ts'
import type { ClientBehaviour } from '../../client/byzantine/behaviour.ts'
import { LIE_EVERY_MS } from '../../client/byzantine/liar.ts'
import { openConnection } from '../../client/connection.ts'
import { clientConfigOf } from '../../client/context.ts'
import { ClientCore } from '../../client/core.ts'
import { ClientDriver } from '../../client/driver.ts'
import { ClientError } from '../../client/errors.ts'
import type { ClusterFiles } from '../../client/files.ts'
import { decodeMessage, isMalformed } from '../../protocol/codec.ts'
import { signerOf } from '../../protocol/crypto.ts'
import type { RunningEndpoint } from '../../protocol/endpoint-driver.ts'
import { clientId, type PrincipalId, replicaId } from '../../protocol/types.ts'
import { Random } from '../sim/random.ts'
import { Customer, type CustomerAccounts } from './customers.ts'

const CALL_TIMEOUT_MS = 3_000
const CALLERS = 4
const PAUSE_AFTER_ERROR_MS = 100

/** What a lying client did: calls of its honest core by how they ended, and packets that left in their place or beside. */
export type LyingCounts = { readonly answered: number; readonly failed: number; readonly packets: number }

/** One client that lies on the wire, beside a load that does not: what becomes of its calls is counted, and not judged. */
export class LyingLoad {
  readonly #driver: ClientDriver
  readonly #endpoint: RunningEndpoint
  readonly #adversary: ClientAdversary
  readonly #replicas: readonly PrincipalId[]
  readonly #timer: NodeJS.Timeout
  readonly #callers: readonly Promise<void>[]
  readonly #counts = { answered: 0, failed: 0, packets: 0 }
  #stopped = false

  private constructor(
    parts: {
      readonly endpoint: RunningEndpoint
      readonly core: ClientCore
      readonly adversary: ClientAdversary
      readonly replicas: readonly PrincipalId[]
      readonly connect: (driver: ClientDriver) => void
    },
    customers: readonly Customer[],
  ) {
    this.#endpoint = parts.endpoint
    this.#adversary = parts.adversary
    this.#replicas = parts.replicas
    this.#driver = new ClientDriver(parts.core, {
      transport: { send: (peer, bytes) => this.#tell(peer, bytes) },
      onObservation: () => {},
    })
    parts.connect(this.#driver)
    this.#timer = setInterval(() => this.#add(), LIE_EVERY_MS)
    this.#callers = customers.map((customer) => this.#call(customer))
  }

  static async start(
    files: ClusterFiles,
    choices: {
      readonly behaviours: readonly ClientBehaviour[]
      readonly accounts: CustomerAccounts
      readonly seed: number
    },
  ): Promise<LyingLoad> {
    const { genesis, key } = files
    const { behaviours, accounts, seed } = choices
    const random = new Random(seed)
    const signer = signerOf(key.keyPair.secretKey)
    const config = clientConfigOf(genesis, key.id)
    const drawn = { sign: (bytes: Uint8Array) => signer.sign(bytes), random: () => random.float() }
    let driver: ClientDriver | undefined
    const endpoint = await openConnection(files, (events) => driver?.onChannelEvents(events))
    const adversary = clientAdversaryOf(behaviours, {
      config,
      ...drawn,
      accounts: [...accounts.hot, ...accounts.cold],
      others: genesis.clients.map(({ id }) => clientId(id)).filter((id) => id !== key.id),
      // It listens nowhere: what it says again is its own.
      overheard: () => undefined,
    })
    const customers = Array.from(
      { length: CALLERS },
      (_, i) => new Customer({ random: new Random(seed + i), accounts, client: key.id, name: `liar-${i}` }),
    )
    return new LyingLoad(
      {
        endpoint,
        core: new ClientCore(config, drawn),
        adversary,
        replicas: genesis.replicas.map(({ id }) => replicaId(id)),
        connect: (made) => {
          driver = made
        },
      },
      customers,
    )
  }

  get counts(): LyingCounts {
    return { ...this.#counts }
  }

  async stop(): Promise<void> {
    this.#stopped = true
    clearInterval(this.#timer)
    this.#driver.close()
    await this.#endpoint.close()
    await Promise.all(this.#callers)
  }

  #add(): void {
    for (const message of this.#adversary.adds()) {
      for (const to of this.#replicas) this.#send(to, this.#adversary.tell(replicaId(to), message))
    }
  }

  /** The honest driver's own bytes. */
  #tell(to: PrincipalId, bytes: Uint8Array): void {
    const message = decodeMessage(bytes)
    // On a lane that its lies took to the highest number its core has none left: nobody can read what it says there.
    if (isMalformed(message)) return this.#send(to, [bytes])
    if (message.type !== 'request' && message.type !== 'read') {
      throw new Error(`a client's core sends requests and reads, not ${message.type}`)
    }
    this.#send(to, this.#adversary.tell(replicaId(to), message))
  }

  #send(to: PrincipalId, packets: readonly Uint8Array[]): void {
    this.#counts.packets += packets.length
    for (const packet of packets) this.#endpoint.send(to, packet)
  }

  async #call(customer: Customer): Promise<void> {
    while (!this.#stopped) {
      const call = customer.next()
      try {
        await this.#driver.call(
          (core, deadlineMs) =>
            call.kind === 'read'
              ? core.read(call.accounts, deadlineMs)
              : core.submit(call.operations, deadlineMs),
          CALL_TIMEOUT_MS,
        )
        this.#counts.answered += 1
      } catch (error) {
        if (!(error instanceof ClientError)) throw error
        this.#counts.failed += 1
        await delay(PAUSE_AFTER_ERROR_MS)
      }
    }
  }
}
