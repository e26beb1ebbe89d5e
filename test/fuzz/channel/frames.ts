import type { Random } from '../../../chaos/sim/random.ts'
import {
  ACK_FRAME_BYTES,
  ACK_RANGE_BYTES,
  FRAGMENT_FRAME_BYTES,
  FRAME_ACK,
  FRAME_CLOSE,
  FRAME_FRAGMENT,
  FRAME_MESSAGE,
  FRAME_PING,
  MESSAGE_FRAME_BYTES,
} from '../../../protocol/channel/wire.ts'

const UINT48_MAX = 2 ** 48 - 1
const UINT32_MAX = 2 ** 32 - 1

/** What a peer with a session may put into a packet: any frames, right, wrong, and cut short. */
export function hostileFrames(random: Random, roomBytes: number): Buffer {
  const one = FRAMES[random.int(0, FRAMES.length - 1)] ?? ping
  // One kind over and over, or all kinds.
  const isMonotone = random.chance(0.3)
  const count = random.pick([1, 1, 2, 5, 100])
  const frames: Buffer[] = random.chance(0.4) ? [acknowledgement(random)] : []
  let bytes = frames[0]?.length ?? 0
  for (let i = 0; i < count; i++) {
    const frame = isMonotone ? one(random) : random.pick(FRAMES)(random)
    if (bytes + frame.length > roomBytes) break
    frames.push(frame)
    bytes += frame.length
  }
  const plain = Buffer.concat(frames)
  if (random.chance(0.02))
    return Buffer.concat([plain, random.pick([unknown, acknowledgement])(random)]).subarray(0, roomBytes)
  if (random.chance(0.03)) return plain.subarray(0, random.int(0, plain.length))
  return random.chance(0.005) ? Buffer.concat([plain, Buffer.of(FRAME_CLOSE)]).subarray(0, roomBytes) : plain
}

const ping = (): Buffer => Buffer.of(FRAME_PING)
const unknown = (random: Random): Buffer => Buffer.of(random.int(6, 255))

const anId = (random: Random): number =>
  random.chance(0.9)
    ? random.int(0, random.pick([64, 2_000, 16_000]))
    : random.pick([16_383, 16_384, random.int(0, 40_000), UINT48_MAX])

function message(random: Random): Buffer {
  const length = random.pick([0, 1, random.int(0, 200), 1_000])
  const frame = Buffer.alloc(MESSAGE_FRAME_BYTES + length)
  frame[0] = FRAME_MESSAGE
  frame.writeUIntBE(anId(random), 1, 6)
  frame.writeUInt16BE(random.chance(0.97) ? length : random.int(0, 65_535), 7)
  return frame
}

function fragment(random: Random): Buffer {
  const fragmentBytes = random.pick([256, 256, 257, 1_000, 1_000, 1_000, 0, 255, 65_535])
  const totalBytes = random.pick([257, 300, 600, 5_000, 40_000, 65_536, 65_536, 0, 1, 65_537, UINT32_MAX])
  const last = Math.max(0, Math.ceil(totalBytes / Math.max(fragmentBytes, 1)) - 1)
  const index = random.pick([0, 1, last, last + 1, random.int(0, 300), UINT32_MAX])
  const length = Math.max(0, Math.min(fragmentBytes, totalBytes - index * fragmentBytes, 1_100))
  const frame = Buffer.alloc(FRAGMENT_FRAME_BYTES + length)
  frame[0] = FRAME_FRAGMENT
  frame.writeUIntBE(anId(random), 1, 6)
  frame.writeUInt32BE(totalBytes, 7)
  frame.writeUInt16BE(fragmentBytes, 11)
  frame.writeUInt32BE(index, 13)
  return frame
}

function acknowledgement(random: Random): Buffer {
  const count = random.pick([0, 0, 0, 0, 1, 5, 31, 32, 255])
  const frame = Buffer.alloc(ACK_FRAME_BYTES + Math.min(count, 31) * ACK_RANGE_BYTES)
  frame[0] = FRAME_ACK
  const largest = random.chance(0.9)
    ? random.int(0, random.pick([8, 50, 500]))
    : random.pick([20_000, UINT48_MAX])
  frame.writeUIntBE(largest, 1, 6)
  frame.writeUInt16BE(random.pick([0, 80, 65_535]), 7)
  frame.writeUInt32BE(random.chance(0.9) ? random.int(0, largest % 20_000) : UINT32_MAX, 9)
  frame[13] = count
  for (let at = ACK_FRAME_BYTES; at < frame.length; at += 4) {
    frame.writeUInt32BE(random.pick([0, 0, 0, 1, random.int(0, 100)]), at)
  }
  return frame
}

const FRAMES: readonly ((random: Random) => Buffer)[] = [ping, message, message, fragment, fragment]
