import { isUtf8 } from 'node:buffer'
import fc from 'fast-check'
import { Random } from '../../chaos/sim/random.ts'
import {
  decodeMessage,
  encodeMessage,
  encodeNewViewBody,
  encodeRequestBody,
  encodeViewChangeBody,
  isMalformed,
} from '../../protocol/codec.ts'
import { digestOf } from '../../protocol/crypto.ts'
import type { Batch, Message, NewView, Request, ViewChange } from '../../protocol/messages.ts'
import { decodeResults, encodeResults } from '../../protocol/results-codec.ts'
import { batchDigestOf } from '../../protocol/signing.ts'
import { MARK_FRAME, scanFrames, writeFrame } from '../../replica/runtime/vote-log/frames.ts'
import { decodeRecord, encodeRecord } from '../../replica/runtime/vote-log/record-codec.ts'
import { messageArb } from '../unit/protocol/arbitraries.ts'
import { recordSamples, resultSamples } from './decoder-samples.ts'
import { hostileLeaf, stringIn } from './leaves.ts'
import { changedBytes, mutant } from './mutations.ts'
import { same } from './same.ts'
import { Finding, must, shrunk, type Tally, type Target } from './target.ts'
import { type Tree, treeOf } from './tree.ts'

type Sample = { readonly bytes: Uint8Array; readonly tree: Tree }

const SAMPLES = 512
const VALUES_PER_BYTE_MAX = 2
const MARKER = Buffer.from('a marker', 'latin1')

/** Bytes from anybody, at everything that reads bytes from outside this process. */
export const decoder: Target = {
  inputsPerRound: 100_000,
  round({ seed, inputs, tally }) {
    const random = new Random(seed)
    const messages = fc
      .sample(messageArb, { seed, numRuns: SAMPLES })
      .map((one) => sampleOf(encodeMessage(one)))
    const records = recordSamples().map((record) => sampleOf(encodeRecord(record)))
    const results = resultSamples().map((one) => sampleOf(encodeResults(one)))
    for (let input = 0; input < inputs; input++) {
      const dice = random.float()
      if (dice < 0.8) expectOf(mutantOf(messages, random), (bytes) => checkMessage(bytes, tally))
      else if (dice < 0.9) expectOf(mutantOf(records, random), (bytes) => checkRecord(bytes, tally))
      else if (dice < 0.95) expectOf(mutantOf(results, random), (bytes) => checkResults(bytes, tally))
      else expectOf(framesOf(records, random), (bytes) => checkFrames(bytes, tally))
    }
  },
}

/** A copy: encoders hand out views into buffers that they use again. */
function sampleOf(encoded: Uint8Array): Sample {
  const bytes = Uint8Array.from(encoded)
  return { bytes, tree: treeOf(bytes) }
}

const mutantOf = (samples: readonly Sample[], random: Random): Uint8Array =>
  Uint8Array.from(mutant(samples, { random, leaf: (_, chance) => hostileLeaf(chance) }))

/** @throws Finding with the smallest bytes that fail, in hex */
function expectOf(bytes: Uint8Array, check: (bytes: Uint8Array) => void): void {
  const failure = failureOf(bytes, check)
  if (failure === undefined) return
  const smallest = shrunk(bytes, (fewer) => failureOf(fewer, check) !== undefined)
  const why = failureOf(smallest, check) ?? failure
  throw new Finding(`${Buffer.from(smallest).toString('hex')}: ${why}`, { cause: why })
}

function failureOf(bytes: Uint8Array, check: (bytes: Uint8Array) => void): unknown {
  try {
    check(bytes)
    return undefined
  } catch (error) {
    return error
  }
}

// --- messages

export function checkMessage(bytes: Uint8Array, tally: Tally): void {
  const message = decodeMessage(bytes)
  if (isMalformed(message)) return tally.count('malformed')
  tally.count(message.type)
  must(valuesIn(message) <= VALUES_PER_BYTE_MAX * bytes.length + 64, 'more values than bytes')
  must(same(decodeMessage(amidOthers(bytes)), message), 'what stands around it is read, too')
  must(same(decodeAgain(message), message), 'encoded again it is another message')
  must(stringsAreText(treeOf(bytes)), 'a string that two decoders may read differently')
  checkBodies(message)
}

