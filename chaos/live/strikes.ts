import type { ReplicaReport } from '../../protocol/inspection.ts'
import { DROPPABLE } from '../../replica/runtime/send-filter.ts'
import type { Fault, Strike } from '../plan/plan.ts'
import type { Random } from '../sim/random.ts'
import type { DatabaseGates } from './database-gates.ts'
import { drawEdit } from './edits.ts'
import type { Link } from './live-network.ts'
import { endpointsOf, linksWith, partitionLinks } from './partitions.ts'
import type { StruckCluster } from './struck-cluster.ts'

/** A fault in force. */
export type Struck = {
  /** What was done, for people. */
  readonly detail: string
  /** Undoes it. Every part is tried; the first failure is thrown. */
  readonly undo: () => Promise<void>
  /** What must be true of its victims, beside being level, before it is over. */
  readonly isOver?: (reports: ReadonlyMap<number, ReplicaReport>) => boolean
}

export type StrikeContext = {
  readonly cluster: StruckCluster
  readonly gates: DatabaseGates
  readonly random: Random
  readonly victims: readonly number[]
  /** Of a link's other ends; undefined: everybody's. */
  readonly others: readonly number[] | undefined
}

const nothing = async () => undefined
type Of<K extends Strike['kind']> = Extract<Strike, { kind: K }>

/** Does what the fault says, to these victims. Those that take several turns (crash loops, restarts in turn) are not here. */
export async function strike({ strike: what }: Fault, context: StrikeContext): Promise<Struck> {
  switch (what.kind) {
    case 'ProcessChaos':
      return strikeProcess(what, context)
    case 'NetworkChaos':
      return strikeNetwork(what, context)
    case 'MessageChaos':
      return strikeMessages(what, context)
    case 'ByzantineChaos':
      return strikeByzantine(what, context)
    case 'DatabaseChaos':
      return strikeDatabase(what, context)
    case 'StorageChaos':
      return strikeStorage(what, context)
    case 'TimeChaos':
      return strikeClock(what, context)
  }
}

async function strikeProcess(
  { action }: Of<'ProcessChaos'>,
  { cluster, victims }: StrikeContext,
): Promise<Struck> {
  const undo = () => startAll(cluster, victims)
  switch (action) {
    case 'pause':
      for (const id of victims) cluster.pause(id)
      return {
        detail: 'stands still',
        undo: async () => {
          for (const id of victims) cluster.resume(id)
        },
      }
    case 'terminate':
      await all(victims, (id) => cluster.terminate(id))
      return { detail: 'told to end', undo }
    case 'power-loss':
      await cluster.losePower(victims)
      return { detail: 'lost power', undo }
    case 'kill':
    case 'crash-loop':
    case 'rolling-restart':
    case 'restart-all':
      await all(victims, (id) => cluster.kill(id))
      return { detail: 'killed', undo }
  }
}

/** Those that do not run. @throws ReplicaStartError */
export const startAll = (cluster: StruckCluster, ids: readonly number[]): Promise<void> =>
  all(
    ids.filter((id) => !cluster.running.includes(id)),
    (id) => cluster.startReplica(id),
  )

async function all(ids: readonly number[], work: (id: number) => Promise<unknown>): Promise<void> {
  const done = await Promise.allSettled(ids.map(work))
  for (const one of done) if (one.status === 'rejected') throw one.reason
}

async function strikeNetwork(what: Of<'NetworkChaos'>, context: StrikeContext): Promise<Struck> {
  const { cluster, victims, others } = context
  if (what.action === 'partition') {
    const links = partitionLinks(what.shape, {
      ...context,
      replicas: cluster.replicas,
      victim: victims[0] ?? 0,
      direction: what.direction,
    })
    const mend = cluster.network.add(links, { cut: true })
    return {
      detail: `${what.shape}, ${links.length} links cut (${what.direction})`,
      undo: async () => mend(),
    }
  }
  const ends = others ?? endpointsOf(cluster.replicas)
  const links = distinct(
    victims.flatMap((id) => linksWith(id, ends, what.action === 'flap' ? 'both' : what.direction)),
  )
  if (what.action === 'flap') return flap(cluster, links, what.periodMs)
  const undo = cluster.network.add(links, what.rule)
  return { detail: `${links.length} links: ${JSON.stringify(what.rule)}`, undo: async () => undo() }
}

const distinct = (links: readonly Link[]): Link[] => [
  ...new Map(links.map((link) => [`${link.from} ${link.to}`, link])).values(),
]

function flap(cluster: StruckCluster, links: readonly Link[], periodMs: number): Struck {
  let mend: (() => void) | undefined = cluster.network.add(links, { cut: true })
  const timer = setInterval(() => {
    mend?.()
    mend = mend === undefined ? cluster.network.add(links, { cut: true }) : undefined
  }, periodMs / 2)
  const undo = async () => {
    clearInterval(timer)
    mend?.()
  }
  return { detail: `${links.length} links come and go, ${periodMs} ms`, undo }
}

