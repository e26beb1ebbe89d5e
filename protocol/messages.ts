import type { AccountId, Operation, ReadValue } from './operations.ts'
import type { Digest, Lane, PrincipalId, ReplicaId, RequestNumber, Seq, View } from './types.ts'

/** A replica's signature over a vote whose other fields the reader knows. */
export type Vote = { readonly replica: ReplicaId; readonly signature: Uint8Array }

/** [NC1] One client's operations, ordered and answered as one. `body` is what was signed; the rest is read from it. */
export type Request = {
  readonly type: 'request'
  readonly client: PrincipalId
  readonly lane: Lane
  readonly number: RequestNumber
  readonly operations: readonly Operation[]
  /** Digest of `body` [AU4]. */
  readonly digest: Digest
  readonly body: Uint8Array
  readonly signature: Uint8Array
  /** Per-replica authenticators, outside both digests [AU4]; empty when the client made none. */
  readonly macs: readonly Uint8Array[]
}

/** The unit of ordering. A null batch has no requests and the fixed digest NULL_BATCH_DIGEST. */
export type Batch = { readonly digest: Digest; readonly requests: readonly Request[] }

/** What a primary signs of a PRE-PREPARE. */
export type Header = {
  readonly view: View
  readonly seq: Seq
  readonly digest: Digest
  readonly signature: Uint8Array
}

export type PrePrepare = { readonly type: 'pre-prepare'; readonly header: Header; readonly batch: Batch }
export type Prepare = {
  readonly type: 'prepare'
  readonly view: View
  readonly seq: Seq
  readonly digest: Digest
} & Vote
export type Commit = {
  readonly type: 'commit'
  readonly view: View
  readonly seq: Seq
  readonly digest: Digest
} & Vote

/** [CP1] The state after `seq`: the root of the partition tree [CP2], and the chain, which covers the history. */
export type Checkpoint = {
  readonly type: 'checkpoint'
  readonly seq: Seq
  readonly stateRoot: Digest
  readonly chain: Digest
} & Vote

/** [VC1] One prepared sequence number: header and q-1 PREPARE signatures. */
export type PreparedCertificate = { readonly header: Header; readonly prepares: readonly Vote[] }

/** [VC1] `digest` is of `body`, which the signature covers; the rest is read from it. */
export type ViewChange = {
  readonly type: 'view-change'
  readonly newView: View
  readonly lowWaterMark: Seq
  /** The incarnation under which the sender votes [D5]; 0 from genesis. */
  readonly incarnation: number
  readonly checkpoints: readonly Checkpoint[]
  readonly prepared: readonly PreparedCertificate[]
  readonly digest: Digest
  readonly body: Uint8Array
} & Vote

/** [VC2] `digest` is of `body`, which the signature covers; the rest is read from it. */
export type NewView = {
  readonly type: 'new-view'
  readonly view: View
  readonly viewChanges: readonly { readonly replica: ReplicaId; readonly digest: Digest }[]
  readonly headers: readonly Header[]
  readonly digest: Digest
  readonly body: Uint8Array
} & Vote

/** [NC5] [NC6] What a replica says of one request. Authenticated by the channel, not signed. */
export type Reply = {
  readonly type: 'reply'
  readonly client: PrincipalId
  readonly lane: Lane
  readonly number: RequestNumber
  readonly requestDigest: Digest
  readonly outcome:
    | { readonly kind: 'executed'; readonly result: Uint8Array }
    | { readonly kind: 'number-reused' }
    /** The lane's entry is beyond this number; `entryNumber` is that entry's. */
    | { readonly kind: 'superseded'; readonly entryNumber: RequestNumber }
}

/** [NC7] Balances from executed state. `nonce` is the client's, below 2^48. */
export type Read = { readonly type: 'read'; readonly nonce: number; readonly accounts: readonly AccountId[] }
export type ReadReply = {
  readonly type: 'read-reply'
  readonly nonce: number
  readonly values: readonly ReadValue[]
}

/** [CP5] Committed batches above `after` are wanted from `source`, with bodies and proof. */
export type BodiesWanted = { readonly source: ReplicaId; readonly after: Seq }

/** [CP5] What a replica has, so that peers can send what it lacks. Bit i of a bitmap is seq lowWaterMark + 1 + i. */
export type Status = {
  readonly type: 'status'
  /** The view that the sender entered, and the highest one that it sent a VIEW-CHANGE for (or entered). */
  readonly view: View
  readonly highestViewChange: View
  /** Whose VIEW-CHANGE for highestViewChange is here. */
  readonly viewChanges: readonly ReplicaId[]
  readonly lowWaterMark: Seq
  readonly lastExecuted: Seq
  /** Committed batches above this can be had from the sender's log. */
  readonly servedFrom: Seq
  /** [D5] The sender lost its vote log and does not vote yet. */
  readonly isAmnesiac: boolean
  readonly accepted: Uint8Array
  readonly prepared: Uint8Array
  readonly committed: Uint8Array
  readonly checkpoint: Checkpoint | null
  readonly bodies: BodiesWanted | null
  /** The bare word for what is committed above lastExecuted is wanted too, because a proof did not hold. */
  readonly wordsWanted: boolean
}

