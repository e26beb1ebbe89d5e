/** A Postgres server that answers, whoever started it. */
export type RunningDatabase = {
  /** Connection URL, password included: print it only through `redactUrl`. */
  readonly url: string
  /** The postmaster's process id, where the server runs on this machine as a process of its own. */
  readonly pid?: number
  /** Stops what the provider started and waits until it is gone; a database that it merely opened goes on. */
  stop(): Promise<void>
}

export type ProvisionErrorCode =
  /** The address does not parse, or nothing answers there. */
  | 'unreachable'
  /** The server refuses the user or the password. */
  | 'refused'
  /** The server runs with `fsync = off`, so a power cut would lose acknowledged writes [D4]. */
  | 'fsync-off'
  | 'port-in-use'
  /** No binaries for this platform, no user to run as, no container engine, a package that is not installed. */
  | 'unsupported'
  /** The server's files are missing or were moved to where it may not read them. */
  | 'files-lost'
  /** initdb or the server ended by itself, or did not get ready or stop in time; the message has its last words. */
  | 'failed'

/** Says what is wrong and what to do about it; never holds a password. */
export class ProvisionError extends Error {
  override name = 'ProvisionError'
  readonly code: ProvisionErrorCode
  constructor(code: ProvisionErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}
