import { Random } from '../../chaos/sim/random.ts'
import { hostileMessage } from './core/hostile.ts'
import { World } from './core/world.ts'
import type { Target } from './target.ts'

/** Requests that go through before anybody lies: every kind of message was said, and a checkpoint is stable. */
const WARM_UP_REQUESTS = 24
const PHASE_INPUTS = 250

/**
 * Decoded messages of one lying replica, and of clients in league with it, at every correct core of a cluster that
 * works, changes views and transfers state meanwhile.
 */
export const core: Target = {
  inputsPerRound: 4_000,
  round({ seed, inputs, tally }) {
    const random = new Random(seed)
    const world = new World(random)
    for (let request = 0; request < WARM_UP_REQUESTS; request++) {
      world.request()
      world.deliver(1_000)
      world.elapse(20)
    }
    for (let input = 0; input < inputs; ) {
      if (input % PHASE_INPUTS === 0) changePhase(world, random)
      const said = hostileMessage(world, random)
      if (said === undefined) {
        tally.count('did not decode')
        continue
      }
      input += 1
      tally.count(said.message.type)
      random.pick(world.correct).dispatch({ type: 'message', ...said })
      live(world, random)
    }
    world.isMuted = random.chance(0.5)
    world.expectLive()
    for (const { position } of world.correct) {
      tally.count('views entered', position.view)
      tally.count('batches executed', position.lastExecuted)
    }
  },
}

/** What the cluster does of its own between two inputs. */
function live(world: World, random: Random): void {
  // While one is cut off, so much that only a state brings it back.
  if (random.chance(world.cutOff === null ? 0.05 : 0.3)) world.request()
  if (random.chance(0.6)) world.deliver(random.int(1, 12))
  if (random.chance(0.1)) world.elapse(random.pick([1, 10, 50, 200]))
}

function changePhase(world: World, random: Random): void {
  world.isMuted = random.chance(0.3)
  if (world.cutOff !== null) world.heal()
  else if (random.chance(0.3)) world.cutOff = random.pick(world.correct).id
}
