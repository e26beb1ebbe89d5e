import { channel } from './channel.ts'
import { core } from './core.ts'
import { decoder } from './decoder.ts'
import type { Target } from './target.ts'

const BY_NAME: ReadonlyMap<string, Target> = new Map([
  ['decoder', decoder],
  ['channel', channel],
  ['core', core],
])

export const TARGETS: readonly string[] = [...BY_NAME.keys()]
export const targetNamed = (name: string): Target | undefined => BY_NAME.get(name)
