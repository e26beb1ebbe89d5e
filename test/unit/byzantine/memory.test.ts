import { appendFileSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Commit, Message } from '../../../protocol/messages.ts'
import type { Digest, ReplicaId, Seq, View } from '../../../protocol/types.ts'
import { adversaryIn } from '../../../replica/byzantine/adversary.ts'
import type { Effect } from '../../../replica/core/effect.ts'
import type { Liar } from '../../../replica/runtime/adversary.ts'

const OTHERS = [1, 2, 3] as ReplicaId[]

let directory: string

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'pbft-memory-'))
})
afterEach(() => rmSync(directory, { recursive: true }))

const commit = (seq: number): Commit => ({
  type: 'commit',
  replica: 0 as ReplicaId,
  view: 0 as View,
  seq: seq as Seq,
  digest: 'a'.repeat(64) as Digest,
  signature: new Uint8Array(64),
})

/** A process of the liar: it says COMMITs of `seqs`. @returns the seqs of all that left */
function process(seqs: readonly number[]): number[] {
  let drawn = 0
  // A replay is due at each message, of what was said before the start.
  const random = () => [0, 0.1, 0.9][drawn++ % 3] ?? 0
  const liar = { config: { quorum: { n: 4 } }, random } as unknown as Liar
  const adversary = adversaryIn(directory)('replay', liar)
  const said = seqs.map((seq): Effect => ({ type: 'send', to: OTHERS, message: commit(seq) }))
  const left = said.flatMap((effect) => adversary.effects([effect]))
  return left.flatMap((effect) => (effect.type === 'send' ? seqOf(effect.message) : []))
}

const seqOf = (message: Message): number[] => (message.type === 'commit' ? [message.seq] : [])

test('replay says again what an earlier process of the same replica said', () => {
  expect(process([1, 2, 3])).toEqual([1, 2, 3])
  expect(process([10, 11]).filter((seq) => seq < 10).length).toBeGreaterThan(0)
})

test('a memory that was cut short, or edited by hand, is read as far as it can be', () => {
  process([1, 2])
  appendFileSync(join(directory, 'said-by-liar'), '1,2,3 AAAA\nrubbish\n1,2 a')
  expect(process([10, 11]).filter((seq) => seq < 10).length).toBeGreaterThan(0)
})
