import type { TableSource } from '../../db/columns.ts'
import { genesisRows } from '../../db/genesis-rows.ts'
import type { ChainRow, TransferRow } from '../../db/rows.ts'
import { transfersDigestOf } from '../../db/state-machine/digests.ts'
import type { Genesis } from '../../protocol/config.ts'
import type { AccountId } from '../../protocol/operations.ts'
import { chainDigestOf, resultsDigestOf } from '../../protocol/signing.ts'
import type { Digest, Seq } from '../../protocol/types.ts'

/** A row that does not follow from the same database's own history, whatever the other databases hold. */
export type Contradiction = {
  readonly table: 'accounts' | 'chain'
  readonly key: string
  readonly column: string | null
  readonly is: string
  readonly shouldBe: string
}

type Movement = { delta: bigint; version: number }

/**
 * Recomputes one database from genesis and its own transfers: the chain link by link [NC9], then each account's
 * balance and version. The first row that is not what comes out; null when all are.
 */
export async function selfAudit(
  source: TableSource,
  { genesis, seq }: { readonly genesis: Genesis; readonly seq: Seq },
): Promise<Contradiction | null> {
  const moved = new Map<AccountId, Movement>()
  const inChain = await auditChain(source, { genesis, seq, moved })
  return inChain ?? (await auditAccounts(source, { genesis, seq, moved }))
}

type Audit = { readonly genesis: Genesis; readonly seq: Seq; readonly moved: Map<AccountId, Movement> }

async function auditChain(
  source: TableSource,
  { genesis, seq, moved }: Audit,
): Promise<Contradiction | null> {
  const batches = transfersBySeq(source, seq)
  let batch = await batches.next()
  let previous = genesis.digest
  let expected = 1
  for await (const link of source.rows('chain', seq)) {
    if (link.seq !== expected) break
    const transfers = !batch.done && batch.value.seq === link.seq ? batch.value.transfers : []
    const found = auditLink(link, { previous, transfers })
    if (found !== null) return found
    for (const transfer of transfers) fold(moved, transfer)
    if (transfers.length > 0) batch = await batches.next()
    previous = link.chain
    expected += 1
  }
  if (expected <= seq) return missingLink(expected)
  // Transfers that belong to no batch were never passed.
  return batch.done ? null : missingLink(batch.value.seq)
}

const missingLink = (seq: number): Contradiction => ({
  table: 'chain',
  key: `${seq}`,
  column: null,
  is: 'missing',
  shouldBe: 'one row for each batch',
})

function auditLink(
  link: ChainRow,
  { previous, transfers }: { readonly previous: Digest; readonly transfers: readonly TransferRow[] },
): Contradiction | null {
  const at = { table: 'chain', key: `${link.seq}` } as const
  const transfersDigest = transfersDigestOf(transfers)
  if (link.transfersDigest !== transfersDigest) {
    return { ...at, column: 'transfersDigest', is: link.transfersDigest, shouldBe: transfersDigest }
  }
  const shouldBe = chainDigestOf({
    previous,
    seq: link.seq,
    batchDigest: link.batchDigest,
    resultsDigest: resultsDigestOf(link.repliesDigest, transfersDigest),
  })
  return link.chain === shouldBe ? null : { ...at, column: 'chain', is: link.chain, shouldBe }
}

type BatchTransfers = { readonly seq: Seq; readonly transfers: readonly TransferRow[] }

async function* transfersBySeq(source: TableSource, upTo: Seq): AsyncGenerator<BatchTransfers, undefined> {
  let batch: TransferRow[] = []
  for await (const transfer of source.rows('transfers', upTo)) {
    const [first] = batch
    if (first !== undefined && first.seq !== transfer.seq) {
      yield { seq: first.seq, transfers: batch }
      batch = []
    }
    batch.push(transfer)
  }
  const [first] = batch
  if (first !== undefined) yield { seq: first.seq, transfers: batch }
  return undefined
}

function fold(moved: Map<AccountId, Movement>, { seq, debit, credit, amount }: TransferRow): void {
  for (const [account, change] of [
    [debit, -amount],
    [credit, amount],
  ] as const) {
    const known = moved.get(account)
    if (known === undefined) moved.set(account, { delta: change, version: seq })
    else {
      known.delta += change
      known.version = seq
    }
  }
}

async function auditAccounts(
  source: TableSource,
  { genesis, seq, moved }: Audit,
): Promise<Contradiction | null> {
  const issued = new Map(genesisRows(genesis).accounts.map(({ id, balance }) => [id, balance]))
  for await (const { id, balance, opened, version } of source.rows('accounts', seq)) {
    const movement = moved.get(id) ?? { delta: 0n, version: 0 }
    const at = { table: 'accounts', key: id } as const
    const balanceExpected = (issued.get(id) ?? 0n) + movement.delta
    if (balance !== balanceExpected) {
      return { ...at, column: 'balance', is: `${balance}`, shouldBe: `${balanceExpected}` }
    }
    const versionExpected = Math.max(opened, movement.version)
    if (version !== versionExpected) {
      return { ...at, column: 'version', is: `${version}`, shouldBe: `${versionExpected}` }
    }
  }
  return null
}
