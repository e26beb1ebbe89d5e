import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Checkpoint, PreparedCertificate, ViewChange } from '../../../protocol/messages.ts'
import { quorumOf } from '../../../protocol/quorum.ts'
import { type Digest, replicaId, type Seq, type View, ZERO_DIGEST } from '../../../protocol/types.ts'
import { primaryOf } from '../../../replica/core/config.ts'
import { maxSeqOf, orderOf } from '../../../replica/core/view-order.ts'

const QUORUM = quorumOf(4)
const WINDOW = 4
const NEW_VIEW = 5 as View
const A = 'a'.repeat(64) as Digest
const B = 'b'.repeat(64) as Digest
const EMPTY = new Uint8Array(0)

type Entry = {
  readonly seq: number
  readonly view: number
  readonly digest?: Digest
  readonly signers?: number[]
}

/** A certificate; by default of q-1 backups of its view. */
function certificate({ seq, view, digest = A, signers }: Entry): PreparedCertificate {
  const primary = primaryOf(view as View, QUORUM)
  const backups = [0, 1, 2, 3].filter((id) => id !== primary).slice(0, QUORUM.quorum - 1)
  return {
    header: { view: view as View, seq: seq as Seq, digest, signature: EMPTY },
    prepares: (signers ?? backups).map((id) => ({ replica: replicaId(id), signature: EMPTY })),
  }
}

function viewChange(
  replica: number,
  low: number,
  entries: readonly (Entry | PreparedCertificate)[],
): ViewChange {
  const checkpoint = (id: number): Checkpoint => ({
    type: 'checkpoint',
    seq: low as Seq,
    stateRoot: ZERO_DIGEST,
    chain: ZERO_DIGEST,
    replica: replicaId(id),
    signature: EMPTY,
  })
  return {
    type: 'view-change',
    newView: NEW_VIEW,
    lowWaterMark: low as Seq,
    incarnation: 0,
    checkpoints: low === 0 ? [] : [0, 1, 2].map(checkpoint),
    prepared: entries.map((entry) => ('header' in entry ? entry : certificate(entry))),
    digest: ZERO_DIGEST,
    body: EMPTY,
    replica: replicaId(replica),
    signature: EMPTY,
  }
}

const order = (viewChanges: readonly ViewChange[], refuted: readonly PreparedCertificate[] = []) =>
  orderOf(viewChanges, { quorum: QUORUM, window: WINDOW, isRefuted: (one) => refuted.includes(one) })

/** `seq:view:digest` or `seq:null` of each entry. */
const shown = (viewChanges: readonly ViewChange[], refuted: readonly PreparedCertificate[] = []): string =>
  order(viewChanges, refuted)
    .entries.map(({ seq, certificate: one }) =>
      one === null ? `${seq}:null` : `${seq}:${one.header.view}:${one.header.digest[0]}`,
    )
    .join(' ')

