import type { MessageType, Request } from '../../protocol/messages.ts'
import { replicaId, seq } from '../../protocol/types.ts'
import { Command, operationsOf } from './command.ts'
import { Forge, falsified } from './forge.ts'
import { DEFAULT_TOPICS, Harness, type Topic } from './harness.ts'
import { tellMessage } from './message-narration.ts'
import { grouped } from './narration.ts'
import { type Filter, matches } from './network.ts'
import type { Work } from './node.ts'
import { clientOf, nameOf, requestOf, tampered } from './parties.ts'
import { logOf, patienceOf, statesOf, timersOf, viewsOf } from './questions.ts'

const OPERATIONS = new Set(['transfer', 'deposit', 'withdraw', 'balance', 'open', 'lookup'])
const KINDS_OF_WORK: readonly Work[] = ['persist', 'execute', 'verify', 'read-log', 'checkpoint', 'transfer']

/** Runs the commands of one scenario file's scenario, one after the other, on one cluster. */
export class Scenario {
  readonly #topics = new Set<Topic>(DEFAULT_TOPICS)
  readonly #forge = new Forge()
  readonly #numbers = new Map<string, number>()
  #cluster: Harness | null = null
  #nonce = 0

  get cluster(): Harness {
    if (this.#cluster === null) throw new Error('the first command must be: cluster')
    return this.#cluster
  }

  /** What the command brought about, one line each. */
  run(text: string): string[] {
    const command = new Command(text)
    const from = this.#cluster?.lines.length ?? 0
    const said = this.#perform(command)
    command.checkAllUsed()
    const lines = this.cluster.lines.slice(from).filter(({ topic }) => this.#topics.has(topic))
    return [...grouped(lines), ...said]
  }

  #perform(command: Command): readonly string[] {
    const ask = this.#questions[command.verb]
    if (ask !== undefined) return ask(command)
    const act = this.#actions[command.verb]
    if (act === undefined) throw new Error(`there is no command ${command.verb}`)
    act(command)
    return []
  }

  /** These say something beside what replicas did. */
  readonly #questions: Readonly<Record<string, (command: Command) => readonly string[]>> = {
    batch: (command) => this.#batch(command),
    drop: (command) => [`dropped ${this.cluster.network.drop(this.#filter(command))}`],
    pending: (command) => this.#pending(command),
    state: () => statesOf(this.cluster),
    views: () => viewsOf(this.cluster),
    patience: () => patienceOf(this.cluster),
    timers: (command) => timersOf(this.cluster, command.numbers('at')),
    log: (command) => logOf(this.cluster, command.numbers('at')),
  }

