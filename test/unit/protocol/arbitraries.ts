import fc from 'fast-check'
import {
  encodeNewViewBody,
  encodeRequestBody,
  encodeViewChangeBody,
  type NewViewBody,
  type ViewChangeBody,
} from '../../../protocol/codec.ts'
import { digestOf } from '../../../protocol/crypto.ts'
import { evidenceOf } from '../../../protocol/evidence.ts'
import type {
  AccountableClaim,
  Batch,
  Checkpoint,
  Evidence,
  Header,
  LedgerEntry,
  Message,
  MessageType,
  Partition,
  PartitionNode,
  Request,
  Vote,
} from '../../../protocol/messages.ts'
import type { Operation, SimpleOperation } from '../../../protocol/operations.ts'
import { batchOf } from '../../../protocol/signing.ts'
import {
  type Digest,
  digestFromBytes,
  lane,
  principalId,
  type ReplicaId,
  replicaId,
  requestNumber,
  seq,
  view,
} from '../../../protocol/types.ts'

/** Every message type with every field at its edges: what an encoder may be given. */

const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length })
const integer = fc.oneof(
  fc.maxSafeNat(),
  fc.constantFrom(0, 127, 128, 2 ** 32 - 1, 2 ** 32, 2 ** 48, Number.MAX_SAFE_INTEGER),
)
const seqArb = integer.map(seq)
const viewArb = integer.map(view)
const replicaArb = fc.nat(999).map(replicaId)
const principalArb = fc.integer({ min: 0, max: 2 ** 32 - 1 }).map(principalId)
const laneArb = fc.nat(65_535).map(lane)
export const digestArb = bytes(32).map(digestFromBytes)
const signatureArb = bytes(64)
const accountArb = fc.string({ unit: 'grapheme', maxLength: 40 })
/** What 64-bit integers hold; more cannot travel. */
const amountArb = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 64n - 1n })

const simpleOperationArb: fc.Arbitrary<SimpleOperation> = fc.oneof(
  fc.record({
    kind: fc.constant('open' as const),
    account: accountArb,
    owner: principalArb,
    customer: fc.option(
      fc.record({
        name: fc.string({ unit: 'grapheme' }),
        address: fc.option(fc.string({ unit: 'grapheme' })),
      }),
    ),
  }),
  fc.record({
    kind: fc.constantFrom('deposit' as const, 'withdraw' as const),
    account: accountArb,
    amount: amountArb,
  }),
  fc.record({
    kind: fc.constant('transfer' as const),
    from: accountArb,
    to: accountArb,
    amount: amountArb,
  }),
  fc.record({ kind: fc.constant('balance' as const), account: accountArb }),
  fc.record({
    kind: fc.constant('history' as const),
    account: accountArb,
    before: fc.option(seqArb),
    limit: fc.nat(2 ** 32 - 1),
  }),
)
const operationArb: fc.Arbitrary<Operation> = fc.oneof(
  simpleOperationArb,
  fc.record({
    kind: fc.constant('linked' as const),
    operations: fc.array(simpleOperationArb, { maxLength: 4 }),
  }),
)

export const requestArb: fc.Arbitrary<Request> = fc
  .record({
    client: principalArb,
    lane: laneArb,
    number: integer.map(requestNumber),
    operations: fc.oneof(
      fc.array(operationArb, { minLength: 1, maxLength: 4 }),
      fc.constant([{ kind: 'lookup' as const }]),
      viewArb.map((view) => [{ kind: 'recover' as const, view }]),
    ),
    signature: signatureArb,
    macs: fc.array(fc.uint8Array({ maxLength: 32 }), { maxLength: 4 }),
  })
  .map((fields) => {
    const body = encodeRequestBody(fields)
    return { type: 'request', ...fields, digest: digestOf(body), body }
  })
const batchArb: fc.Arbitrary<Batch> = fc.array(requestArb, { maxLength: 3 }).map(batchOf)