describe('[VC2] O', () => {
  test('[VC2] is empty when nothing was prepared', () => {
    expect(order([viewChange(0, 0, []), viewChange(1, 0, []), viewChange(2, 0, [])])).toEqual({
      minS: 0,
      checkpoints: [],
      entries: [],
    })
  })

  test('[VC2] starts above the highest proven checkpoint, and names the CHECKPOINTs that prove it', () => {
    const high = viewChange(1, 2, [])
    const found = order([viewChange(0, 0, [{ seq: 1, view: 0 }]), high, viewChange(2, 0, [])])
    expect(found.minS).toBe(2)
    expect(found.checkpoints).toBe(high.checkpoints)
    expect(found.entries).toEqual([])
    expect(maxSeqOf(found)).toBe(2)
  })

  test('[VC2] a gap below the highest prepared seq is a null batch', () => {
    expect(shown([viewChange(0, 0, [{ seq: 3, view: 0 }]), viewChange(1, 0, []), viewChange(2, 0, [])])).toBe(
      '1:null 2:null 3:0:a',
    )
  })

  test('[VC2] of one seq the certificate of the highest view wins', () => {
    const low = viewChange(0, 0, [{ seq: 1, view: 2, digest: A }])
    const high = viewChange(1, 0, [{ seq: 1, view: 3, digest: B }])
    expect(shown([low, high, viewChange(2, 0, [])])).toBe('1:3:b')
    expect(shown([high, low, viewChange(2, 0, [])])).toBe('1:3:b')
  })

  test('[VC1] a null batch that was prepared counts as any other', () => {
    const nul = viewChange(0, 0, [{ seq: 1, view: 3, digest: ZERO_DIGEST }])
    const older = viewChange(1, 0, [{ seq: 1, view: 2, digest: A }])
    expect(shown([nul, older, viewChange(2, 0, [])])).toBe('1:3:0')
  })

  test('[VC1] an entry whose signatures do not hold is absent, and the rest of its VIEW-CHANGE stands', () => {
    const forged = certificate({ seq: 1, view: 4, digest: B })
    const liar = viewChange(0, 0, [forged, { seq: 2, view: 1 }])
    const honest = viewChange(1, 0, [{ seq: 1, view: 0, digest: A }])
    expect(shown([liar, honest, viewChange(2, 0, [])])).toBe('1:4:b 2:1:a')
    expect(shown([liar, honest, viewChange(2, 0, [])], [forged])).toBe('1:0:a 2:1:a')
  })

  test('[VC1] a refuted entry at the end lowers max-s', () => {
    const forged = certificate({ seq: 4, view: 4, digest: B })
    const liar = viewChange(0, 0, [forged])
    expect(shown([liar, viewChange(1, 0, [{ seq: 1, view: 0 }]), viewChange(2, 0, [])], [forged])).toBe(
      '1:0:a',
    )
  })

  test.each([
    ['of the new view itself', { seq: 1, view: NEW_VIEW }],
    ['of a higher view', { seq: 1, view: NEW_VIEW + 1 }],
    ['at its own low water mark', { seq: 0, view: 0 }],
    ['above its own window', { seq: WINDOW + 1, view: 0 }],
    ['with too few signers', { seq: 1, view: 0, signers: [1] }],
    ['with too many signers', { seq: 1, view: 0, signers: [1, 2, 3] }],
    ['with the same signer twice', { seq: 1, view: 0, signers: [1, 1] }],
    ['signed by the primary of its view', { seq: 1, view: 0, signers: [0, 1] }],
    ['signed by a stranger', { seq: 1, view: 0, signers: [1, 4] }],
  ])('[VC1] an entry %s is absent', (_, entry) => {
    expect(shown([viewChange(0, 0, [entry]), viewChange(1, 0, []), viewChange(2, 0, [])])).toBe('')
  })

  test('[VC1] the window of an entry is that of its own VIEW-CHANGE', () => {
    const behind = viewChange(0, 0, [{ seq: 4, view: 0 }])
    const ahead = viewChange(1, 2, [{ seq: 6, view: 0 }])
    expect(shown([behind, ahead, viewChange(2, 0, [])])).toBe('3:null 4:0:a 5:null 6:0:a')
  })

  test('[VC1] what an honest replica prepared below min-s is in the checkpoint, not in O', () => {
    const behind = viewChange(
      0,
      0,
      [1, 2, 3].map((seq) => ({ seq, view: 0 })),
    )
    expect(shown([behind, viewChange(1, 2, []), viewChange(2, 0, [])])).toBe('3:0:a')
  })

  /** Every VIEW-CHANGE over two seqs, two views, two digests and two low water marks; every three of them. */
  test('[VC2] exhaustively: equal to its definition, whatever the order of the VIEW-CHANGEs', () => {
    const perSeq: (Omit<Entry, 'seq'> | null)[] = [null]
    for (const view of [0, 1]) for (const digest of [A, B]) perSeq.push({ view, digest })
    const contents: { low: number; entries: Entry[] }[] = []
    for (const low of [0, 1]) {
      for (const one of perSeq) {
        for (const two of perSeq) {
          const entries = [one && { seq: low + 1, ...one }, two && { seq: low + 2, ...two }]
          contents.push({ low, entries: entries.filter((entry) => entry !== null) })
        }
      }
    }
    const all = contents.map(({ low, entries }, index) => viewChange(index % 4, low, entries))
    let compared = 0
    for (const x of all) {
      for (const y of all) {
        for (const z of all) {
          const definition = defined([x, y, z])
          if (definition === null) continue
          compared += 1
          if (shown([z, x, y]) !== definition) expect(shown([z, x, y])).toBe(definition)
        }
      }
    }
    expect(compared).toBeGreaterThan(50_000)
  })

  /** Word for word: null where two certificates of one view disagree, which takes more than f liars. */
  function defined(viewChanges: readonly ViewChange[]): string | null {
    const minS = Math.max(...viewChanges.map(({ lowWaterMark }) => lowWaterMark))
    const above = viewChanges.flatMap(({ prepared }) => prepared).filter(({ header }) => header.seq > minS)
    const maxS = Math.max(minS, ...above.map(({ header }) => header.seq))
    const parts: string[] = []
    for (let seq = minS + 1; seq <= maxS; seq++) {
      const here = above.filter(({ header }) => header.seq === seq)
      const view = Math.max(...here.map(({ header }) => header.view))
      const digests = new Set(
        here.filter(({ header }) => header.view === view).map(({ header }) => header.digest),
      )
      if (digests.size > 1) return null
      const [digest] = digests
      parts.push(digest === undefined ? `${seq}:null` : `${seq}:${view}:${digest[0]}`)
    }
    return parts.join(' ')
  }

  test('[VC2] has every seq from min-s to max-s once, in order, whatever is in the VIEW-CHANGEs', () => {
    const entry = fc.record({
      seq: fc.integer({ min: 0, max: 12 }),
      view: fc.integer({ min: 0, max: 6 }),
      digest: fc.constantFrom(A, B, ZERO_DIGEST),
      signers: fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 3 }),
    })
    const one = fc.tuple(fc.integer({ min: 0, max: 8 }), fc.array(entry, { maxLength: 6 }))
    fc.assert(
      fc.property(fc.array(one, { minLength: 3, maxLength: 4 }), (contents) => {
        const viewChanges = contents.map(([low, entries], replica) => viewChange(replica, low, entries))
        const found = order(viewChanges)
        expect(found.minS).toBe(Math.max(...contents.map(([low]) => low)))
        found.entries.forEach(({ seq, certificate: chosen }, index) => {
          expect(seq).toBe(found.minS + 1 + index)
          if (chosen !== null) expect(chosen.header.seq).toBe(seq)
        })
        expect(found.entries.at(-1)?.certificate).not.toBeNull()
        expect(order([...viewChanges].reverse()).entries.map(({ seq }) => seq)).toEqual(
          found.entries.map(({ seq }) => seq),
        )
      }),
    )
  })
})
