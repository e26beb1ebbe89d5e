import { setTimeout as delay } from 'node:timers/promises'
import type { Bank } from '../../../client/client.ts'
import { ClientError, IndeterminateError } from '../../../client/errors.ts'

const PAUSE_AFTER_ERROR_MS = 50

export const namesOf = (count: number): string[] => Array.from({ length: count }, (_, i) => `caller-${i}`)

/**
 * Callers that pay one unit into an account of their own, again and again: the balance says how many payments the bank
 * made, and the answers how many it told of.
 */
export class Depositors {
  readonly #bank: Bank
  readonly #callers: readonly Caller[]

  constructor(bank: Bank, count: number) {
    this.#bank = bank
    this.#callers = namesOf(count).map((account) => new Caller(bank, account))
  }

  get answered(): number {
    return this.#callers.reduce((sum, { answered }) => sum + answered, 0)
  }

  /** Resolves when no call is under way. */
  async pause(): Promise<void> {
    await Promise.all(this.#callers.map((caller) => caller.pause()))
  }

  resume(): void {
    for (const caller of this.#callers) caller.resume()
  }

  /** While paused. @returns what was lost, or made out of nothing */
  async audit(): Promise<string[]> {
    const findings = await Promise.all(
      this.#callers.map(async ({ account, answered, unknown }) => {
        const balance = Number(await this.#bank.balance(account))
        const isRight = answered <= balance && balance <= answered + unknown
        return isRight
          ? []
          : [`${account} holds ${balance}; ${answered} were answered, ${unknown} perhaps made`]
      }),
    )
    return findings.flat()
  }

  async stop(): Promise<void> {
    for (const caller of this.#callers) caller.end()
  }
}

class Caller {
  readonly account: string
  answered = 0
  /** Made or not: without an answer. */
  unknown = 0
  readonly #bank: Bank
  #state: 'going' | 'paused' | 'ended' = 'going'
  #loop: Promise<void>

  constructor(bank: Bank, account: string) {
    this.#bank = bank
    this.account = account
    this.#loop = this.#run()
  }

  async pause(): Promise<void> {
    if (this.#state === 'going') this.#state = 'paused'
    await this.#loop
  }

  resume(): void {
    if (this.#state !== 'paused') return
    this.#state = 'going'
    this.#loop = this.#run()
  }

  end(): void {
    this.#state = 'ended'
  }

  async #run(): Promise<void> {
    while (this.#state === 'going') {
      try {
        await this.#bank.deposit({ to: this.account, amount: 1n })
        this.answered += 1
      } catch (error) {
        if (!(error instanceof ClientError)) throw error
        if (error instanceof IndeterminateError) this.unknown += 1
        await delay(PAUSE_AFTER_ERROR_MS)
      }
    }
  }
}
