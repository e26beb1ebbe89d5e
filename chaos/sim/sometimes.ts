/**
 * What a campaign must have seen, or it tested less than its name says: *sometimes* properties, by the name under which
 * a run counts them.
 */
export const SOMETIMES = {
  'view change with prepared batches': 'VC1',
  'null request': 'VC2',
  'view entered late': 'VC3',
  'view change twice in a row': 'VC4',
  'batch fetched by digest': 'VC5',
  'restart with a pending view': 'VC3',
  'transfer-installed': 'CP4',
  'transfer-moved': 'CP4',
  'transfer-source-replaced': 'CP4',
  'high water mark reached': 'CP1',
  'checkpoint relayed': 'CP5',
  'vote log cut': 'CP1',
  stable: 'CP1',
  'caught-up': 'CP5',
  'idle catch-up': 'CP5',
  'committed by log': 'D4',
  'committed by proof': 'CP5',
  'committed by votes': 'NC4',
  'committed by words': 'CP5',
  'unprepared commit': 'NC4',
  'stale request ordered': 'NC5',
  'reply superseded': 'NC5',
  'rejected outside-window': 'NC3',
  'primary restarted with open slots': 'D1',
  'torn tail cut': 'D2',
  'vote log replaced': 'D5',
  'amnesiac-recovering': 'D5',
  'amnesiac-votes-again': 'D5',
  'power cut of all with acknowledged writes': 'D4',
  'commit of unknown outcome': 'D3',
  'database ahead of log': 'D4',
  'database behind': 'D4',
  'database lost': 'CP4',
  'row changed by hand': 'CP6',
  'tampered row met by a write': 'CP6',
  'tampered row found by a scrub': 'CP6',
  repaired: 'CP6',
  'liar accused': 'EV3',
  'failpoint struck': 'D1',
  'failpoint pair': 'D1',
  'process paused': 'NC8',
  'clock jumped': 'NC8',
  'link flapped': 'VC5',
  'primary cut off': 'VC4',
  'long absence': 'CP5',
  'session-down': 'CP5',
  'datagram damaged': 'AU2',
  'datagram replayed': 'AU2',
  'lying client answered': 'AU3',
  'lying client not answered': 'AU3',
  'client restarted': 'NC5',
  'client: read-ordered': 'NC7',
  'lookup: executed': 'NC5',
  'lookup: not-executed': 'NC5',
} as const satisfies Readonly<Record<string, string>>

/** From so many runs on, of swarm or all faults and no fixed size, each of them must have happened. */
export const SOMETIMES_RUNS_MIN = 300

export type Never = { readonly what: string; readonly rule: string }

/** What never happened, with the rule that was therefore not tested. */
export const neverHappened = (happenings: Readonly<Record<string, number>>): readonly Never[] =>
  Object.entries(SOMETIMES)
    .filter(([what]) => (happenings[what] ?? 0) === 0)
    .map(([what, rule]) => ({ what, rule }))
