import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Genesis, parseGenesis } from '../../protocol/config.ts'
import { sodiumVerifier } from '../../protocol/crypto.ts'
import { describeEvidence } from '../../protocol/evidence.ts'
import { isRefusal, parseEvidence, type Refusal } from '../../protocol/evidence-file.ts'
import type { Evidence } from '../../protocol/messages.ts'
import { bundleOf, clusterPaths } from '../../replica/local-cluster/layout.ts'
import { bundlePaths } from '../../replica/runtime/bundle.ts'
import type { EvidenceOptions } from '../commands/evidence.ts'
import { EXIT, type ExitCode } from '../exit-code.ts'
import { UsageError } from '../failure.ts'

const say = (line: string) => process.stdout.write(`${line}\n`)

export async function verifyEvidence(file: string, options: EvidenceOptions): Promise<ExitCode> {
  const path = options.genesis ?? clusterPaths(options.cluster).genesis
  const genesis = await genesisIn(path)
  const read = parseEvidence(await textOf(file), genesis, sodiumVerifier)
  if (options.json === true) say(JSON.stringify(toJson(read)))
  else if (isRefusal(read)) say(`${file} proves nothing: ${read.refused}`)
  else for (const line of linesOf(read, { genesis, path })) say(line)
  return isRefusal(read) ? EXIT.fail : EXIT.pass
}

export async function listEvidence({ cluster, json = false }: EvidenceOptions): Promise<ExitCode> {
  const genesis = await genesisIn(clusterPaths(cluster).genesis)
  const found: { readonly holder: number; readonly file: string; readonly read: Evidence | Refusal }[] = []
  for (const { id } of genesis.replicas) {
    const { evidence: directory } = bundlePaths(bundleOf(cluster, id))
    for (const name of await jsonFilesIn(directory)) {
      const file = join(directory, name)
      found.push({ holder: id, file, read: parseEvidence(await textOf(file), genesis, sodiumVerifier) })
    }
  }
  if (json) {
    say(JSON.stringify(found.map(({ holder, file, read }) => ({ holder, file, ...toJson(read) }))))
  } else if (found.length === 0) say('no replica keeps evidence against another')
  else for (const { file, read } of found) say(`${file}: ${summaryOf(read)}`)
  return found.some(({ read }) => isRefusal(read)) ? EXIT.fail : EXIT.pass
}

const summaryOf = (read: Evidence | Refusal): string =>
  isRefusal(read)
    ? `proves nothing: ${read.refused}`
    : `replica ${read.accused} signed ${describeEvidence(read)}`

function linesOf(
  evidence: Evidence,
  { genesis, path }: { readonly genesis: Genesis; readonly path: string },
): string[] {
  const { accused, claims } = evidence
  return [
    `the proof holds: replica ${accused} signed ${describeEvidence(evidence)}`,
    `its key is ${genesis.replicas[accused]?.publicKey}, by ${path} of cluster ${genesis.clusterId}`,
    ...claims.map(({ statement: { type, digests } }) => `  ${type} of ${digests.join(', chain ')}`),
  ]
}

const toJson = (read: Evidence | Refusal) =>
  isRefusal(read)
    ? { holds: false, why: read.refused }
    : { holds: true, accused: read.accused, of: describeEvidence(read) }

/** @throws UsageError */
async function genesisIn(path: string): Promise<Genesis> {
  const text = await textOf(path)
  try {
    return parseGenesis({ name: path, text })
  } catch (cause) {
    throw new UsageError(cause instanceof Error ? cause.message : String(cause), { cause })
  }
}

/** @throws UsageError */
async function textOf(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (cause) {
    throw new UsageError(`${path} can't be read: ${cause instanceof Error ? cause.message : cause}`, {
      cause,
    })
  }
}

/** None where nothing was ever kept. */
async function jsonFilesIn(directory: string): Promise<string[]> {
  try {
    return (await readdir(directory)).filter((name) => name.endsWith('.json')).sort()
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return []
    throw error
  }
}
