import type { CommandModule } from './program.ts'

export type CommandEntry = {
  readonly name: string
  readonly summary: string
  /** It starts clusters, or judges them: it says first what runs that were killed have left on this machine. */
  readonly namesLeftovers?: boolean
  readonly load: () => Promise<CommandModule>
}

/** In the order in which a newcomer meets them. */
export const COMMANDS: readonly CommandEntry[] = [
  {
    name: 'demo',
    summary: 'show it all in under 20 s: order, kill a replica under load, catch up, compare databases',
    namesLeftovers: true,
    load: () => import('./commands/demo.ts'),
  },
  {
    name: 'up',
    summary: 'run a cluster on this machine, in the foreground',
    load: () => import('./commands/up.ts'),
  },
  {
    name: 'client',
    summary: 'bank from the command line, a script or a prompt',
    load: () => import('./commands/client.ts'),
  },
  {
    name: 'status',
    summary: 'say of each replica whether it is up, and how far it is',
    load: () => import('./commands/status.ts'),
  },
  {
    name: 'check',
    summary: 'judge vote logs, databases and histories: signatures, order, every row, every answer',
    namesLeftovers: true,
    load: () => import('./commands/check.ts'),
  },
  {
    name: 'evidence',
    summary: 'verify proof that a replica contradicted itself',
    load: () => import('./commands/evidence.ts'),
  },
  {
    name: 'bench',
    summary: 'measure throughput, latency and CPU',
    namesLeftovers: true,
    load: () => import('./commands/bench.ts'),
  },
  {
    name: 'chaos',
    summary: 'run a cluster under load and faults, and judge it',
    namesLeftovers: true,
    load: () => import('./commands/chaos.ts'),
  },
  {
    name: 'scenario',
    summary: 'play a file of transactions, replicas that are down, and replicas that lie',
    namesLeftovers: true,
    load: () => import('./commands/scenario.ts'),
  },
  {
    name: 'experiment',
    summary: 'measure by iteration count as the paper does, and by number of malicious replicas',
    namesLeftovers: true,
    load: () => import('./commands/experiment.ts'),
  },
  {
    name: 'clean',
    summary: 'end and remove what a command that was killed left behind',
    load: () => import('./commands/clean.ts'),
  },
  {
    name: 'simulate',
    summary: 'run simulated clusters with faults; a seed replays a run',
    load: () => import('./commands/simulate.ts'),
  },
  {
    name: 'twins',
    summary: 'run one identity twice, under every partition of few views or many drawn ones',
    load: () => import('./commands/twins.ts'),
  },
  {
    name: 'init',
    summary: 'make keys, genesis and one bundle per host',
    load: () => import('./commands/init.ts'),
  },
  {
    name: 'replica',
    summary: 'run one replica from its bundle, as on its own host',
    load: () => import('./commands/replica.ts'),
  },
  {
    name: 'reset-votes',
    summary: 'let a cluster begin again that lost more vote logs than it can make good',
    load: () => import('./commands/reset-votes.ts'),
  },
]
