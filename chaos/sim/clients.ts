import type { Request } from '../../protocol/messages.ts'
import { CLIENT_ID_MIN, type ClientId, clientId, type PrincipalId } from '../../protocol/types.ts'
import type { Checks } from './checks.ts'
import { ClientProcess, type Errand } from './client-process.ts'
import { LyingClient } from './lying-client.ts'
import type { Probe } from './probe.ts'
import type { Random } from './random.ts'
import { drawJob, type Job } from './workload.ts'
import type { World } from './world.ts'

export type ClientsOptions = {
  /** What a client's next call is; a bank's daily business when left out. */
  readonly draw?: (random: Random, client: ClientId) => Job
  readonly probe?: Probe
}

/** Requests of correct clients that liars know. */
const OVERHEARD_MAX = 64

type Member = {
  readonly id: ClientId
  process: ClientProcess
  /** Jobs still to be begun. */
  left: number
  /** Begun and not over. */
  running: number
}

/** All clients of a run and the workload they carry out, each with a few calls at a time. */
export class Clients {
  readonly #world: World
  readonly #checks: Checks
  readonly #draw: (random: Random, client: ClientId) => Job
  readonly #probe: Probe | undefined
  readonly #members: Member[]
  readonly #liars: readonly LyingClient[]
  readonly #overheard: Request[] = []

  constructor(world: World, checks: Checks, { draw = drawJob, probe }: ClientsOptions = {}) {
    this.#world = world
    this.#checks = checks
    this.#draw = draw
    this.#probe = probe
    const { clients, requests, lyingClients } = world.plan
    const all = Array.from({ length: clients }, (_, index) => clientId(CLIENT_ID_MIN + index))
    const correct = all.filter((id) => lyingClients.every(({ client }) => client !== id))
    this.#liars = lyingClients.map(
      ({ client, behaviours }) =>
        new LyingClient({
          world,
          id: client,
          behaviours,
          others: all.filter((id) => id !== client),
          overheard: () => (this.#overheard.length === 0 ? undefined : world.random.pick(this.#overheard)),
        }),
    )
    this.#members = correct.map((id, index) => {
      const share = Math.floor(requests / correct.length) + (index < requests % correct.length ? 1 : 0)
      return { id, process: this.#spawn(id, index), left: share, running: 0 }
    })
  }

  get ids(): readonly PrincipalId[] {
    return [...this.#members, ...this.#liars].map(({ id }) => id)
  }

  get outstanding(): number {
    return this.#members.reduce((sum, { left, running }) => sum + left + running, 0)
  }

  start(): void {
    this.#members.forEach((member, index) => {
      member.process.start()
      this.#goOn(index)
    })
    for (const liar of this.#liars) liar.start()
  }

  /** They have nobody left to harm: what the cluster owes them still, and what it holds of them, is for it to end. */
  silenceLiars(): void {
    for (const liar of this.#liars) liar.kill()
  }

  /** Their processes, without a call: handshakes are over by the time that `begin` is called. */
  connect(): void {
    for (const { process } of this.#members) process.start()
  }

  begin(): void {
    for (const index of this.#members.keys()) this.#goOn(index)
  }

  /** To one client, which makes them as its concurrency allows. */
  giveMore(requests: number, client = 0): void {
    const member = this.#members[client]
    if (member === undefined) return
    member.left += requests
    this.#goOn(client)
  }

  /** Kills a client's process and starts another with the same key, which asks what became of the open requests. */
  restartOne(): void {
    const index = this.#world.random.int(0, this.#members.length - 1)
    const member = this.#members[index]
    if (member === undefined) return
    const { openErrands, unsettled } = member.process
    member.process.kill()
    const process = this.#spawn(member.id, index)
    member.process = process
    process.start()
    this.#world.happenings.count('client restarted')
    member.running = 0
    const names = new Set<string>()
    for (const errand of openErrands) {
      if (errand.kind === 'lookup') names.add(errand.name.digest)
      if (errand.kind !== 'submit') this.#begin(member, errand)
    }
    for (const name of unsettled) {
      if (!names.has(name.digest)) this.#begin(member, { kind: 'lookup', name })
    }
    this.#goOn(index)
  }

  /** What waits, for the report of a run that is stuck. */
  describeOutstanding(): string {
    return this.#members
      .filter(({ left, running }) => left + running > 0)
      .map(({ id, left, process }) => {
        const names = process.unsettled.map(({ lane, number }) => `${lane}/${number}`)
        const kinds = process.openErrands.map(({ kind }) => kind)
        return `c${id}: ${left} to begin, open [${kinds.join(' ')}], sent [${names.join(' ')}]`
      })
      .join('; ')
  }

  #spawn(id: ClientId, index: number): ClientProcess {
    return new ClientProcess({
      world: this.#world,
      id,
      checks: this.#checks,
      hooks: {
        onDone: (errand) => {
          this.#probe?.onDone(errand)
          this.#done(index)
        },
        onAgain: (errand) => this.#again(index, errand),
        onSent: (request) => this.#overhear(request),
      },
    })
  }

  #overhear(request: Request): void {
    if (this.#liars.length === 0) return
    this.#overheard.push(request)
    if (this.#overheard.length > OVERHEARD_MAX) this.#overheard.shift()
  }

  #begin(member: Member, errand: Errand): void {
    member.running += 1
    member.process.begin(errand)
  }

  #done(index: number): void {
    const member = this.#members[index]
    if (member === undefined) return
    member.running -= 1
    this.#goOn(index)
  }

  #again(index: number, errand: Errand): void {
    const member = this.#members[index]
    if (member === undefined) return
    const { process } = member
    this.#afterThinking(() => {
      if (member.process === process) process.begin(errand)
    })
  }

  /** Begins what may run beside what runs already, each after a pause. */
  #goOn(index: number): void {
    const member = this.#members[index]
    if (member === undefined) return
    while (member.left > 0 && member.running < this.#world.plan.clientSide.concurrency) {
      member.left -= 1
      member.running += 1
      const { process } = member
      const job = this.#draw(this.#world.random, member.id)
      this.#afterThinking(() => {
        if (member.process !== process) return
        this.#probe?.onBegun(job)
        process.begin(job)
      })
    }
  }

  #afterThinking(work: () => void): void {
    const { queue, random, plan } = this.#world
    queue.after(random.exponential(plan.clientSide.thinkUs), work)
  }
}