async function strikeMessages(
  { messages, probability, to }: Of<'MessageChaos'>,
  { cluster, victims }: StrikeContext,
): Promise<Struck> {
  const types = DROPPABLE.filter((type) => messages.includes(type))
  const drop = types.map((type) => ({ type, probability, ...(to === null ? {} : { to: [...to] }) }))
  await all(victims, (id) => cluster.control(id, { kind: 'send-filter', drop }))
  const undo = () =>
    all(stillUp(cluster, victims), (id) => cluster.control(id, { kind: 'send-filter', drop: [] }))
  return { detail: `drops ${types.join(', ')}${probability < 1 ? ` (${100 * probability} %)` : ''}`, undo }
}

async function strikeByzantine(
  { behaviours }: Of<'ByzantineChaos'>,
  { cluster, victims }: StrikeContext,
): Promise<Struck> {
  await all(victims, (id) => cluster.control(id, { kind: 'byzantine', behaviours }))
  const undo = () =>
    all(stillUp(cluster, victims), (id) => cluster.control(id, { kind: 'byzantine', behaviours: '' }))
  return { detail: `lies: ${behaviours}`, undo }
}

/** A process that was started anew is without what was played on the one before it. */
const stillUp = (cluster: StruckCluster, ids: readonly number[]): number[] =>
  ids.filter((id) => cluster.running.includes(id))

async function strikeDatabase(what: Of<'DatabaseChaos'>, context: StrikeContext): Promise<Struck> {
  const { cluster, gates, victims } = context
  const databases = victims.map((id) => cluster.database(id))
  const held = (hold: Parameters<DatabaseGates['hold']>[1]) => {
    const release = victims.map((id) => gates.hold(id, hold))
    return async () => {
      for (const one of release) one()
    }
  }
  switch (what.action) {
    case 'slow':
      return {
        detail: `answers ${what.latencyMs} ms later`,
        undo: held({ kind: 'slow', ms: what.latencyMs }),
      }
    case 'cut':
      for (const database of databases) database.cut()
      return { detail: 'connections cut', undo: nothing }
    case 'refuse':
      return { detail: 'refuses connections', undo: held({ kind: 'refuse' }) }
    case 'kill':
      await Promise.all(databases.map((database) => database.killServer()))
      return { detail: 'server killed', undo: nothing }
    case 'pause':
      await Promise.all(databases.map((database) => database.pauseServer()))
      return {
        detail: 'server stands still',
        undo: async () => void (await Promise.all(databases.map((database) => database.resumeServer()))),
      }
    case 'edit':
      return editRows(what.sql, context)
  }
}

/** Over when the replica has found and repaired it. */
async function editRows(sql: string | null, { cluster, victims, random }: StrikeContext): Promise<Struck> {
  const before = new Map([...(await cluster.reports())].map(([id, report]) => [id, repairedRows(report)]))
  const edit = sql === null ? drawEdit(random) : { sql, what: sql }
  for (const id of victims) await cluster.database(id).query(edit.sql)
  const isOver = (reports: ReadonlyMap<number, ReplicaReport>) =>
    victims.every((id) => {
      const report = reports.get(id)
      return report !== undefined && repairedRows(report) > (before.get(id) ?? 0)
    })
  return { detail: edit.what, undo: nothing, ...(sql === null ? { isOver } : {}) }
}

const repairedRows = ({ counters }: ReplicaReport): number => counters['repaired-rows'] ?? 0

async function strikeStorage(
  { action }: Of<'StorageChaos'>,
  { cluster, victims }: StrikeContext,
): Promise<Struck> {
  await all(victims, (id) => cluster.kill(id))
  for (const id of victims) {
    if (action !== 'wipe-database') await cluster.wipeVotes(id)
    if (action !== 'wipe-votes') await cluster.wipeDatabase(id)
  }
  const lost = { 'wipe-votes': 'vote log', 'wipe-database': 'database', 'wipe-both': 'vote log and database' }
  return { detail: `killed, lost its ${lost[action]}`, undo: () => startAll(cluster, victims) }
}

async function strikeClock(what: Of<'TimeChaos'>, { cluster, victims }: StrikeContext): Promise<Struck> {
  if (what.action === 'jump') {
    await all(victims, (id) => cluster.control(id, { kind: 'clock', jumpMs: what.offsetMs }))
    return { detail: `clock jumps ${what.offsetMs} ms ahead`, undo: nothing }
  }
  await all(victims, (id) => cluster.control(id, { kind: 'clock', rate: what.rate }))
  const undo = () => all(stillUp(cluster, victims), (id) => cluster.control(id, { kind: 'clock', rate: 1 }))
  return { detail: `clock at ${what.rate} of its rate`, undo }
}
