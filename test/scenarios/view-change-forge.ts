import type { Header, NewView, PreparedCertificate, ViewChange } from '../../protocol/messages.ts'
import { newViewOf, viewChangeOf } from '../../protocol/signed.ts'
import { NULL_BATCH } from '../../protocol/signing.ts'
import { type Digest, type ReplicaId, replicaId, type Seq, seq, view } from '../../protocol/types.ts'
import type { Command } from './command.ts'
import type { Forge } from './forge.ts'
import type { Harness } from './harness.ts'
import { sign, tampered } from './parties.ts'

type Context = { readonly cluster: Harness; readonly forge: Forge; readonly signer: ReplicaId }

/**
 * `view-change v=1 h=2 proof=2 prepared=3@2 forged=3:b2@0 twice=4@2 incarnation=7`: proof= copies the stable certificate
 * of h from that replica's log; prepared= copies what r2 prepared at 3; forged= makes a certificate whose signatures do
 * not hold; colluding= one whose signatures do, of q liars; twice= is one whose first PREPARE stands for two.
 */
export function forgedViewChange(command: Command, { cluster, forge, signer }: Context): ViewChange {
  const lowWaterMark = seq(command.number('h') ?? 0)
  const proof = command.number('proof')
  const listed = (key: string) => command.option(key)?.split(',') ?? []
  const prepared = [
    ...listed('prepared').map((text) => certificateOf(text, cluster)),
    ...listed('forged').map((text) => madeUp(text, { cluster, forge, altered: tampered })),
    ...listed('colluding').map((text) => madeUp(text, { cluster, forge, altered: (bytes) => bytes })),
    ...listed('twice').map((text) => doubled(certificateOf(text, cluster))),
  ]
  const fields = {
    newView: view(Number(command.need('v'))),
    lowWaterMark,
    incarnation: command.number('incarnation') ?? 0,
    checkpoints: proofOf(command, proof === undefined ? [] : stableProof(lowWaterMark, proof, cluster)),
    prepared: prepared.sort((a, b) => a.header.seq - b.header.seq),
  }
  const message = viewChangeOf(fields, signer, sign)
  forge.viewChanges.push(message)
  return command.has('bad') ? { ...message, signature: tampered(message.signature) } : message
}

/** `3@2`: as replica 2 logged it. */
function certificateOf(text: string, cluster: Harness): PreparedCertificate {
  const [n, id] = text.split('@').map(Number)
  const record = cluster
    .node(id ?? -1)
    .disk.all.findLast((one) => one.kind === 'prepared' && one.header.seq === n)
  if (record?.kind !== 'prepared') throw new Error(`nothing is prepared at ${text}`)
  return { header: record.header, prepares: record.prepares }
}

type Signature = Uint8Array
type Altered = { readonly altered: (signature: Signature) => Signature }

/** `3:b2@5`: batch b2 at 3 in view 5, as no correct replica signed it. */
function madeUp(
  text: string,
  { cluster, forge, altered }: Omit<Context, 'signer'> & Altered,
): PreparedCertificate {
  const match = /^(\d+):(.+)@(\d+)$/.exec(text)
  if (match === null) throw new Error(`not n:batch@view: ${text}`)
  const v = Number(match[3])
  const { digest } = forge.batchNamed(match[2] ?? '', cluster)
  const statement = { view: v, seq: Number(match[1]), digests: [digest] }
  const { n, quorum } = cluster.quorum
  const primary = replicaId(v % n)
  const backups = cluster.nodes.map(({ id }) => id).filter((id) => id !== primary)
  const forged = (type: 'pre-prepare' | 'prepare', signer: ReplicaId) =>
    altered(sign({ type, ...statement, signer }))
  return {
    header: { view: view(v), seq: seq(statement.seq), digest, signature: forged('pre-prepare', primary) },
    prepares: backups
      .slice(0, quorum - 1)
      .map((replica) => ({ replica, signature: forged('prepare', replica) })),
  }
}

