import type { Evidence, Message } from '../../protocol/messages.ts'
import type { LogPosition, PrincipalId, Seq } from '../../protocol/types.ts'
import { assertNever } from '../../protocol/types.ts'
import type { Claim, Effect, Fault, Observation, TimerName } from '../core/effect.ts'
import type { Event } from '../core/event.ts'
import type { VoteRecord } from '../core/vote-record.ts'
import type { FailpointHook } from './failpoints.ts'

/** What the engine drives: ReplicaCore. */
export type Steps = { step(event: Event, nowMs: number): readonly Effect[] }

/** [CP3] [CP4] Held states and transfers, in the order in which the core wants them. */
export type StateEffect = Extract<
  Effect,
  {
    type:
      | 'take-checkpoint'
      | 'keep-checkpoints'
      | 'read-partitions'
      | 'read-history'
      | 'begin-transfer'
      | 'stage-partition'
      | 'stage-history'
      | 'install-transfer'
      | 'cancel-transfer'
  }
>

/** What effects are performed on. A port may dispatch: its event comes behind those under way. */
export type Ports = {
  readonly log: {
    append(position: LogPosition, record: VoteRecord, sync: boolean): void
    flush(): void
  }
  readonly send: (to: readonly PrincipalId[], message: Message) => void
  readonly verify: (claims: readonly Claim[]) => readonly boolean[]
  readonly execute: (effect: Extract<Effect, { type: 'execute' }>) => void
  readonly readState: (effect: Extract<Effect, { type: 'read-state' }>) => void
  readonly readCommitted: (effect: Extract<Effect, { type: 'read-committed' }>) => void
  readonly state: (effect: StateEffect) => void
  readonly collectGarbage: (upTo: Seq) => void
  readonly keepEvidence: (evidence: Evidence) => void
  readonly setTimer: (timer: TimerName, ms: number) => void
  readonly stopTimer: (timer: TimerName) => void
  readonly observe: (what: Observation) => void
  readonly halt: (fault: Fault) => void
  readonly nowMs: () => number
  /** An adversary: what it makes of a step's effects. */
  readonly alter?: (effects: readonly Effect[]) => readonly Effect[]
  readonly failpoint?: FailpointHook
}

/**
 * Event -> step -> perform. Sends that depend on a record wait here until it is durable [D1]; everything else is
 * handed to its port at once. The log is flushed once the events of a turn are through, so that they share an fsync.
 */
export class Engine {
  readonly #core: Steps
  readonly #ports: Ports
  /** What waits for its record. */
  #held: { readonly after: LogPosition; readonly to: readonly PrincipalId[]; readonly message: Message }[] =
    []
  #durable = 0
  readonly #queue: Event[] = []
  #dispatching = false
  /** Whether a record that something waits for was written since the last flush. */
  #awaited = false
  #stopped = false

  constructor(core: Steps, ports: Ports) {
    this.#core = core
    this.#ports = ports
  }

  /** The events of one turn. */
  dispatch(events: readonly Event[]): void {
    this.#queue.push(...events)
    if (this.#dispatching) return
    this.#dispatching = true
    try {
      this.#stepAll()
    } finally {
      this.#dispatching = false
    }
    this.#flush()
  }

  onPersisted(upTo: LogPosition): void {
    if (this.#stopped) return
    this.#ports.failpoint?.('after-sync')
    this.#durable = upTo
    const held = this.#held
    this.#held = held.filter(({ after }) => after > upTo)
    for (const { after, to, message } of held) if (after <= upTo) this.#send(to, message)
    this.dispatch([{ type: 'persisted', upTo }])
  }

  /** What was not performed yet never is. */
  stop(): void {
    this.#stopped = true
    this.#held = []
  }

  #stepAll(): void {
    const { alter, failpoint, nowMs } = this.#ports
    while (!this.#stopped) {
      const event = this.#queue.shift()
      if (event === undefined) return
      const stepped = this.#core.step(event, nowMs())
      const effects = alter === undefined ? stepped : alter(stepped)
      const entersView = failpoint !== undefined && effects.some(isNewView)
      if (entersView) failpoint('before-new-view')
      this.#performAll(effects)
      if (entersView) failpoint('after-new-view')
    }
  }

  /** What stands behind a halt is neither written nor said. */
  #performAll(effects: readonly Effect[]): void {
    for (const effect of effects) {
      if (this.#stopped) return
      this.#perform(effect)
    }
  }

  #perform(effect: Effect): void {
    const ports = this.#ports
    switch (effect.type) {
      case 'persist':
        return this.#persist(effect)
      case 'send':
        return this.#sendAfter(effect)
      case 'verify':
        // Behind what this step wrote: records reach the log in order.
        this.#queue.unshift({ type: 'verified', check: effect.check, valid: ports.verify(effect.claims) })
        return
      case 'execute':
        return ports.execute(effect)
      case 'read-state':
        return ports.readState(effect)
      case 'read-committed':
        return ports.readCommitted(effect)
      case 'take-checkpoint':
      case 'keep-checkpoints':
      case 'read-partitions':
      case 'read-history':
      case 'begin-transfer':
      case 'stage-partition':
      case 'stage-history':
      case 'install-transfer':
      case 'cancel-transfer':
        return ports.state(effect)
      case 'collect-garbage':
        return ports.collectGarbage(effect.upTo)
      case 'keep-evidence':
        return ports.keepEvidence(effect.evidence)
      case 'set-timer':
        return ports.setTimer(effect.timer, effect.ms)
      case 'stop-timer':
        return ports.stopTimer(effect.timer)
      case 'observe':
        return ports.observe(effect.what)
      case 'halt':
        this.stop()
        return ports.halt(effect.fault)
      default:
        return assertNever(effect)
    }
  }

  #flush(): void {
    if (this.#awaited) this.#ports.failpoint?.('before-sync')
    this.#awaited = false
    if (!this.#stopped) this.#ports.log.flush()
  }

  #persist({ position, record, sync }: Extract<Effect, { type: 'persist' }>): void {
    const { log, failpoint } = this.#ports
    failpoint?.(`before-persist-${record.kind}`)
    if (this.#stopped) return
    log.append(position, record, sync)
    this.#awaited ||= sync
    failpoint?.(`after-persist-${record.kind}`)
  }

  #sendAfter({ to, message, after }: Extract<Effect, { type: 'send' }>): void {
    if (after === undefined || after <= this.#durable) this.#send(to, message)
    else this.#held.push({ after, to, message })
  }

  #send(to: readonly PrincipalId[], message: Message): void {
    const { send, failpoint } = this.#ports
    failpoint?.(`before-send-${message.type}`)
    if (this.#stopped) return
    send(to, message)
    failpoint?.(`after-send-${message.type}`)
  }
}

const isNewView = (effect: Effect): boolean => effect.type === 'persist' && effect.record.kind === 'new-view'
