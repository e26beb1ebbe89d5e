import type { Message } from '../../../protocol/messages.ts'
import { isReplica, type PrincipalId } from '../../../protocol/types.ts'
import { describe } from '../describe.ts'
import type { Instance } from './instance.ts'
import type { Schedule } from './schedule.ts'
import type { Settings } from './settings.ts'
import type { TwinWorld } from './world.ts'

/**
 * Who hears whom. What is sent to an identity reaches each instance of it in the sender's group. The partition is that
 * of the message's view, or of the sender's where it has none. What crosses groups is lost.
 *
 * A view whose partition lets nobody enter or leave it would keep the later partitions from being tried; so a stage
 * moves on when nothing more can happen, and no message meets the partition of a view below it. Beyond the last
 * scheduled view all hear all.
 */
export class Shim {
  readonly #world: TwinWorld
  readonly #schedule: Schedule
  readonly #settings: Settings
  readonly #instances: readonly Instance[]
  readonly #onReply: (from: Instance, message: Message) => void
  /** By instance and view: the seqs that it proposed there and that get through. */
  readonly #proposed = new Map<string, Set<number>>()
  /** No partition of a view below this is in force. */
  stage = 0

  constructor(args: {
    readonly world: TwinWorld
    readonly schedule: Schedule
    readonly settings: Settings
    readonly instances: readonly Instance[]
    readonly onReply: (from: Instance, message: Message) => void
  }) {
    this.#world = args.world
    this.#schedule = args.schedule
    this.#settings = args.settings
    this.#instances = args.instances
    this.#onReply = args.onReply
  }

  get isHealed(): boolean {
    return this.stage >= this.#schedule.views.length
  }

  send(from: Instance, to: readonly PrincipalId[], message: Message): void {
    const { trace, queue } = this.#world
    const view = viewOf(message) ?? from.position.highestViewChange
    if (message.type === 'pre-prepare' && this.#isBeyondItsShare(from, message.header)) return
    const heard: Instance[] = []
    for (const peer of to) {
      if (!isReplica(peer)) this.#onReply(from, message)
      else
        heard.push(...this.#instances.filter((one) => one.replica === peer && this.#hears(one, from, view)))
    }
    if (trace.verbose) {
      const names = heard.map(({ name }) => name).join(',')
      trace.line(queue.nowUs, `${from.name} -> ${names || 'nobody'} ${describe(message)}`)
    }
    for (const one of heard) this.#deliver(one, from, message)
  }

  #hears(one: Instance, from: Instance, view: number): boolean {
    const partition = this.#schedule.views[Math.max(view, this.stage)]
    return partition === undefined || partition[one.index] === partition[from.index]
  }

  #deliver(to: Instance, from: Instance, message: Message): void {
    const { random, queue } = this.#world
    const { latencyMsMax } = this.#settings
    const delayUs = latencyMsMax === 1 ? 1_000 : random.between(1_000, 1_000 * latencyMsMax)
    queue.after(delayUs, () => to.receive(from.replica, message))
  }

  #isBeyondItsShare(from: Instance, { view, seq }: { readonly view: number; readonly seq: number }): boolean {
    if (this.isHealed || view >= this.#schedule.views.length) return false
    const key = `${from.index}/${view}`
    const seqs = this.#proposed.get(key) ?? new Set()
    this.#proposed.set(key, seqs)
    if (seqs.size < this.#settings.batchesPerView) seqs.add(seq)
    return !seqs.has(seq)
  }
}

function viewOf(message: Message): number | undefined {
  switch (message.type) {
    case 'pre-prepare':
      return message.header.view
    case 'prepare':
    case 'commit':
    case 'new-view':
      return message.view
    case 'view-change':
      return message.newView
    default:
      return undefined
  }
}
