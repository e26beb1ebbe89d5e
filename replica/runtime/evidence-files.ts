import { mkdir, open, readdir, readFile, rename } from 'node:fs/promises'
import { join } from 'node:path'
import type { Genesis } from '../../protocol/config.ts'
import { sodiumVerifier } from '../../protocol/crypto.ts'
import { describeEvidence } from '../../protocol/evidence.ts'
import { formatEvidence, isRefusal, parseEvidence } from '../../protocol/evidence-file.ts'
import type { ReplicaReport } from '../../protocol/inspection.ts'
import type { Evidence } from '../../protocol/messages.ts'
import type { ReplicaId } from '../../protocol/types.ts'

const NAME = /^replica-\d+\.json$/

export const evidencePath = (directory: string, accused: ReplicaId): string =>
  join(directory, `replica-${accused}.json`)

/** [EV2] [EV3] One file for each accused, which `pbft evidence verify` reads. */
export class EvidenceFiles {
  readonly #directory: string
  readonly #genesis: Genesis
  readonly #onNotice: (text: string) => void

  constructor(args: {
    readonly directory: string
    readonly genesis: Genesis
    /** What the operator should know although the replica serves. */
    readonly onNotice: (text: string) => void
  }) {
    this.#directory = args.directory
    this.#genesis = args.genesis
    this.#onNotice = args.onNotice
  }

  /** What still proves something; what does not is named, left where it is, and accuses nobody. */
  async load(): Promise<Evidence[]> {
    const evidence: Evidence[] = []
    for (const name of await namesIn(this.#directory)) {
      const path = join(this.#directory, name)
      const read = parseEvidence(await readFile(path, 'utf8'), this.#genesis, sodiumVerifier)
      if (isRefusal(read)) this.#onNotice(`${path} proves nothing: ${read.refused}. Remove it.`)
      else if (path !== evidencePath(this.#directory, read.accused)) {
        this.#onNotice(`${path} is about replica ${read.accused}, and named as if about another. Rename it.`)
      } else evidence.push(read)
    }
    return evidence
  }

  /** For people: who is accused of what, and where the proof is. */
  listed(evidence: readonly Evidence[]): ReplicaReport['accused'] {
    return evidence.map((one) => ({
      replica: one.accused,
      of: describeEvidence(one),
      file: evidencePath(this.#directory, one.accused),
    }))
  }

  /** Resolves in any case: nothing that the protocol promises depends on it. */
  async keep(evidence: Evidence): Promise<void> {
    const path = evidencePath(this.#directory, evidence.accused)
    try {
      await mkdir(this.#directory, { recursive: true })
      const file = await open(`${path}.new`, 'w')
      try {
        await file.writeFile(formatEvidence(evidence, this.#genesis))
        await file.sync()
      } finally {
        await file.close()
      }
      await rename(`${path}.new`, path)
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error)
      this.#onNotice(
        `the evidence against replica ${evidence.accused} could not be written to ${path}: ${why}. ` +
          'Make room; a peer that kept it hands it over again at the next start.',
      )
    }
  }
}

async function namesIn(directory: string): Promise<string[]> {
  try {
    return (await readdir(directory)).filter((name) => NAME.test(name)).sort()
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return []
    throw error
  }
}
