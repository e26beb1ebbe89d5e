import { createReadStream } from 'node:fs'
import { cp, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { bundleOf, clusterPaths } from '../../replica/local-cluster/layout.ts'
import { replicaPaths, runPaths } from './layout.ts'

/** Of a bundle: what a replica said, to its log and to its vote logs, those that it lost or reset included. No key. */
const KEPT = /^(replica\.log|votes(\.(lost|reset)-\d+)?)$/
const MESSAGES = 'messages.jsonl'

/**
 * Copies what a stopped cluster left into the directory of its run, and merges what its replicas wrote of their messages
 * by time. Databases are not files to copy: they are dumped while they run.
 */
export async function collectCluster(
  cluster: string,
  { run, replicas }: { readonly run: string; readonly replicas: readonly number[] },
): Promise<void> {
  const from = clusterPaths(cluster)
  const to = runPaths(run)
  await cp(from.genesis, to.genesis)
  await cp(from.cluster, to.cluster)
  for (const id of replicas) await collectBundle(bundleOf(cluster, id), replicaPaths(run, id).directory)
  const messages = await Promise.all(replicas.map((id) => messagesOf(bundleOf(cluster, id), id)))
  const merged = messages.flat().sort((a, b) => a.atMs - b.atMs)
  await writeFile(to.messages, merged.map(({ line }) => `${line}\n`).join(''))
}

async function collectBundle(bundle: string, directory: string): Promise<void> {
  await mkdir(directory, { recursive: true })
  for (const name of await readdir(bundle)) {
    if (KEPT.test(name)) await cp(join(bundle, name), join(directory, name), { recursive: true })
  }
}

type MessageLine = { readonly atMs: number; readonly line: string }

/** A line that a kill cut short says nothing. */
async function messagesOf(bundle: string, replica: number): Promise<MessageLine[]> {
  if (!(await readdir(bundle)).includes(MESSAGES)) return []
  const lines: MessageLine[] = []
  for await (const text of createInterface({ input: createReadStream(join(bundle, MESSAGES)) })) {
    const parsed = parsedLine(text)
    if (parsed === undefined) continue
    const atMs = 'atMs' in parsed && typeof parsed.atMs === 'number' ? parsed.atMs : 0
    lines.push({ atMs, line: JSON.stringify({ replica, ...parsed }) })
  }
  return lines
}

/** The JSON objects of a replica's log. */
export async function logLinesOf(
  run: string,
  id: number,
): Promise<readonly Readonly<Record<string, unknown>>[]> {
  const text = await readFile(replicaPaths(run, id).log, 'utf8').catch(() => '')
  return text.split('\n').flatMap((line) => {
    const parsed = parsedLine(line)
    return parsed === undefined ? [] : [parsed]
  })
}

function parsedLine(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const parsed: unknown = JSON.parse(text)
    return typeof parsed === 'object' && parsed !== null ? { ...parsed } : undefined
  } catch {
    return undefined
  }
}