/**
 * UTF-8 without a byte order mark: of anything else some decoders make what others don't. A byte string that looks like
 * a value is not opened: a result or an authenticator is nobody's to read here, and bodies are looked at by themselves.
 */
function stringsAreText(tree: Tree): boolean {
  if (tree.kind === 'nested') return true
  if (tree.kind === 'array') return tree.items.every(stringsAreText)
  const content = stringIn(tree.bytes)
  return content === undefined || (isUtf8(content) && !content.toString().startsWith('\ufeff'))
}

function decodeAgain(message: Message): object {
  return decodeMessage(Uint8Array.from(encodeMessage(message)))
}

/** The same bytes as part of something longer, as they are in a datagram. */
function amidOthers(bytes: Uint8Array): Uint8Array {
  const longer = new Uint8Array(bytes.length + 32).fill(0xa5)
  longer.set(bytes, 7)
  return longer.subarray(7, 7 + bytes.length)
}

/** [AU1] What a digest covers is what was read, and what was read can be said again. */
function checkBodies(message: Message): void {
  switch (message.type) {
    case 'request':
      return checkRequest(message)
    case 'pre-prepare':
    case 'fetched-batch':
      return checkBatch(message.batch)
    case 'committed':
      return message.batch === null ? undefined : checkBatch(message.batch)
    case 'view-change':
      return checkBody(message, encodeViewChangeBody(message))
    case 'new-view':
      return checkBody(message, encodeNewViewBody(message))
    default:
      return
  }
}

function checkBatch({ digest, requests }: Batch): void {
  must(digest === batchDigestOf(requests), 'the digest is not that of the batch')
  for (const request of requests) checkRequest(request)
}

const checkRequest = (request: Request): void => checkBody(request, encodeRequestBody(request))

/** `canonical`: the body as this replica would have written it. */
function checkBody(message: Request | ViewChange | NewView, canonical: Uint8Array): void {
  must(message.digest === digestOf(message.body), 'the digest is not that of the body')
  must(stringsAreText(treeOf(message.body)), 'a string that two decoders may read differently')
  const again = decodeAgain({ ...message, body: canonical })
  const expected = { ...message, body: canonical, digest: digestOf(canonical) }
  must(same(again, expected), 'its content written again is another')
}

function valuesIn(value: unknown): number {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return 1
  let count = 1
  for (const inner of Object.values(value)) count += valuesIn(inner)
  return count
}

// --- the vote log and results

function checkRecord(bytes: Uint8Array, tally: Tally): void {
  const record = decodeRecord(bytes)
  if (record === undefined) return tally.count('no record')
  tally.count('record')
  const again = decodeRecord(Uint8Array.from(encodeRecord(record)))
  must(same(again, record), 'encoded again it is another record')
}

function checkResults(bytes: Uint8Array, tally: Tally): void {
  const results = decodeResults(bytes)
  if (results === undefined) return tally.count('no results')
  tally.count('results')
  const again = decodeResults(Uint8Array.from(encodeResults(results)))
  must(same(again, results), 'encoded again they are other results')
}

/** A log of some records that something happened to. */
function framesOf(records: readonly Sample[], random: Random): Uint8Array {
  const log = Buffer.alloc(16_384)
  let end = 0
  for (let ordinal = 1; ordinal <= 4; ordinal++) {
    const payload = random.chance(0.2) ? Buffer.alloc(0) : random.pick(records).bytes
    const type = random.pick([MARK_FRAME, 1, 8])
    const durable = random.int(0, ordinal)
    end += writeFrame(log, end, { marker: MARKER, head: { ordinal, durable, type, seq: 1 }, payload }).length
  }
  const bytes = log.subarray(0, end + random.pick([0, 0, 64]))
  return changedBytes(bytes, random, bytes)
}

function checkFrames(bytes: Uint8Array, tally: Tally): void {
  const { frames, end, verdict } = scanFrames(Buffer.from(bytes), {
    marker: MARKER,
    start: 0,
    firstOrdinal: 1,
  })
  tally.count(verdict)
  const length = frames.reduce((sum, frame) => sum + frame.length, 0)
  must(end === length && end <= bytes.length, 'the frames do not fill what is before their end')
}