/**
 * [CP5] The sender's own word that `digest` is committed at `seq`; with `commits` a proof to check (q COMMIT
 * signatures of `view`), with `batch` the body.
 */
export type Committed = {
  readonly type: 'committed'
  readonly seq: Seq
  readonly digest: Digest
  readonly view: View
  readonly commits: readonly Vote[]
  readonly batch: Batch | null
  /** The last of this answer: whoever wants more asks again. */
  readonly last: boolean
}

/** [VC5] Asks for a batch by its digest: a verified O names it, and it is not here. */
export type FetchBatch = { readonly type: 'fetch-batch'; readonly seq: Seq; readonly digest: Digest }
/** Its own digest proves it. */
export type FetchedBatch = { readonly type: 'fetched-batch'; readonly seq: Seq; readonly batch: Batch }

/**
 * [CP4] A part of the replicated rows: those whose key's digest starts with these digits of two bits each, '0' to '3',
 * at most 32 of them; '' is all. The tree over the parts is defined in db/state-tree.
 */
export type Partition = string & { readonly __partition: true }

/** A node of the partition tree: its four children's digests by digit (null: no rows), or, where it has few, its rows. */
export type PartitionNode =
  | { readonly kind: 'inner'; readonly children: readonly (Digest | null)[] }
  | { readonly kind: 'rows'; readonly rows: Uint8Array }

/** [NC9] What one seq left: enough to compute c_n. `transfers` are the bytes whose digest enters it. */
export type LedgerEntry = {
  readonly seq: Seq
  readonly previous: Digest
  readonly batchDigest: Digest
  readonly repliesDigest: Digest
  readonly transfers: Uint8Array
}

/** [CP4] Asks for a state above `above`; whoever holds or can take one answers STATE-OFFER. */
export type FetchCheckpoint = { readonly type: 'fetch-checkpoint'; readonly above: Seq }
/** The sender's own CHECKPOINT, whose state it holds and serves for a lease; multiple of K or not. */
export type StateOffer = { readonly type: 'state-offer'; readonly checkpoint: Checkpoint }
/** [CP4] Nodes of the tree of the state at `seq`, of one source. */
export type FetchPartitions = {
  readonly type: 'fetch-partitions'
  readonly seq: Seq
  readonly partitions: readonly Partition[]
}
/** As many of those asked for as fit, in the order asked; `isHeld` false: that state is not held here any more. */
export type Partitions = {
  readonly type: 'partitions'
  readonly seq: Seq
  readonly isHeld: boolean
  readonly nodes: readonly { readonly partition: Partition; readonly node: PartitionNode }[]
}
/** [CP4] History at `upTo` and below, newest first. */
export type FetchHistory = { readonly type: 'fetch-history'; readonly upTo: Seq }
export type History = {
  readonly type: 'history'
  readonly upTo: Seq
  readonly entries: readonly LedgerEntry[]
}

/** [EV1] What a signature can accuse of: the types of which a correct replica signs one for each place. */
export type AccountableType = 'pre-prepare' | 'prepare' | 'commit' | 'checkpoint'
export type AccountableStatement = Statement & { readonly type: AccountableType; readonly signer: ReplicaId }
export type AccountableClaim = { readonly statement: AccountableStatement; readonly signature: Uint8Array }

/** [EV3] What `claim.statement.signer` told the sender, for the receiver to compare with what it was told. */
export type Testimony = { readonly type: 'testimony'; readonly claim: AccountableClaim }
/** [EV1] Two statements that no correct replica signs both, of one signer, in the order of `evidenceOf`. */
export type Evidence = {
  readonly type: 'evidence'
  readonly accused: ReplicaId
  readonly claims: readonly [AccountableClaim, AccountableClaim]
}

/** A client's question how a replica is; answered by its runtime, not by the protocol. */
export type Inspect = { readonly type: 'inspect'; readonly nonce: number }
/** `report` is JSON text: see `ReplicaReport` in inspection.ts. */
export type Inspection = { readonly type: 'inspection'; readonly nonce: number; readonly report: string }

export type Message =
  | Request
  | PrePrepare
  | Prepare
  | Commit
  | Checkpoint
  | ViewChange
  | NewView
  | Reply
  | Read
  | ReadReply
  | Status
  | Committed
  | FetchBatch
  | FetchedBatch
  | FetchCheckpoint
  | StateOffer
  | FetchPartitions
  | Partitions
  | FetchHistory
  | History
  | Testimony
  | Evidence
  | Inspect
  | Inspection

export type MessageType = Message['type']

export type SignedType =
  | 'request'
  | 'pre-prepare'
  | 'prepare'
  | 'commit'
  | 'checkpoint'
  | 'view-change'
  | 'new-view'

/** [AU1] What a signature says, before it is laid out in bytes (signing.ts). Fields a type does not have are 0. */
export type Statement = {
  readonly type: SignedType
  readonly view: number
  readonly seq: number
  readonly signer: PrincipalId
  readonly digests: readonly Digest[]
}