const voteArb: fc.Arbitrary<Vote> = fc.record({ replica: replicaArb, signature: signatureArb })
const votesArb = fc.array(voteArb, { maxLength: 5 })
const headerArb: fc.Arbitrary<Header> = fc.record({
  view: viewArb,
  seq: seqArb,
  digest: digestArb,
  signature: signatureArb,
})
const checkpointArb: fc.Arbitrary<Checkpoint> = fc.record({
  type: fc.constant('checkpoint' as const),
  seq: seqArb,
  stateRoot: digestArb,
  chain: digestArb,
  replica: replicaArb,
  signature: signatureArb,
})

const viewChangeArb = fc
  .record<ViewChangeBody & Vote>({
    newView: viewArb,
    lowWaterMark: seqArb,
    incarnation: integer,
    checkpoints: fc.array(checkpointArb, { maxLength: 3 }),
    prepared: fc.array(fc.record({ header: headerArb, prepares: votesArb }), { maxLength: 3 }),
    replica: replicaArb,
    signature: signatureArb,
  })
  .map((fields) => {
    const body = encodeViewChangeBody(fields)
    return { type: 'view-change' as const, ...fields, digest: digestOf(body), body }
  })
const newViewArb = fc
  .record<NewViewBody & Vote>({
    view: viewArb,
    viewChanges: fc.array(fc.record({ replica: replicaArb, digest: digestArb }), { maxLength: 4 }),
    headers: fc.array(headerArb, { maxLength: 3 }),
    replica: replicaArb,
    signature: signatureArb,
  })
  .map((fields) => {
    const body = encodeNewViewBody(fields)
    return { type: 'new-view' as const, ...fields, digest: digestOf(body), body }
  })

const voteMessage = <T extends 'prepare' | 'commit'>(type: T) =>
  fc.record({
    type: fc.constant(type),
    view: viewArb,
    seq: seqArb,
    digest: digestArb,
    replica: replicaArb,
    signature: signatureArb,
  })
const partitionArb = fc
  .string({ unit: fc.constantFrom(...'0123456789abcdef'), maxLength: 64 })
  .map((digits) => digits as Partition)
const nodeArb: fc.Arbitrary<PartitionNode> = fc.oneof(
  fc.record({
    kind: fc.constant('inner' as const),
    children: fc.array(fc.option(digestArb), { maxLength: 16 }),
  }),
  fc.record({ kind: fc.constant('rows' as const), rows: fc.uint8Array({ maxLength: 100 }) }),
)
const entryArb: fc.Arbitrary<LedgerEntry> = fc.record({
  seq: seqArb,
  previous: digestArb,
  batchDigest: digestArb,
  repliesDigest: digestArb,
  transfers: fc.uint8Array({ maxLength: 100 }),
})

const claimArb = (signer: ReplicaId): fc.Arbitrary<AccountableClaim> =>
  fc.record({
    statement: fc.oneof(
      fc.record({
        type: fc.constantFrom('pre-prepare' as const, 'prepare' as const, 'commit' as const),
        view: integer,
        seq: integer,
        signer: fc.constant(signer),
        digests: fc.tuple(digestArb),
      }),
      fc.record({
        type: fc.constant('checkpoint' as const),
        view: fc.constant(0),
        seq: integer,
        signer: fc.constant(signer),
        digests: fc.tuple(digestArb, digestArb),
      }),
    ),
    signature: signatureArb,
  })
const otherThan = (digest: Digest): Digest => digestOf(Buffer.from(digest, 'hex'))
const evidenceArb: fc.Arbitrary<Evidence> = fc
  .tuple(
    replicaArb.chain((signer) => claimArb(signer)),
    digestArb,
    signatureArb,
  )
  .map(([claim, digest, signature]) => {
    const [first, ...rest] = claim.statement.digests
    const statement = {
      ...claim.statement,
      digests: [digest === first ? otherThan(digest) : digest, ...rest],
    }
    const evidence = evidenceOf(claim, { statement, signature })
    if (evidence === null) throw new Error('two digests at one place contradict each other')
    return evidence
  })

const nonceArb = fc.nat({ max: 2 ** 31 - 1 }).map((low) => low * 2 ** 17)
const bitmapArb = fc.uint8Array({ maxLength: 40 })

