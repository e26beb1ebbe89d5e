import { principalId } from '../../protocol/types.ts'
import type { Clients } from './clients.ts'
import { addressOf } from './host.ts'
import type { Machine } from './machine.ts'
import type { World } from './world.ts'

const JUNK_BYTES_MAX = 1_400

/** Makes the faults of a run, each kind on its own clock, until it is stopped. */
export class Nemesis {
  readonly #world: World
  readonly #machines: readonly Machine[]
  readonly #clients: Clients
  #active = true

  constructor(world: World, machines: readonly Machine[], clients: Clients) {
    this.#world = world
    this.#machines = machines
    this.#clients = clients
    const { network, processes, database, clientSide } = world.plan
    this.#every(processes.crashEveryMs, () => this.#crash())
    this.#every(processes.powerEveryMs, () => this.#cutPower())
    this.#every(database.lossEveryMs, () => this.#loseDatabases())
    this.#every(network.partitionEveryMs, () => this.#partition())
    this.#every(network.junkEveryMs, () => this.#junk())
    this.#every(clientSide.restartEveryMs, () => this.#clients.restartOne())
    if (processes.absence) this.#leaveForLong()
  }

  /** No more faults; everything that is broken works again. */
  heal(): void {
    this.#active = false
    this.#world.network.heal()
    for (const machine of this.#machines) machine.restorePower()
  }

  #every(meanMs: number | null, strike: () => void): void {
    if (meanMs === null) return
    const { queue, random } = this.#world
    queue.after(random.exponential(meanMs) * 1000, () => {
      if (!this.#active) return
      strike()
      this.#every(meanMs, strike)
    })
  }

  #downUs(): number {
    return this.#world.random.between(1, this.#world.plan.processes.downMsMax) * 1000
  }

  /** Any replica, and the primary more often than its share. */
  #victim(): Machine {
    const { random } = this.#world
    const [primary] = this.#machines
    return primary !== undefined && random.chance(0.25) ? primary : random.pick(this.#machines)
  }

  #crash(): void {
    const victims = this.#world.random.chance(0.1) ? this.#machines : [this.#victim()]
    for (const victim of victims) {
      victim.kill()
      this.#startAfter(victim, this.#downUs())
    }
  }

  #startAfter(machine: Machine, delayUs: number): void {
    this.#world.queue.after(delayUs, () => {
      machine.start()
      if (machine.process === null && this.#active) this.#startAfter(machine, delayUs)
    })
  }

  #cutPower(): void {
    const all = this.#world.random.chance(0.3)
    if (all) this.#world.happenings.count('power cut of all')
    for (const victim of all ? this.#machines : [this.#victim()]) {
      victim.cutPower()
      this.#world.queue.after(this.#downUs(), () => victim.restorePower())
    }
  }

  #loseDatabases(): void {
    const { random } = this.#world
    const victims = random.chance(0.25) ? this.#machines : [random.pick(this.#machines)]
    for (const victim of victims) victim.loseDatabase({ crash: random.chance(0.7), downUs: this.#downUs() })
  }

  /** A backup that stays away until all is healed: what it missed comes from the others' logs. */
  #leaveForLong(): void {
    const { random, queue } = this.#world
    const absent = this.#machines[random.int(1, this.#machines.length - 1)]
    if (absent === undefined) return
    queue.after(random.between(0, 200) * 1000, () => {
      if (!this.#active) return
      this.#world.happenings.count('long absence')
      absent.cutPower()
    })
  }

  /** One or two hosts cut off, in one direction or both, for a while. */
  #partition(): void {
    const { network, random, queue } = this.#world
    network.unblockAll()
    const oneWay = random.chance(0.4)
    for (let cut = random.int(1, 2); cut > 0; cut--) {
      const lonely = addressOf(random.pick(this.#machines).replica)
      for (const other of this.#addresses()) {
        if (random.chance(0.2)) continue
        network.block(lonely, other)
        if (!oneWay) network.block(other, lonely)
      }
    }
    queue.after(this.#downUs(), () => network.unblockAll())
  }

  #addresses(): string[] {
    return [...this.#machines.map(({ replica }) => replica), ...this.#clients.ids].map((id) =>
      addressOf(principalId(id)),
    )
  }

  /** Bytes that look like the start of something, from a stranger's or a member's address. */
  #junk(): void {
    const { network, random } = this.#world
    const to = addressOf(random.pick(this.#machines).replica)
    const from = random.chance(0.5) ? 'stranger' : random.pick(this.#addresses())
    const bytes = random.bytes(random.int(0, JUNK_BYTES_MAX))
    if (bytes.length > 0 && random.chance(0.7)) bytes[0] = random.int(0, 7)
    network.inject(from, to, bytes)
  }
}
