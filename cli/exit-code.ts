/** What scripts rely on. */
export const EXIT = {
  /** Done, or everything holds. */
  pass: 0,
  /** It failed, or something does not hold. */
  fail: 1,
  /** It can't be told, or the command was not understood. */
  unknown: 2,
  /** Ended by a signal before it was done; as shells have it for Ctrl-C. */
  interrupted: 130,
} as const
export type ExitCode = (typeof EXIT)[keyof typeof EXIT]
