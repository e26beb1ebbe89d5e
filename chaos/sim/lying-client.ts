import { type ClientAdversary, clientAdversaryOf } from '../../client/byzantine/adversary.ts'
import type { ClientBehaviour } from '../../client/byzantine/behaviour.ts'
import { LIE_EVERY_MS } from '../../client/byzantine/liar.ts'
import type { CallId } from '../../client/effects.ts'
import { OverloadedError } from '../../client/errors.ts'
import type { Read, Request } from '../../protocol/messages.ts'
import type { ClientId, ReplicaId } from '../../protocol/types.ts'
import { replicaId } from '../../protocol/types.ts'
import { ClientHost } from './client-host.ts'
import { describe } from './describe.ts'
import { ACCOUNTS, simClientConfigOf } from './genesis.ts'
import { drawJob } from './workload.ts'
import type { World } from './world.ts'

/** A client that lies to its end. What its own calls come to is its own affair: it goes on with the next. */
export class LyingClient extends ClientHost {
  readonly #adversary: ClientAdversary
  readonly #everyone: readonly ReplicaId[]

  constructor(args: {
    readonly world: World
    readonly id: ClientId
    readonly behaviours: readonly ClientBehaviour[]
    readonly others: readonly ClientId[]
    readonly overheard: () => Request | undefined
  }) {
    const { world, id, behaviours, others, overheard } = args
    super(world, id)
    const identity = world.cast.identities.get(id)
    if (identity === undefined) throw new Error(`client ${id} has no key`)
    this.#everyone = Array.from({ length: world.plan.replicas }, (_, replica) => replicaId(replica))
    this.#adversary = clientAdversaryOf(behaviours, {
      config: simClientConfigOf(world.cast.genesis, world.plan, id),
      sign: (bytes) => identity.signer.sign(bytes),
      random: () => world.random.float(),
      accounts: ACCOUNTS,
      others,
      overheard,
    })
  }

  override start(): void {
    super.start()
    for (let call = 0; call < this.world.plan.clientSide.concurrency; call++) this.#begin()
    this.#goOnLying()
  }

  #goOnLying(): void {
    this.afterMs(LIE_EVERY_MS, () => {
      for (const message of this.#adversary.adds()) this.send(this.#everyone, message)
      this.#goOnLying()
    })
  }

  #begin(): void {
    const { random, plan } = this.world
    this.later(random.exponential(plan.clientSide.thinkUs), () => {
      const job = drawJob(random, this.client)
      const deadlineMs = this.nowMs + plan.clientSide.deadlineMs
      try {
        if (job.kind === 'read') this.core.read(job.accounts, deadlineMs)
        else this.core.submit(job.operations, deadlineMs)
      } catch (error) {
        if (!(error instanceof OverloadedError)) throw error
        this.#begin()
      }
      this.flushSoon()
    })
  }

  protected override resolved(_: CallId): void {
    this.world.happenings.count('lying client answered')
    this.#begin()
  }

  protected override rejected(_: CallId): void {
    this.world.happenings.count('lying client not answered')
    this.#begin()
  }

  protected override observed(): void {}

  protected override send(to: readonly ReplicaId[], message: Request | Read): void {
    const { trace, queue, happenings } = this.world
    if (trace.verbose) trace.line(queue.nowUs, `c${this.id} lies ${to.join(',')} ${describe(message)}`)
    for (const peer of to) {
      for (const bytes of this.#adversary.tell(peer, message)) {
        if (this.endpoint.send(peer, bytes, this.nowMs) === 'dropped') happenings.count('lie dropped')
      }
    }
  }
}
