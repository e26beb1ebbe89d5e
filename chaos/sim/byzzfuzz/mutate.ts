import type {
  Checkpoint,
  Message,
  NewView,
  PrePrepare,
  Request,
  ViewChange,
} from '../../../protocol/messages.ts'
import { batchOf } from '../../../protocol/signing.ts'
import type { Digest, Seq, View } from '../../../protocol/types.ts'
import { checkpointFor, headerOf, type Liar, voteFor } from '../../../replica/byzantine/liar.ts'
import type { Random } from '../random.ts'
import type { Mutation } from './faults.ts'

/** What was heard and said in this run: where other digests and other requests come from. */
export type Seen = { readonly digests: readonly Digest[]; readonly requests: readonly Request[] }
type By = { readonly liar: Liar; readonly random: Random; readonly seen: Seen }

/** Numbers from nowhere stay below this. */
const ANYWHERE_MAX = 64
const DIGEST_BYTES = 32

/** `message` with one small change, signed as its sender signs; the message itself where the change does not apply. */
export function mutated(message: Message, mutation: Mutation, by: By): Message {
  switch (message.type) {
    case 'pre-prepare':
      return prePrepare(message, mutation, by)
    case 'prepare':
    case 'commit': {
      const { view, seq, digest } = changed(message, mutation, by)
      return voteFor(by.liar, message, { view, seq, digest })
    }
    case 'checkpoint':
      return message.replica === by.liar.config.self ? checkpoint(message, mutation, by) : message
    case 'view-change':
      return message.replica === by.liar.config.self ? viewChange(message, mutation, by) : message
    case 'new-view':
      return message.replica === by.liar.config.self ? newView(message, mutation, by) : message
    default:
      return message
  }
}

type Numbered = { readonly view: View; readonly seq: Seq; readonly digest: Digest }

function changed({ view, seq, digest }: Numbered, mutation: Mutation, { random, seen }: By): Numbered {
  switch (mutation) {
    case 'view+1':
      return { view: (view + 1) as View, seq, digest }
    case 'view-1':
      return { view: Math.max(0, view - 1) as View, seq, digest }
    case 'seq+1':
      return { view, seq: (seq + 1) as Seq, digest }
    case 'seq-1':
      return { view, seq: Math.max(1, seq - 1) as Seq, digest }
    case 'other-digest':
    case 'other-request':
      return { view, seq, digest: another(random, seen.digests) ?? digest }
    case 'any':
      return {
        view: random.int(0, ANYWHERE_MAX) as View,
        seq: random.int(1, ANYWHERE_MAX) as Seq,
        digest: random.bytes(DIGEST_BYTES).toString('hex') as Digest,
      }
  }
}

const another = <T>(random: Random, choices: readonly T[]): T | undefined =>
  choices.length === 0 ? undefined : random.pick(choices)

/** The header goes with the batch, unless it is the digest that is wrong. */
function prePrepare(message: PrePrepare, mutation: Mutation, by: By): PrePrepare {
  if (mutation !== 'other-request') {
    return { ...message, header: headerOf(by.liar, changed(message.header, mutation, by)) }
  }
  const request = another(by.random, by.seen.requests)
  if (request === undefined) return message
  const batch = batchOf([...message.batch.requests.slice(1), request])
  return { ...message, batch, header: headerOf(by.liar, { ...message.header, digest: batch.digest }) }
}

function checkpoint(message: Checkpoint, mutation: Mutation, by: By): Checkpoint {
  const at = changed({ view: 0 as View, seq: message.seq, digest: message.stateRoot }, mutation, by)
  return checkpointFor(by.liar, { ...message, seq: at.seq }, { stateRoot: at.digest })
}

function viewChange(message: ViewChange, mutation: Mutation, by: By): ViewChange {
  const { newView, lowWaterMark, incarnation, checkpoints, prepared } = message
  const at = changed({ view: newView, seq: lowWaterMark, digest: message.digest }, mutation, by)
  // Another digest stands nowhere in it: one certificate less does.
  const shown = mutation.startsWith('other') ? prepared.slice(0, -1) : prepared
  const fields = { incarnation, checkpoints, prepared: shown }
  return by.liar.crypto.viewChange({ newView: at.view, lowWaterMark: at.seq, ...fields })
}

function newView(message: NewView, mutation: Mutation, by: By): NewView {
  const { view, viewChanges, headers } = message
  const last = headers.at(-1)
  const at = changed(last ?? { view, seq: 1 as Seq, digest: message.digest }, mutation, by)
  const order = last === undefined ? [] : [...headers.slice(0, -1), headerOf(by.liar, at)]
  return by.liar.crypto.newView({ view: at.view, viewChanges, headers: order })
}
