import { quorumOf } from '../../protocol/quorum.ts'
import { principalId } from '../../protocol/types.ts'
import { Budget } from './budget.ts'
import type { Clients } from './clients.ts'
import { drawFailpoint } from './failpoints.ts'
import { addressOf } from './host.ts'
import type { Machine } from './machine.ts'
import type { Link } from './network.ts'
import { tamper } from './tamper.ts'
import type { World } from './world.ts'

const JUNK_BYTES_MAX = 1_400
const CLOCK_JUMP_MS_MAX = 5_000
const FLAP_US_MAX = 40_000
const FLAPS_MAX = 20

/** Makes the faults of a run, each kind on its own clock, until it is stopped. */
export class Nemesis {
  readonly #world: World
  readonly #machines: readonly Machine[]
  readonly #clients: Clients
  readonly #isAcknowledged: () => boolean
  readonly #budget: Budget
  #active = true
  /** Whoever stays away until all is healed. */
  #absent: Machine | null = null

  constructor(args: {
    readonly world: World
    readonly machines: readonly Machine[]
    readonly clients: Clients
    /** Whether a client was told anything yet. */
    readonly isAcknowledged: () => boolean
  }) {
    const { world, machines } = args
    this.#world = world
    this.#machines = machines
    this.#clients = args.clients
    this.#isAcknowledged = args.isAcknowledged
    this.#budget = new Budget(quorumOf(machines.length).f)
    for (const { adversary, replica } of machines) {
      if (adversary !== null) this.#budget.take(replica, () => false)
    }
    const { network, processes, database, storage, clientSide } = world.plan
    this.#every(processes.crashEveryMs, () => this.#crash())
    this.#every(processes.powerEveryMs, () => this.#cutPower())
    this.#every(processes.pauseEveryMs, () => this.#pause())
    this.#every(processes.failpointEveryMs, () => this.#armFailpoints())
    this.#every(processes.clockJumpEveryMs, () => this.#jumpClock())
    this.#every(database.lossEveryMs, () => this.#loseDatabases())
    this.#every(storage.lostLogEveryMs, () => this.#loseLog())
    this.#every(storage.lostDatabaseEveryMs, () => this.#wipeDatabase())
    this.#every(storage.tamperEveryMs, () => this.#tamper())
    this.#every(network.partitionEveryMs, () => this.#partition())
    this.#every(network.flappingEveryMs, () => this.#flap())
    this.#every(network.lonelyPrimaryEveryMs, () => this.#isolatePrimary())
    this.#every(network.junkEveryMs, () => this.#junk())
    this.#every(clientSide.restartEveryMs, () => this.#clients.restartOne())
    if (processes.absence) this.#leaveForLong()
  }

  /** No more faults; everything that is broken works again. */
  heal(): void {
    this.#active = false
    this.#absent = null
    this.#world.network.heal()
    for (const machine of this.#machines) {
      machine.failpoints.disarm()
      machine.restorePower()
    }
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

  /** Any replica, and whoever leads more often than its share. */
  #victim(): Machine {
    const { random } = this.#world
    const primary = this.#primary()
    return primary !== undefined && random.chance(0.25) ? primary : random.pick(this.#machines)
  }

  /** Of the highest view that some replica is in. */
  #primary(): Machine | undefined {
    const view = Math.max(...this.#machines.map(({ process }) => process?.position.view ?? 0))
    return this.#machines[view % this.#machines.length]
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
      if (!this.#active || machine === this.#absent) return
      machine.start()
      if (machine.process === null) this.#startAfter(machine, delayUs)
    })
  }

  #cutPower(): void {
    const { random, happenings, queue } = this.#world
    const all = random.chance(0.3)
    if (all) {
      happenings.count('power cut of all')
      if (this.#isAcknowledged()) happenings.count('power cut of all with acknowledged writes')
    }
    for (const victim of all ? this.#machines : [this.#victim()]) {
      victim.cutPower()
      queue.after(this.#downUs(), () => {
        if (victim !== this.#absent) victim.restorePower()
      })
    }
  }