  readonly #actions: Readonly<Record<string, (command: Command) => void>> = {
    cluster: (command) => this.#start(command),
    show: ({ words }) => this.#show(words, true),
    hide: ({ words }) => this.#show(words, false),
    request: (command) => this.#request(command),
    load: (command) => this.#load(command),
    inject: (command) => this.#inject(command),
    deliver: (command) => this.#deliver(command),
    stabilize: () => this.cluster.deliver(),
    duplicate: (command) => this.cluster.network.duplicate(this.#filter(command)),
    reverse: () => this.cluster.network.reverse(),
    falsify: (command) => this.cluster.network.alter(this.#filter(command), falsified),
    cut: (command) => this.#each(command, (id) => this.cluster.network.cut(id)),
    heal: (command) => this.#each(command, (id) => this.#heal(id)),
    hold: (command) => this.#hold(command, true),
    release: (command) => this.#hold(command, false),
    persist: (command) => this.#advance('persist', command),
    execute: (command) => this.#advance('execute', command),
    verify: (command) => this.#advance('verify', command),
    'read-log': (command) => this.#advance('read-log', command),
    checkpoint: (command) => this.#advance('checkpoint', command),
    transfer: (command) => this.#advance('transfer', command),
    crash: (command) => this.#crash(command),
    restart: (command) => this.#restart(command),
    'restart-database': (command) => this.#restartDatabase(command),
    wipe: (command) => this.#wipe(command),
    tamper: (command) => this.#tamper(command),
    scrub: (command) => this.#each(command, (id) => this.cluster.node(id).scrub()),
    timeout: (command) => this.#timeout(command),
    settle: () => this.cluster.settle(),
    elapse: (command) => this.cluster.elapse(Number(command.words[0])),
    block: (command) => this.cluster.network.block(this.#filter(command)),
    unblock: () => this.cluster.network.unblock(),
    replay: (command) => this.#replay(command),
    read: (command) => this.#read(command),
    diverge: (command) => this.#each(command, (id) => this.#diverge(id)),
  }

  #start(command: Command): void {
    this.#cluster = new Harness({
      n: command.number('n') ?? 4,
      k: command.number('k') ?? 128,
      inFlightMax: command.number('in-flight') ?? 4,
      batchOperationsMax: command.number('batch-operations') ?? 500,
    })
  }

  #show(words: readonly string[], shown: boolean): void {
    for (const word of words) {
      if (shown) this.#topics.add(word as Topic)
      else this.#topics.delete(word as Topic)
    }
  }

  #each({ words }: Command, work: (id: number) => void): void {
    for (const word of words) work(Number(word))
  }

  /** `request alice number=3 lane=1 to=0,1 via=2 as=q forged mac transfer a b 10`; to the primary unless it says else. */
  #request(command: Command): void {
    const [name = ''] = command.words
    const client = clientOf(name)
    const lane = command.number('lane') ?? 0
    const key = `${client} ${lane}`
    const number = command.number('number') ?? (this.#numbers.get(key) ?? 0) + 1
    this.#numbers.set(key, number)
    const at = command.words.findIndex((word) => OPERATIONS.has(word))
    const operations = operationsOf(command.words.slice(at))
    const macs = command.has('mac') ? [Buffer.alloc(16, 1)] : []
    const made = requestOf({ client, lane, number, operations, macs })
    const request: Request = command.has('forged') ? { ...made, signature: tampered(made.signature) } : made
    const label = command.option('as')
    if (label !== undefined) this.#forge.requests.set(label, request)
    const via = command.number('via')
    const times = command.number('times') ?? 1
    const to = command.numbers('to') ?? [0]
    for (let i = 0; i < times; i++) {
      this.cluster.request(request, to, via === undefined ? client : replicaId(via))
    }
  }

  /** `load alice 20 transfer a b 1`: so many requests, each delivered everywhere before the next. */
  #load(command: Command): void {
    const [name = '', count = '0', ...operation] = command.words
    for (let i = 0; i < Number(count); i++) {
      this.#request(new Command(`request ${name} ${operation.join(' ')}`))
      this.cluster.deliver()
    }
  }

  #batch({ words: [label = '', ...requests] }: Command): string[] {
    return [`${label} is ${this.#forge.batch(label, requests).digest.slice(0, 4)}`]
  }

  /** Messages as a liar could send them: `inject from=1 to=2 prepare n=1 batch=b bad`. */
  #inject(command: Command): void {
    const from = replicaId(Number(command.need('from')))
    for (const message of this.#forge.messages(command, this.cluster)) {
      for (const to of command.numbers('to') ?? []) this.cluster.receive(from, to, message)
    }
  }

  #filter(command: Command): Filter {
    return {
      type: command.option('type') as MessageType | undefined,
      from: command.numbers('from'),
      to: command.numbers('to'),
      n: command.number('n'),
      v: command.number('v'),
    }
  }

  /** Oldest first. `until=prepared at=1,2` stops as soon as each of these got there by this command. */
  #deliver(command: Command): void {
    const filter = this.#filter(command)
    const until = command.option('until')
    const count = command.number('count')
    if (count !== undefined) for (let i = 0; i < count; i++) this.cluster.deliverOne(filter)
    if (count !== undefined) return
    if (until === undefined) return this.cluster.deliver(filter)
    const at = command.numbers('at') ?? this.cluster.nodes.map(({ id }) => id)
    const from = this.cluster.lines.length
    this.cluster.deliver(filter, () => {
      const since = this.cluster.lines.slice(from)
      return at.every((id) => since.some(({ by, topic }) => by === id && topic === until))
    })
  }

  #pending(command: Command): string[] {
    const filter = this.#filter(command)
    return grouped(
      this.cluster.network.pending
        .filter((packet) => matches(packet, filter))
        .map(({ from, to, message }) => ({ by: from, text: `-> ${nameOf(to)} ${tellMessage(message)}` })),
    )
  }

  #heal(id: number): void {
    this.cluster.network.heal(id)
    this.cluster.connect(id)
  }

  /** `hold persist execute at=1` */
  #hold(command: Command, held: boolean): void {
    const kinds = KINDS_OF_WORK.filter((kind) => command.has(kind))
    for (const id of command.numbers('at') ?? this.cluster.nodes.map((node) => node.id)) {
      const node = this.cluster.node(id)
      for (const kind of kinds) {
        if (held) node.held.add(kind)
        else {
          node.held.delete(kind)
          node.advance(kind, Number.MAX_SAFE_INTEGER)
        }
      }
    }
  }

  #advance(work: Work, command: Command): void {
    for (const id of command.numbers('at') ?? []) {
      this.cluster.node(id).advance(work, command.number('count') ?? Number.MAX_SAFE_INTEGER)
    }
  }

  /** `crash 1 lost-marks=1 database=3`: what a power cut takes of the log's marks and of the database. */
  #crash(command: Command): void {
    const database = command.number('database')
    const lostMarks = command.number('lost-marks') ?? 0
    this.#each(command, (id) =>
      this.cluster.crash(id, { lostMarks, ...(database === undefined ? {} : { database: seq(database) }) }),
    )
  }

  /** `restart 3 clock=1500`: by this clock, which gives an amnesiac its incarnation. */
  #restart(command: Command): void {
    const clock = command.number('clock')
    this.#each(command, (id) => this.cluster.restart(id, clock))
  }

  #restartDatabase(command: Command): void {
    const keep = seq(Number(command.need('keep')))
    this.#each(command, (id) => this.cluster.node(id).restartDatabase(keep))
  }

  #read(command: Command): void {
    const [name = '', ...accounts] = command.words
    this.#nonce += 1
    const via = command.number('via')
    for (const id of command.numbers('at') ?? this.cluster.nodes.map((node) => node.id)) {
      const from = via === undefined ? clientOf(name) : replicaId(via)
      this.cluster.receive(from, id, { type: 'read', nonce: this.#nonce, accounts })
    }
  }

  #diverge(id: number): void {
    this.cluster.node(id).database.diverged = true
  }

  /** `timeout view-change at=1,2`; STATUS when no other timer is named. */
  #timeout(command: Command): void {
    const [timer = 'status'] = command.words
    const at = command.numbers('at')
    if (timer === 'status') this.cluster.timeout(at)
    else if (timer === 'view-change' || timer === 'transfer') this.cluster.expire(timer, at ?? [])
    else throw new Error(`there is no timer ${timer}`)
  }

  /** `wipe log database at=2`: what a replica that is down has lost. */
  #wipe(command: Command): void {
    for (const id of command.numbers('at') ?? []) {
      if (command.has('log')) this.cluster.node(id).wipeLog()
      if (command.has('database')) this.cluster.node(id).wipeDatabase()
    }
  }

  /** `tamper accounts a balance=999 at=1`, `tamper transfers 1:0 amount=7 at=1`, `tamper accounts a gone at=1`. */
  #tamper(command: Command): void {
    const [table, key = ''] = command.words
    const amount = BigInt(command.number('balance') ?? command.number('amount') ?? 0)
    const like = command.option('like')
    for (const id of command.numbers('at') ?? []) {
      const { store } = this.cluster.node(id)
      const rows = store.allRows()
      if (table === 'accounts') {
        const model = rows.accounts.find((row) => row.id === like)
        store.tamper(table, key, (row) => {
          if (command.has('gone')) return undefined
          if (model !== undefined) return { ...model, id: key }
          return row && { ...row, balance: amount }
        })
      } else if (table === 'transfers') store.tamper(table, key, (row) => row && { ...row, amount })
      else throw new Error(`nobody tampers with ${table}`)
    }
  }

  /** A liar says again what `type= of= v= n=` said before: `replay type=new-view v=1 from=3 to=2`. */
  #replay(command: Command): void {
    const { type, n, v } = this.#filter(command)
    const from = replicaId(Number(command.need('from')))
    const messages = this.cluster.network.everSent({ type, n, v, from: command.numbers('of') })
    if (messages.length === 0) throw new Error('nobody said so')
    for (const id of command.numbers('to') ?? []) {
      for (const message of messages) this.cluster.receive(from, id, message)
    }
  }
}
