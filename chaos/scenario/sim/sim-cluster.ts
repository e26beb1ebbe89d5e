import type { Answer } from '../../../client/effects.ts'
import type { Message } from '../../../protocol/messages.ts'
import { CLIENT_ID_MIN, clientId, type PrincipalId } from '../../../protocol/types.ts'
import { summaryOf, type TraceLine } from '../../../replica/runtime/message-trace.ts'
import { ClientProcess, type Errand } from '../../sim/client-process.ts'
import type { Probe } from '../../sim/probe.ts'
import { quietPlan } from '../../sim/quiet-plan.ts'
import { Random } from '../../sim/random.ts'
import { Simulation } from '../../sim/simulation.ts'
import type { Told } from '../outcome.ts'
import {
  CHECKPOINT_INTERVAL,
  CLIENTS,
  OPENING_BALANCE,
  REPLICAS,
  senderOf,
  type Transaction,
} from '../scenario.ts'
import { failedBy, toldOf } from '../told.ts'
import { SwitchingAdversaries } from './switching-adversary.ts'

/** The same every time: a scenario has no chance in it. */
const SEED = 1
/** Handshakes. */
const CONNECT_MS = 100

type Waiting = { readonly answer: (told: Told) => void }

/** Seven simulated replicas and the customers A to J, on a quiet network. Time moves only while somebody waits. */
export class SimCluster {
  readonly simulation: Simulation
  readonly messages: readonly TraceLine[][] = Array.from({ length: REPLICAS }, () => [])
  readonly #adversaries = new SwitchingAdversaries()
  readonly #onMessage: (replica: number, line: TraceLine) => void
  readonly #customers = new Map<string, Customer>()

  constructor(onMessage: (replica: number, line: TraceLine) => void) {
    this.#onMessage = onMessage
    const quiet = quietPlan({ replicas: REPLICAS, clients: 0, requests: 0 })
    this.simulation = new Simulation({
      plan: {
        ...quiet,
        cluster: { ...quiet.cluster, checkpointInterval: CHECKPOINT_INTERVAL },
      },
      random: new Random(SEED),
      verbose: false,
      sabotage: { liar: (liar) => this.#adversaries.adversaryOf(liar) },
      clients: { probe: this.#probe() },
      customers: {
        clients: CLIENTS.map((name) => ({ name, role: 'customer' })),
        accounts: CLIENTS.map((id, owner) => ({ id, owner, balance: OPENING_BALANCE })),
      },
    })
    for (const { disk } of this.simulation.machines) disk.archive()
  }

  #probe(): Probe {
    return {
      onSend: (replica, message, to) => this.#onSend(replica, message, to),
      onReceived: (replica, message, peer) =>
        this.#note(replica, { atMs: this.nowMs, direction: 'received', peer, ...summaryOf(message) }),
      onObserved: (replica, what) => {
        if (what.kind !== 'view-change-started' && what.kind !== 'view-entered') return
        this.#note(replica, { atMs: this.nowMs, event: what.kind, view: what.view })
      },
      onBegun: () => undefined,
      onDone: () => undefined,
    }
  }

  #onSend(replica: number, message: Message, to: readonly PrincipalId[]): void {
    for (const peer of to) {
      this.#note(replica, { atMs: this.nowMs, direction: 'sent', peer, ...summaryOf(message) })
    }
  }

  #note(replica: number, line: TraceLine): void {
    this.messages[replica]?.push(line)
    this.#onMessage(replica, line)
  }

  get nowMs(): number {
    return this.simulation.world.queue.nowUs / 1_000
  }

  /**
   * Who is live runs and who is not does not; these lie. Who lies for the first time starts anew: nothing of what it does
   * from then on is checked.
   */
  arrange({
    live,
    liars,
    attacks,
  }: {
    readonly live: readonly number[]
    readonly liars: readonly number[]
    readonly attacks: string
  }): void {
    const { machines, world } = this.simulation
    for (const machine of machines) {
      const isNewLiar = liars.includes(machine.replica) && !world.liars.has(machine.replica)
      if (isNewLiar || !live.includes(machine.replica)) machine.kill()
      if (isNewLiar) this.simulation.corrupt(machine.replica)
    }
    this.#adversaries.lie(liars, attacks)
    for (const machine of machines) if (live.includes(machine.replica)) machine.start()
    this.simulation.runUntil(() => false, this.nowMs + CONNECT_MS)
  }

  /** The client is told by `answer` while events run. */
  begin(transaction: Transaction, patienceMs: number, answer: (told: Told) => void): void {
    const name = senderOf(transaction)
    let customer = this.#customers.get(name)
    if (customer === undefined) {
      customer = new Customer(this.simulation, CLIENTS.indexOf(name))
      this.#customers.set(name, customer)
    }
    customer.begin(transaction, patienceMs, { answer })
  }
}

/** One client, whose calls may end without an answer. */
class Customer {
  readonly #process: ClientProcess
  readonly #waiting = new Map<Errand, Waiting>()
  /** The one that waits, as long as its errand may come back in another form. */
  #last: Errand | undefined

  constructor({ world, checks }: Simulation, index: number) {
    this.#process = new ClientProcess({
      world,
      id: clientId(CLIENT_ID_MIN + index),
      checks,
      hooks: {
        onDone: (errand, answer) => this.#end(errand, answeredBy(answer)),
        onAgain: (_errand, error) => this.#end(this.#last, failedBy(error)),
        onSent: () => undefined,
      },
    })
    this.#process.start()
  }

  begin(transaction: Transaction, patienceMs: number, waiting: Waiting): void {
    const errand: Errand =
      transaction.kind === 'transfer'
        ? { kind: 'submit', operations: [transaction] }
        : { kind: 'read', accounts: [transaction.account] }
    this.#last = errand
    this.#waiting.set(errand, waiting)
    this.#process.begin(errand, patienceMs)
  }

  #end(errand: Errand | undefined, told: Told): void {
    if (errand === undefined) return
    this.#waiting.get(errand)?.answer(told)
    this.#waiting.delete(errand)
  }
}

function answeredBy(answer: Answer): Told {
  switch (answer.kind) {
    case 'results':
      return toldOf(answer.results[0])
    case 'values':
      return { kind: 'balance', balance: answer.values[0]?.balance ?? 0n }
    case 'outcome':
      throw new Error('a customer asked for no outcome')
  }
}
