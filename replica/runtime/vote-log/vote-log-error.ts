export type VoteLogErrorCode =
  /** No log where `init` wrote one [D5]: this replica no longer knows what it said. */
  | 'missing'
  /** There is a log where a new one was to be made; it is never overwritten. */
  | 'exists'
  /** The log of another cluster or of another replica. */
  | 'foreign'
  /** Written in a later or earlier version of the format. */
  | 'other-version'
  /** [D2] [D5] Bytes that were once durable are damaged; `file` and `offset` say where. */
  | 'corrupt'
  /** Another process has the log open. */
  | 'locked'
  /** The file system refused; after a failed write or fsync nothing is retried [D2]. */
  | 'io'

/** The message says what happened, where, and what to do. */
export class VoteLogError extends Error {
  readonly code: VoteLogErrorCode
  readonly file: string
  /** Bytes from the start of `file`; 0 where no place in it is meant. */
  readonly offset: number

  constructor(
    code: VoteLogErrorCode,
    where: { readonly file: string; readonly offset?: number },
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options)
    this.name = 'VoteLogError'
    this.code = code
    this.file = where.file
    this.offset = where.offset ?? 0
  }
}

export const corruptAt = (file: string, offset: number, why: string): VoteLogError =>
  new VoteLogError(
    'corrupt',
    { file, offset },
    `${file}: damaged at byte ${offset}: ${why}. This is not the torn end of an interrupted write: votes that were ` +
      'already on disk are lost, so this replica can no longer know what it said, and must not vote before it has ' +
      'recovered. Have the disk examined.',
  )

export const missingLog = (directory: string): VoteLogError =>
  new VoteLogError(
    'missing',
    { file: directory },
    `${directory}: there is no vote log. \`pbft init\` makes one with the replica's bundle; a replica that had one and ` +
      'lost it no longer knows what it said, and must not vote before it has recovered. If it was moved, put it back.',
  )

/** Runs file system calls; whatever they reject with comes out as a VoteLogError. */
export async function guarded<T>(file: string, doing: string, calls: () => Promise<T>): Promise<T> {
  try {
    return await calls()
  } catch (cause) {
    if (cause instanceof VoteLogError) throw cause
    throw ioError(file, doing, cause)
  }
}

export const ioError = (file: string, doing: string, cause: unknown): VoteLogError =>
  new VoteLogError(
    'io',
    { file },
    `${file}: ${doing} failed: ${cause instanceof Error ? cause.message : String(cause)}. ` +
      'Mend the disk, its free space or its permissions, then start the replica again.',
    { cause },
  )
