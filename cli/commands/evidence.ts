import type { Command } from 'commander'
import { examples } from '../arguments.ts'
import { listEvidence, verifyEvidence } from '../evidence/evidence.ts'
import type { ExitCode } from '../exit-code.ts'
import { DEFAULT_CLUSTER } from '../invocation.ts'

export type EvidenceOptions = {
  readonly cluster: string
  readonly genesis?: string
  readonly json?: boolean
}

export function define(command: Command, exit: (code: ExitCode) => void): void {
  command
    .command('verify')
    .description('say whether a file proves that a replica contradicted itself; nothing has to run')
    .argument('<file>', "evidence, as a replica keeps it in its bundle's directory evidence")
    .option('--cluster <directory>', 'a directory with the genesis.json of the cluster', DEFAULT_CLUSTER)
    .option('--genesis <file>', 'the same, by the file')
    .option('--json', 'print one JSON document')
    .addHelpText(
      'after',
      `${examples(
        'pbft evidence verify .run/cluster/replica-0/evidence/replica-2.json',
        'pbft evidence verify replica-2.json --genesis genesis.json',
      )}\n${EXPLANATION}`,
    )
    .action(async (file: string, options: EvidenceOptions) => exit(await verifyEvidence(file, options)))
  command
    .command('list')
    .description('verify all that the replicas of a cluster keep, where their bundles are on this machine')
    .option('--cluster <directory>', "the cluster's directory", DEFAULT_CLUSTER)
    .option('--json', 'print one JSON document')
    .addHelpText('after', examples('pbft evidence list', 'pbft evidence list --cluster bank --json'))
    .action(async (options: EvidenceOptions) => exit(await listEvidence(options)))
}

const EXPLANATION = `
Evidence is two statements, signed by one replica, that no correct one signs both: two batches at one place of the
order, or two states at one sequence number. The signatures are verified with the key that genesis names, whatever key
the file brings. It accuses; what to do about it is the operator's (docs/operations.md).

Exit codes: 0 the proof holds, 1 it does not, 2 the file or genesis can't be read.`
