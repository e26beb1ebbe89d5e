/**
 * Bugs, each a small change of one file: of the kind that real systems had. `find` stands in the file exactly once.
 * `tests`: the test files that must fail, where the simulator has no way to see it.
 */
export type Mutant = {
  readonly name: string
  readonly rule: string
  readonly file: string
  readonly find: string
  readonly replace: string
  readonly tests?: readonly string[]
}

const CORE = 'replica/core'

export const MUTANTS: readonly Mutant[] = [
  {
    name: 'a quorum of 2f',
    rule: 'NC4',
    file: 'protocol/quorum.ts',
    find: 'quorum: Math.ceil((n + f + 1) / 2)',
    replace: 'quorum: Math.ceil((n + f + 1) / 2) - 1',
  },
  {
    name: 'PREPARE before its PRE-PREPARE is durable',
    rule: 'D1',
    file: `${CORE}/normal-case.ts`,
    find: 'this.#own.prepare(slot, { view: this.#view, digest: header.digest }), at)',
    replace: 'this.#own.prepare(slot, { view: this.#view, digest: header.digest }))',
  },
  {
    name: 'COMMIT before the prepared certificate is durable',
    rule: 'D1',
    file: `${CORE}/normal-case.ts`,
    find: 'this.#outbox.send(this.#peers, vote, at)',
    replace: 'this.#outbox.send(this.#peers, vote)',
  },
  {
    name: 'VIEW-CHANGE before it is durable',
    rule: 'D1',
    file: `${CORE}/views.ts`,
    find: 'this.#outbox.send(this.#peers, viewChange, at)',
    replace: 'this.#outbox.send(this.#peers, viewChange)',
  },
  {
    name: 'NEW-VIEW before it is durable',
    rule: 'VC3',
    file: `${CORE}/views.ts`,
    find: 'this.#outbox.send(this.#peers, message, at)',
    replace: 'this.#outbox.send(this.#peers, message)',
  },
  {
    name: 'the own COMMIT counts before it is durable',
    rule: 'NC4',
    file: `${CORE}/normal-case.ts`,
    find: 'if (at > durable) break',
    replace: 'if (at < 0) break',
    tests: ['test/scenarios/scenarios.test.ts'],
  },
  {
    name: 'executed before its record is durable',
    rule: 'D4',
    file: `${CORE}/execution.ts`,
    find: 'if (ready === undefined || ready.at > this.#outbox.durable) break',
    replace: 'if (ready === undefined) break',
  },
  {
    name: 'O from all VIEW-CHANGEs but one',
    rule: 'VC2',
    file: `${CORE}/view-order.ts`,
    find: 'for (const viewChange of viewChanges) {\n    for (const certificate of viewChange.prepared) {',
    replace:
      'for (const viewChange of viewChanges.slice(1)) {\n    for (const certificate of viewChange.prepared) {',
  },
  {
    name: 'of two certificates the one of the lower view wins',
    rule: 'VC2',
    file: `${CORE}/view-order.ts`,
    find: 'return other === undefined || one.header.view > other.header.view',
    replace: 'return other === undefined || one.header.view < other.header.view',
    tests: ['test/unit/core/view-order.test.ts'],
  },
  {
    name: 'gaps of O are left out',
    rule: 'VC2',
    file: `${CORE}/view-order.ts`,
    find: 'entries.push({ seq: seq as Seq, certificate: chosen.get(seq as Seq) ?? null })',
    replace:
      'if (chosen.has(seq as Seq)) entries.push({ seq: seq as Seq, certificate: chosen.get(seq as Seq) ?? null })',
  },
  {
    name: 'a prepared certificate is forgotten when a view is entered',
    rule: 'VC1',
    file: `${CORE}/slot.ts`,
    find: '    this.voting = new SlotVoting()\n    this.voting.expected = header',
    replace:
      '    this.voting = new SlotVoting()\n    this.certificate = null\n    this.voting.expected = header',
  },
  {
    name: 'votes go on in a view that was given up',
    rule: 'VC3',
    file: `${CORE}/views.ts`,
    find: '    this.#making = null\n    this.#normalCase.mayVote = false',
    replace: '    this.#making = null',
  },
  {
    name: 'the O of a NEW-VIEW is not compared with the own one',
    rule: 'VC2',
    file: `${CORE}/views.ts`,
    find: 'if (!this.#matches(newView, order)) return this.#refuse(newView)',
    replace: 'if (newView.headers === null) return this.#refuse(newView)',
    tests: ['test/scenarios/scenarios.test.ts'],
  },
  {
    name: 'the pending view is lost at a restart',
    rule: 'VC3',
    file: `${CORE}/views.ts`,
    find: 'return viewChange !== null && viewChange.newView > entered ? viewChange.newView : null',
    replace: 'return viewChange !== null && viewChange.newView < entered ? viewChange.newView : null',
  },
  {
    name: 'a restarted primary numbers from its stable checkpoint',
    rule: 'D1',
    file: `${CORE}/recovery.ts`,
    find: 'return Math.max(highestSeq(accepted), orderedUpTo, committedInLog) as Seq',
    replace: 'return Math.max(orderedUpTo, accepted.length * 0) as Seq',
  },
  {
    name: 'a new primary numbers from its own commits',
    rule: 'VC2',
    file: `${CORE}/batcher.ts`,
    find: 'this.#nextSeq = (Math.max(orderedUpTo, this.#log.lowWaterMark, this.#execution.frontier) + 1) as Seq',
    replace:
      'this.#nextSeq = (Math.max(0 * orderedUpTo, this.#log.lowWaterMark, this.#execution.frontier) + 1) as Seq',
  },
  {
    name: 'T does not double',
    rule: 'NC8',
    file: `${CORE}/view-timer.ts`,
    find: 'Math.min(2 * this.#lengthMs, GROWTH_MAX * this.#baseMs)',
    replace: 'Math.min(this.#lengthMs, GROWTH_MAX * this.#baseMs)',
    tests: ['test/scenarios/scenarios.test.ts'],
  },
  {
    name: 'no request is timed',
    rule: 'NC8',
    file: `${CORE}/waiting.ts`,
    find: 'if (seq === null || seq > committedUpTo) return { key, number }',
    replace: 'if (seq === null && seq !== null) return { key, number }',
  },
  {
    name: 'one VIEW-CHANGE of another moves a replica',
    rule: 'VC5',
    file: `${CORE}/views.ts`,
    find: 'above.length >= this.#config.quorum.weak',
    replace: 'above.length >= 1',
    tests: ['test/scenarios/scenarios.test.ts'],
  },
  {
    name: 'VIEW-CHANGEs are sent once',
    rule: 'VC5',
    file: `${CORE}/views.ts`,
    find: '    this.#outbox.send([peer], own, this.#pendingAt)\n',
    replace: '',
  },
  {
    name: 'NEW-VIEW is not handed on',
    rule: 'VC5',
    file: `${CORE}/views.ts`,
    find: '    this.#outbox.send([peer], entered.message, this.#enteredAt)\n',
    replace: '',
  },
  {
    name: 'batches that O names are not fetched',
    rule: 'VC5',
    file: `${CORE}/bodies.ts`,
    find: "this.#outbox.send([source], { type: 'fetch-batch', seq, digest })",
    replace: 'void digest',
    tests: ['test/scenarios/scenarios.test.ts'],
  },
  {
    name: 'what the new view did not take over is dropped',
    rule: 'VC6',
    file: `${CORE}/normal-case.ts`,
    find: '    this.#table.giveBack(orphans)\n',
    replace: '',
    tests: ['test/scenarios/scenarios.test.ts'],
  },
  {
    name: 'a replica without its vote log votes at once',
    rule: 'D5',
    file: `${CORE}/compose.ts`,
    find: "state: said.amnesiac ? 'amnesiac' : 'voting'",
    replace: "state: said.amnesiac && false ? 'amnesiac' : 'voting'",
  },
  {
    name: 'an amnesiac votes again as soon as its RECOVER is executed',
    rule: 'D5',
    file: `${CORE}/amnesia.ts`,
    find: 'this.#log.lowWaterMark < executedAt + this.#config.logWindow',
    replace: 'this.#log.lowWaterMark < 0 * executedAt',
  },
  {
    name: 'reads are answered before what the log shows is visible',
    rule: 'D4',
    file: `${CORE}/reads.ts`,
    find: 'if (this.#execution.lastExecuted >= this.#floor) return this.#answer(from, read)',
    replace: 'if (this.#execution.lastExecuted >= 0) return this.#answer(from, read)',
  },
  {
    name: 'a request is executed again',
    rule: 'NC5',
    file: 'db/state-machine/apply.ts',
    find: "if (number <= laneNumber(row)) return { kind: 'stale' }",
    replace: "if (number < 0 * laneNumber(row)) return { kind: 'stale' }",
  },
  {
    name: 'a frame of the vote log is not checked against its CRC',
    rule: 'D2',
    file: 'replica/runtime/vote-log/frames.ts',
    find: "if (crc !== bytes.readUInt32BE(offset + CRC_AT)) return 'bad'",
    replace: "if (crc < 0 * bytes.readUInt32BE(offset + CRC_AT)) return 'bad'",
    tests: ['test/unit/vote-log-frames.test.ts'],
  },
  {
    name: 'one replica alone says what is committed',
    rule: 'CP5',
    file: `${CORE}/catch-up.ts`,
    find: 'words.count(digest) < this.#config.quorum.weak',
    replace: 'words.count(digest) < 1',
    tests: ['test/scenarios/scenarios.test.ts', 'test/unit/core'],
  },
  {
    name: 'a state becomes stable before it is here',
    rule: 'CP1',
    file: `${CORE}/checkpoint.ts`,
    find: 'if (seq > lastExecuted || this.#taking.has(seq)) continue',
    replace: 'if (this.#taking.has(seq)) continue',
  },
  {
    name: 'f+1 CHECKPOINTs make stable',
    rule: 'CP1',
    file: `${CORE}/checkpoint-votes.ts`,
    find: 'const key = all?.agreed(quorum)',
    replace: 'const key = all?.agreed(quorum - 1)',
  },
  {
    name: 'the vote log is cut up to the high water mark',
    rule: 'CP1',
    file: `${CORE}/held-states.ts`,
    find: 'Math.min(this.#checkpoints.durableStable - logWindow, ...leased) as Seq',
    replace: 'Math.min(this.#checkpoints.durableStable + logWindow, ...leased.map((seq) => 9 * seq)) as Seq',
  },
  {
    name: "the results in the client table are outside the state's digest",
    rule: 'CP2',
    file: 'db/state-tree/row-codec.ts',
    find: 'return writeClient(writer, row.row).finish()',
    replace: 'return writeClient(writer, { ...row.row, real: null }).finish()',
    tests: ['test/unit/db'],
  },
  {
    name: 'fetched partitions are not checked',
    rule: 'CP4',
    file: `${CORE}/partition-fetch.ts`,
    find: 'if (wanted?.partition !== partition || this.#crypto.partitionDigest(node) !== wanted.digest) {',
    replace: 'if (wanted?.partition !== partition) {',
  },
  {
    name: 'fetched history is not checked',
    rule: 'CP4',
    file: `${CORE}/history-fetch.ts`,
    find: 'if (seq === 0 || entry.seq !== seq || this.#crypto.chainDigest(entry) !== chain)',
    replace: 'if (seq === 0 || entry.seq !== seq || chain.length === 0)',
    tests: ['test/unit/core'],
  },
  {
    name: 'a row changed by hand is overwritten',
    rule: 'CP6',
    file: 'db/memory/memory-database.ts',
    find: 'if (tampered.length > 0) {',
    replace: 'if (tampered.length < 0) {',
    tests: ['test/contract'],
  },
  {
    name: 'evidence: votes of two views contradict each other',
    rule: 'EV1',
    file: 'protocol/evidence.ts',
    find: 'placeOf(one) === placeOf(other) && one',
    replace: 'one.signer === other.signer && one.seq === other.seq && one',
    tests: ['test/unit/protocol'],
  },
  {
    name: 'evidence: a file is believed whoever signed it',
    rule: 'EV2',
    file: 'protocol/evidence-file.ts',
    find: 'if (forged === null) return evidence',
    replace: "if (forged !== 'nobody') return evidence",
    tests: ['test/unit/protocol'],
  },
  {
    name: 'evidence: kept before its signatures are verified',
    rule: 'EV3',
    file: `${CORE}/accusations.ts`,
    find: '} else if (isTrue) this.#keep(pending.evidence, from)',
    replace: '} else if (isTrue || valid.length > 0) this.#keep(pending.evidence, from)',
    tests: ['test/unit/core'],
  },
  {
    name: 'a late replica excuses the primary for ever',
    rule: 'NC8',
    file: `${CORE}/core.ts`,
    find: '!views.isPending && catchUp.excusesPrimary()',
    replace: '!views.isPending && catchUp.isBehind',
    tests: ['test/scenarios'],
  },
  {
    name: 'slow primary: never too slow',
    rule: 'NC10',
    file: `${CORE}/primary-watch.ts`,
    find: 'const maxMs = EXCESS_MAX * this.#baseMs',
    replace: 'const maxMs = 1_000 * EXCESS_MAX * this.#baseMs',
    tests: ['test/sim/long-run.test.ts'],
  },
  {
    name: 'slow primary: only the oldest request is timed, from when it became the oldest',
    rule: 'NC10',
    file: `${CORE}/primary-watch.ts`,
    find: 'if (this.#awaited === null) this.#fromMs = this.#outbox.nowMs',
    replace: 'this.#fromMs = this.#outbox.nowMs',
    tests: ['test/unit/core/primary-watch.test.ts'],
  },
  {
    name: 'slow primary: it must order at once although all slots are open',
    rule: 'NC10',
    file: `${CORE}/primary-watch.ts`,
    find: 'if (isShared || isFull)',
    replace: 'if (isShared)',
    tests: ['test/unit/core/primary-watch.test.ts'],
  },
  {
    name: 'slow primary: nobody follows who gave the view up',
    rule: 'NC10',
    file: `${CORE}/views.ts`,
    find: 'return this.#viewChanges.viewsAbove(this.view).length > 0',
    replace: 'return this.#viewChanges.viewsAbove(this.view).length > 9',
    tests: ['test/sim/long-run.test.ts'],
  },
]

/** @throws when the mutant does not fit its file any more */
export function mutated({ name, file, find, replace }: Mutant, text: string): string {
  if (text.split(find).length !== 2) throw new Error(`${name}: ${file} does not hold its text exactly once`)
  return text.replace(find, () => replace)
}
