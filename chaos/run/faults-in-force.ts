import type { FaultEvent } from '../live/interpreter.ts'

/** What is broken now, in words, for whoever watches. */
export class FaultsInForce {
  readonly #inForce = new Map<string, string>()

  /** @returns the event in words */
  on({ phase, path, kind, action, targets, detail }: FaultEvent): string {
    const who = targets.length === 0 ? '' : ` of ${targets.join(', ')}`
    const key = `${path} ${targets.join()}`
    const words = `${kind} ${action}${who}${detail === '' ? '' : `: ${detail}`}`
    switch (phase) {
      case 'begin':
        this.#inForce.set(key, words)
        return `begin      ${words}`
      case 'end':
        this.#inForce.delete(key)
        return `end        ${kind} ${action}${who}`
      case 'recovered':
        return `recovered  ${kind} ${action}${who}`
    }
  }

  get words(): readonly string[] {
    return [...this.#inForce.values()]
  }
}