  #pause(): void {
    const us = this.#downUs()
    this.#victim().process?.pause(us)
    this.#world.happenings.count('process paused')
  }

  #jumpClock(): void {
    const { random, happenings } = this.#world
    random.pick(this.#machines).clock.jump(random.skewed(10, CLOCK_JUMP_MS_MAX))
    happenings.count('clock jumped')
  }

  /** [D1] Alone, or in pairs: the same replica dies again behind its restart, or another beside it. */
  #armFailpoints(): void {
    const { random, happenings } = this.#world
    const first = this.#victim()
    const isPair = random.chance(0.4)
    const second = random.chance(0.5) ? first : random.pick(this.#machines)
    this.#arm(first, () => {
      if (!isPair) return
      happenings.count('failpoint pair')
      this.#arm(second, () => {})
    })
  }

  #arm(machine: Machine, then: () => void): void {
    const { random, happenings } = this.#world
    const { point, count } = drawFailpoint(random)
    const strike = () => {
      happenings.count('failpoint struck')
      if (point.startsWith('after-send') && random.chance(0.5)) machine.process?.sendOut()
      if (random.chance(0.3)) {
        machine.cutPower()
        machine.database.up = true
      } else machine.kill()
      this.#startAfter(machine, this.#downUs())
      then()
    }
    machine.failpoints.arm(point, { count, strike })
  }

  #loseDatabases(): void {
    const { random } = this.#world
    const victims = random.chance(0.25) ? this.#machines : [random.pick(this.#machines)]
    for (const victim of victims) victim.loseDatabase({ crash: random.chance(0.7), downUs: this.#downUs() })
  }

  /** [D5] Faulty until it votes again. Now and then the database goes, too. */
  #loseLog(): void {
    const { random, plan } = this.#world
    const victim = this.#victim()
    const isOver = () => {
      const position = victim.process?.position
      return position !== undefined && !position.isAmnesiac
    }
    if (!this.#take(victim, isOver)) return
    victim.loseLog()
    if (plan.faults.includes('lost-database') && random.chance(0.3)) victim.wipeDatabase()
    this.#startAfter(victim, this.#downUs())
  }

  /** [CP4] Faulty until it holds again what it held. */
  #wipeDatabase(): void {
    const victim = this.#victim()
    if (!this.#take(victim, () => !victim.isBehindLoss)) return
    victim.wipeDatabase()
    this.#startAfter(victim, this.#downUs())
  }

  /** [CP6] Faulty until it is repaired, and what it signed meanwhile is out of use. */
  #tamper(): void {
    const victim = this.#victim()
    if (!victim.database.up) return
    if (!this.#take(victim, () => !victim.isTampered && !victim.hasSignedWrong)) return
    const way = tamper(victim.database.store, this.#world.random)
    if (way !== null) victim.onTampered(way)
  }

  #take(victim: Machine, isOver: () => boolean): boolean {
    // The fault itself comes next: what is true before it does not end it.
    let begun = false
    const taken = this.#budget.take(victim.replica, () => begun && isOver())
    if (taken) {
      this.#world.queue.after(0, () => {
        begun = true
      })
    }
    return taken
  }

  /** One that stays away until all is healed: what it missed comes from the others. */
  #leaveForLong(): void {
    const { random, queue, happenings } = this.#world
    queue.after(random.between(0, 200) * 1000, () => {
      if (!this.#active) return
      happenings.count('long absence')
      this.#absent = random.pick(this.#machines)
      this.#absent.cutPower()
    })
  }

  /** Some hosts cut off for a while: in one direction or both, alone or as a group. */
  #partition(): void {
    const { network, random, queue } = this.#world
    const oneWay = random.chance(0.4)
    const links: Link[] = []
    if (random.chance(0.4)) {
      const [ours, theirs] = this.#halves()
      for (const from of ours) for (const to of theirs) links.push({ from, to })
    } else {
      for (let cut = random.int(1, 2); cut > 0; cut--) {
        const lonely = addressOf(random.pick(this.#machines).replica)
        for (const to of this.#addresses()) if (!random.chance(0.2)) links.push({ from: lonely, to })
      }
    }
    const both = oneWay
      ? links
      : links.flatMap(({ from, to }) => [
          { from, to },
          { from: to, to: from },
        ])
    queue.after(this.#downUs(), network.cut(both))
  }

  /** Whoever leads is cut off for about as long as the others wait for it: views change, and change again. */
  #isolatePrimary(): void {
    const { network, random, queue, plan, happenings } = this.#world
    const primary = this.#primary()
    if (primary === undefined) return
    const lonely = addressOf(primary.replica)
    const links = this.#addresses().flatMap((other) => [
      { from: lonely, to: other },
      { from: other, to: lonely },
    ])
    happenings.count('primary cut off')
    queue.after(random.between(0.5, 2) * plan.cluster.viewChangeTimeoutMs * 1000, network.cut(links))
  }

  /** Two groups of all hosts; one replica may be in neither, and so reach both. */
  #halves(): readonly [readonly string[], readonly string[]] {
    const { random } = this.#world
    const bridge = random.chance(0.3) ? addressOf(random.pick(this.#machines).replica) : null
    const hosts = this.#addresses().filter((host) => host !== bridge)
    const ours = hosts.filter(() => random.chance(0.5))
    return [ours, hosts.filter((host) => !ours.includes(host))]
  }

  /** Links of one host that come and go. */
  #flap(): void {
    const { network, random, queue, happenings } = this.#world
    happenings.count('link flapped')
    const host = addressOf(this.#victim().replica)
    const others = this.#addresses().filter((other) => other !== host && random.chance(0.6))
    const links = others.flatMap((other) => [
      { from: host, to: other },
      { from: other, to: host },
    ])
    const periodUs = random.skewed(1_000, FLAP_US_MAX)
    const flap = (left: number) => {
      if (!this.#active || left === 0) return
      const mend = network.cut(links)
      queue.after(periodUs * random.float(), mend)
      queue.after(periodUs, () => flap(left - 1))
    }
    flap(random.int(2, FLAPS_MAX))
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
