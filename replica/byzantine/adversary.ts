import { join } from 'node:path'
import { assertNever } from '../../protocol/types.ts'
import type { Adversary, MakeAdversary } from '../runtime/adversary.ts'
import { type Behaviour, parseBehaviours } from './behaviour.ts'
import { lyingReads, lyingReplies } from './behaviours/answers.ts'
import { garbage, nonCanonical, replay } from './behaviours/bytes.ts'
import { equivocation } from './behaviours/equivocation.ts'
import { newViewAdd, newViewForged, newViewNull, newViewOmit } from './behaviours/new-views.ts'
import { badCommits, sign } from './behaviours/signatures.ts'
import { crash, dark, mute, newViewToOne, starve } from './behaviours/silence.ts'
import { corruptState, endlessState, wrongCheckpoint } from './behaviours/state.ts'
import { slow, slowState, time } from './behaviours/timing.ts'
import { twoFaced } from './behaviours/two-faced.ts'
import { forgedCertificates, staleCertificates } from './behaviours/view-changes.ts'
import { conflictingVotes, highWater, wrongDigest } from './behaviours/votes.ts'
import type { Liar, Part } from './liar.ts'
import { MemoryFile } from './memory-file.ts'

/** In a bundle. */
const MEMORY = 'said-by-liar'

/** One liar with all of `behaviours` at once: each is told what the one before it made of the truth. */
export function adversaryOf(behaviours: readonly Behaviour[], liar: Liar): Adversary {
  const parts = behaviours.map((behaviour) => partOf(behaviour, liar))
  return {
    hears: (from, message) => parts.every((part) => part.hears?.(from, message) ?? true),
    effects: (effects) => parts.reduce((told, part) => part.effects?.(told) ?? told, effects),
    wire: (to, message, packets) =>
      parts.reduce((told, part) => part.wire?.(to, message, told) ?? told, packets),
  }
}

function partOf({ name, targets }: Behaviour, liar: Liar): Part {
  switch (name) {
    case 'sign':
      return sign(targets, liar)
    case 'bad-commits':
      return badCommits(liar)
    case 'crash':
      return crash()
    case 'mute':
      return mute()
    case 'dark':
      return dark(targets, liar)
    case 'time':
      return time(liar)
    case 'slow':
      return slow(targets)
    case 'starve':
      return starve(targets, liar)
    case 'equivocation':
      return equivocation(targets, liar)
    case 'conflicting-votes':
      return conflictingVotes(targets, liar)
    case 'two-faced':
      return twoFaced(liar)
    case 'wrong-digest':
      return wrongDigest(liar)
    case 'stale-certificates':
      return staleCertificates(liar)
    case 'forged-certificates':
      return forgedCertificates(liar)
    case 'new-view-omit':
      return newViewOmit(liar)
    case 'new-view-null':
      return newViewNull(liar)
    case 'new-view-add':
      return newViewAdd(liar)
    case 'new-view-one':
      return newViewToOne(targets, liar)
    case 'new-view-forged':
      return newViewForged(liar)
    case 'wrong-checkpoint':
      return wrongCheckpoint(liar)
    case 'corrupt-state':
      return corruptState()
    case 'endless-state':
      return endlessState()
    case 'slow-state':
      return slowState(targets)
    case 'replay':
      return replay(liar)
    case 'high-water':
      return highWater(liar)
    case 'non-canonical':
      return nonCanonical()
    case 'garbage':
      return garbage(liar)
    case 'lying-replies':
      return lyingReplies(liar)
    case 'lying-reads':
      return lyingReads()
    default:
      return assertNever(name)
  }
}

/** The same, of a text. @throws BehaviourError */
export const adversaryFrom: MakeAdversary = (text, liar) =>
  adversaryOf(parseBehaviours(text, { replicas: liar.config.quorum.n }), liar)

/** The same, with a memory in `directory`, which outlives the process. */
export const adversaryIn =
  (directory: string): MakeAdversary =>
  (text, liar) =>
    adversaryFrom(text, { ...liar, openMemory: () => MemoryFile.open(join(directory, MEMORY)) })
