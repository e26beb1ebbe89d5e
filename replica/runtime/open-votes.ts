import { type OpenedLog, type OpenOptions, VoteLog } from './vote-log/vote-log.ts'
import { VoteLogError } from './vote-log/vote-log-error.ts'

/**
 * [D5] A log that is gone, or that was damaged where it had been durable, says no longer what this replica promised: a
 * new one takes its place, whose first record says so, and the cluster lets the replica back in. What is left of the
 * old one is kept.
 * @throws VoteLogError where that would not help: another's log, a newer program's, one in use, a disk that refuses
 */
export async function openVotes(
  directory: string,
  options: OpenOptions & { readonly onNotice: (text: string) => void },
): Promise<OpenedLog> {
  const { onNotice, ...opening } = options
  try {
    return await VoteLog.open(directory, opening)
  } catch (error) {
    if (!(error instanceof VoteLogError) || (error.code !== 'missing' && error.code !== 'corrupt'))
      throw error
    const { keptAt } = await VoteLog.replaceLost(directory, opening)
    onNotice(noticeOf(error, keptAt))
    return await VoteLog.open(directory, opening)
  }
}

function noticeOf({ code, file, offset }: VoteLogError, keptAt: string | null): string {
  const what =
    code === 'missing'
      ? `there is no vote log in ${file}`
      : `the vote log is damaged in ${file} at byte ${offset}, where it had been on disk`
  const kept = keptAt === null ? '' : ` What was left of it is kept in ${keptAt}.`
  return (
    `${what}: this replica no longer knows what it said. It began a new log, and votes again once the others have ` +
    `moved beyond all that it may have said.${kept}`
  )
}