/** A missing type does not compile. */
const ARBITRARIES: { readonly [T in MessageType]: fc.Arbitrary<Extract<Message, { type: T }>> } = {
  request: requestArb,
  'pre-prepare': fc.record({ type: fc.constant('pre-prepare'), header: headerArb, batch: batchArb }),
  prepare: voteMessage('prepare'),
  commit: voteMessage('commit'),
  checkpoint: checkpointArb,
  'view-change': viewChangeArb,
  'new-view': newViewArb,
  reply: fc.record({
    type: fc.constant('reply'),
    client: principalArb,
    lane: laneArb,
    number: integer.map(requestNumber),
    requestDigest: digestArb,
    outcome: fc.oneof(
      fc.record({ kind: fc.constant('executed' as const), result: fc.uint8Array({ maxLength: 100 }) }),
      fc.record({ kind: fc.constant('number-reused' as const) }),
      fc.record({ kind: fc.constant('superseded' as const), entryNumber: integer.map(requestNumber) }),
    ),
  }),
  read: fc.record({
    type: fc.constant('read'),
    nonce: nonceArb,
    accounts: fc.array(accountArb, { maxLength: 5 }),
  }),
  'read-reply': fc.record({
    type: fc.constant('read-reply'),
    nonce: nonceArb,
    values: fc.array(
      fc.record({
        account: accountArb,
        balance: fc.option(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })),
        version: seqArb,
      }),
      { maxLength: 5 },
    ),
  }),
  status: fc.record({
    type: fc.constant('status'),
    view: viewArb,
    highestViewChange: viewArb,
    viewChanges: fc.array(replicaArb, { maxLength: 5 }),
    lowWaterMark: seqArb,
    lastExecuted: seqArb,
    servedFrom: seqArb,
    isAmnesiac: fc.boolean(),
    accepted: bitmapArb,
    prepared: bitmapArb,
    committed: bitmapArb,
    checkpoint: fc.option(checkpointArb),
    bodies: fc.option(fc.record({ source: replicaArb, after: seqArb })),
    wordsWanted: fc.boolean(),
  }),
  committed: fc.record({
    type: fc.constant('committed'),
    seq: seqArb,
    digest: digestArb,
    view: viewArb,
    commits: votesArb,
    batch: fc.option(batchArb),
    last: fc.boolean(),
  }),
  'fetch-batch': fc.record({ type: fc.constant('fetch-batch'), seq: seqArb, digest: digestArb }),
  'fetched-batch': fc.record({ type: fc.constant('fetched-batch'), seq: seqArb, batch: batchArb }),
  'fetch-checkpoint': fc.record({ type: fc.constant('fetch-checkpoint'), above: seqArb }),
  'state-offer': fc.record({ type: fc.constant('state-offer'), checkpoint: checkpointArb }),
  'fetch-partitions': fc.record({
    type: fc.constant('fetch-partitions'),
    seq: seqArb,
    partitions: fc.array(partitionArb, { maxLength: 5 }),
  }),
  partitions: fc.record({
    type: fc.constant('partitions'),
    seq: seqArb,
    isHeld: fc.boolean(),
    nodes: fc.array(fc.record({ partition: partitionArb, node: nodeArb }), { maxLength: 4 }),
  }),
  'fetch-history': fc.record({ type: fc.constant('fetch-history'), upTo: seqArb }),
  history: fc.record({
    type: fc.constant('history'),
    upTo: seqArb,
    entries: fc.array(entryArb, { maxLength: 4 }),
  }),
  testimony: fc.record({
    type: fc.constant('testimony'),
    claim: replicaArb.chain((signer) => claimArb(signer)),
  }),
  evidence: evidenceArb,
  inspect: fc.record({ type: fc.constant('inspect'), nonce: nonceArb }),
  inspection: fc.record({
    type: fc.constant('inspection'),
    nonce: nonceArb,
    report: fc.string({ unit: 'grapheme', maxLength: 200 }),
  }),
}

export const MESSAGE_TYPES = Object.keys(ARBITRARIES) as MessageType[]
export const messageArbOf = (type: MessageType): fc.Arbitrary<Message> => ARBITRARIES[type]
export const messageArb: fc.Arbitrary<Message> = fc.oneof(
  ...Object.values<fc.Arbitrary<Message>>(ARBITRARIES),
)
