import type { Command } from 'commander'
import type { ExitCode } from '../exit-code.ts'
export function define(_command: Command, _exit: (code: ExitCode) => void): void {}
