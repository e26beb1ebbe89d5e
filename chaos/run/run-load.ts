import { type Bank, connect } from '../../client/client.ts'
import type { ClusterFiles } from '../../client/files.ts'
import type { HistoryEvent } from '../check/history.ts'
import { Random } from '../sim/random.ts'
import { Customer, type CustomerAccounts } from '../workload/customers.ts'
import { type CallCounts, RecordedLoad } from '../workload/recorded-load.ts'

/** Longer than a view change takes, shorter than a fault: what it cuts is unknown, and is looked up. */
const CALL_TIMEOUT_MS = 8_000
/** Seeds of neighbouring callers must not be neighbouring seeds of runs. */
const CALLER_SEED_STEP = 1_000_003

export type LoadChoices = {
  readonly callersEach: number
  readonly thinkMs: number
  readonly accounts: CustomerAccounts
  readonly seed: number
}

/** Several clients, each with callers of its own, whose every call and answer is written down. */
export class RunLoad {
  readonly #banks: readonly Bank[]
  readonly #load: RecordedLoad

  private constructor(banks: readonly Bank[], load: RecordedLoad) {
    this.#banks = banks
    this.#load = load
  }

  /** @throws NoQuorumError */
  static async start(
    clients: readonly ClusterFiles[],
    choices: LoadChoices,
    write: { readonly record: (event: HistoryEvent) => void; readonly nowUs: () => number },
  ): Promise<RunLoad> {
    const banks = await Promise.all(
      clients.map((cluster) => connect({ cluster, callTimeoutMs: CALL_TIMEOUT_MS })),
    )
    const callers = banks.flatMap((target, index) =>
      Array.from({ length: choices.callersEach }, (_, i) => {
        const number = index * choices.callersEach + i
        const customer = new Customer({
          random: new Random(choices.seed + CALLER_SEED_STEP * (number + 1)),
          accounts: choices.accounts,
          client: target.client,
          name: `caller-${number}`,
        })
        return { target, next: () => customer.next() }
      }),
    )
    return new RunLoad(banks, new RecordedLoad(callers, { ...write, thinkMs: choices.thinkMs }))
  }

  get counts(): CallCounts {
    return this.#load.counts
  }

  /** No further calls; resolves when the last has ended, answered or given up. */
  async stop(): Promise<void> {
    await this.#load.stop()
    await Promise.all(this.#banks.map((bank) => bank.close()))
  }

  /** Without waiting for answers that may never come. */
  async abandon(): Promise<void> {
    const stopping = this.#load.stop()
    await Promise.all(this.#banks.map((bank) => bank.close()))
    await stopping
  }
}
