import type { Genesis } from '../../protocol/config.ts'
import type { DumpedDatabase } from './dump/dumped-database.ts'
import type { LogSource } from './logs/log-sources.ts'

export type UnreadableDatabase = { readonly replica: number | null; readonly reason: string }

/** All that a check is made of. Whatever is missing is said to be unchecked, and never an error. */
export type CheckSources = {
  readonly genesis: Genesis
  readonly logs: readonly LogSource[]
  readonly databases: readonly DumpedDatabase[]
  readonly unreadable: readonly UnreadableDatabase[]
  /** What else keeps the verdict from being a pass: a database that does not catch up. */
  readonly doubts: readonly string[]
  /** Files; null: none was given. */
  readonly history: string | null
  readonly samples: string | null
  /** Replicas that lied: nothing of theirs is given, and nothing is missed. */
  readonly liars?: readonly number[]
  /** What must be there, or nothing can be said. */
  readonly expected: {
    /** Vote logs of all replicas; and all that they ever held, archives included. */
    readonly logs: boolean
    readonly wholeLogs: boolean
    readonly history: boolean
  }
}
