import * as v from 'valibot'
import { type Disguise, HONEST_CLUSTER } from './adversary.ts'
import { CLOCK_JUMP_MS_MAX, CLOCK_RATE_MAX, CLOCK_RATE_MIN, ControlledClock } from './clock.ts'
import { DROPPABLE, SendFilter } from './send-filter.ts'

const between = (min: number, max: number) => v.pipe(v.number(), v.minValue(min), v.maxValue(max))

const commandSchema = v.variant('kind', [
  v.strictObject({
    kind: v.literal('clock'),
    /** How fast from now on; the clock stays where it is when it is absent. */
    rate: v.optional(between(CLOCK_RATE_MIN, CLOCK_RATE_MAX)),
    /** Forward only. */
    jumpMs: v.optional(between(0, CLOCK_JUMP_MS_MAX)),
  }),
  v.strictObject({
    kind: v.literal('send-filter'),
    /** In place of what was dropped before; none: everything is sent. */
    drop: v.pipe(
      v.array(
        v.strictObject({
          type: v.picklist(DROPPABLE),
          probability: between(0, 1),
          /** Principals; absent: all. */
          to: v.optional(v.array(v.pipe(v.number(), v.integer(), v.minValue(0)))),
        }),
      ),
      v.maxLength(1_000),
    ),
  }),
  v.strictObject({
    kind: v.literal('byzantine'),
    /** What it does from now on, in place of what it did; empty: it is honest again. */
    behaviours: v.pipe(v.string(), v.maxLength(1_000)),
  }),
])

/** What a chaos run asks of a replica's own process. */
export type ControlCommand = v.InferInput<typeof commandSchema>

/** What it answers: an error says why nothing was changed. */
export type ControlAnswer = { readonly done: true } | { readonly error: string }

/** The faults that a replica plays on itself when it was started with `--control`. */
export class Controls {
  readonly clock = new ControlledClock()
  readonly sends = new SendFilter()

  /** One line, one command. `allowByzantine` as genesis has it. Never throws: what comes in may be anything. */
  perform(
    line: string,
    { allowByzantine, disguise }: { readonly allowByzantine: boolean; readonly disguise: Disguise },
  ): ControlAnswer {
    const parsed = v.safeParse(commandSchema, jsonOf(line))
    if (!parsed.success) {
      const [issue] = parsed.issues
      return { error: `control: ${v.getDotPath(issue) ?? '(top level)'}: ${issue.message}` }
    }
    const command = parsed.output
    switch (command.kind) {
      case 'clock':
        if (command.rate !== undefined) this.clock.setRate(command.rate)
        if (command.jumpMs !== undefined) this.clock.jump(command.jumpMs)
        return { done: true }
      case 'send-filter':
        if (!allowByzantine) {
          return { error: `control: send-filter: ${HONEST_CLUSTER}` }
        }
        this.sends.drop(command.drop)
        return { done: true }
      case 'byzantine':
        return worn(disguise, command.behaviours)
    }
  }
}

function worn(disguise: Disguise, behaviours: string): ControlAnswer {
  try {
    disguise.wear(behaviours)
    return { done: true }
  } catch (error) {
    return { error: `control: ${error instanceof Error ? error.message : String(error)}` }
  }
}

/** Undefined, which no schema takes, for what is no JSON. */
function jsonOf(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch {
    return undefined
  }
}