function doubled({ header, prepares }: PreparedCertificate): PreparedCertificate {
  const [first] = prepares
  return { header, prepares: first === undefined ? [] : prepares.map(() => first) }
}

/** `fewer`: one CHECKPOINT less; `same`: the first stands for all. */
function proofOf(command: Command, all: ViewChange['checkpoints']): ViewChange['checkpoints'] {
  const [first] = all
  if (command.has('fewer')) return all.slice(1)
  return command.has('same') && first !== undefined ? all.map(() => first) : all
}

function stableProof(at: Seq, id: number, cluster: Harness): ViewChange['checkpoints'] {
  const record = cluster.node(id).disk.all.find((one) => one.kind === 'stable' && one.seq === at)
  if (record?.kind !== 'stable') throw new Error(`r${id} has nothing stable at ${at}`)
  const { stateRoot, chain } = record
  return record.checkpoints.map((vote) => ({ type: 'checkpoint', seq: at, stateRoot, chain, ...vote }))
}

/**
 * `new-view v=1 of=0,2,3`: from the VIEW-CHANGEs that these sent, with the right O, or `order=1:b1,2:null` instead of it;
 * `order=none` is an empty one. `bad-header=2` has a signature that does not hold. `of-view=1` names their VIEW-CHANGEs
 * for view 1 instead; `digests-of=1,1,1` gives each of them what another one sent.
 */
export function forgedNewView(command: Command, { cluster, forge, signer }: Context): NewView {
  const v = view(Number(command.need('v')))
  const context = { v: command.number('of-view') ?? v, cluster, forge }
  const senders = command.numbers('of') ?? []
  const viewChanges = (command.numbers('digests-of') ?? senders).map((id) => viewChangeOfSender(id, context))
  const order = command.option('order')
  const entries = order === undefined ? plainOrder(viewChanges) : listedOrder(order, { cluster, forge })
  const bad = command.number('bad-header')
  const headers = entries.map(([n, digest]): Header => {
    const signature = sign({ type: 'pre-prepare', view: v, seq: n, signer, digests: [digest] })
    return { view: v, seq: seq(n), digest, signature: n === bad ? tampered(signature) : signature }
  })
  const names = viewChanges.map(({ digest }, i) => ({ replica: replicaId(senders[i] ?? signer), digest }))
  const message = newViewOf({ view: v, viewChanges: names, headers }, signer, sign)
  return command.has('bad') ? { ...message, signature: tampered(message.signature) } : message
}

/** The last one that it sent; else the last one that a liar made in its name. */
function viewChangeOfSender(
  id: number,
  { v, cluster, forge }: Omit<Context, 'signer'> & { readonly v: number },
): ViewChange {
  const sent = cluster.network
    .everSent({ type: 'view-change', v })
    .filter((one) => one.type === 'view-change')
  const forged = forge.viewChanges.filter((one) => one.newView === v)
  const message = [...forged, ...sent].findLast((one) => one.replica === id)
  if (message === undefined) throw new Error(`r${id} sent no VIEW-CHANGE for ${v}`)
  return message
}

/** O as the paper says it, written down without the core's code: honest certificates only. */
function plainOrder(viewChanges: readonly ViewChange[]): [number, Digest][] {
  const low = Math.max(...viewChanges.map(({ lowWaterMark }) => lowWaterMark))
  const headers = viewChanges.flatMap(({ prepared }) => prepared.map(({ header }) => header))
  const high = Math.max(low, ...headers.map((header) => header.seq))
  return Array.from({ length: high - low }, (_, i) => {
    const n = low + 1 + i
    const here = headers.filter((header) => header.seq === n).sort((a, b) => b.view - a.view)
    return [n, here[0]?.digest ?? NULL_BATCH.digest]
  })
}

const listedOrder = (text: string, { cluster, forge }: Omit<Context, 'signer'>): [number, Digest][] =>
  (text === 'none' ? [] : text.split(',')).map((entry) => {
    const [n = '', label = ''] = entry.split(':')
    return [Number(n), forge.batchNamed(label, cluster).digest]
  })
