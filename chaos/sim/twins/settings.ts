import { quorumOf } from '../../../protocol/quorum.ts'
import { type ReplicaId, replicaId } from '../../../protocol/types.ts'
import type { Random } from '../random.ts'
import { numbered, type Partition, type Schedule, seatsOf } from './schedule.ts'

/** What a run has beside its schedule. */
export type Settings = {
  /** Batches that the primary of a scheduled view gets through; what it proposes beyond is lost, and its view ends. */
  readonly batchesPerView: number
  readonly checkpointInterval: number
  readonly inFlightMax: number
  /** Each way of each message takes from 1 to so many milliseconds. */
  readonly latencyMsMax: number
  /** Of different clients, over the whole run. */
  readonly requestCount: number
  /** Per instance, in which order it gets the clients' requests; those left out it hears of from others only. */
  readonly requests: readonly (readonly number[])[]
}

/** More than the scheduled views can order, so that each view has work and ends. */
const countOf = (views: number, batchesPerView: number) => views * batchesPerView + 2

/** One for all: the two instances of a twin begin with different requests, and latency is the same everywhere. */
export function plainSettings(schedule: Schedule): Settings {
  const batchesPerView = 1
  const requestCount = countOf(schedule.views.length, batchesPerView)
  const all = Array.from({ length: requestCount }, (_, index) => index)
  // Neighbours change places.
  const exchanged = all.map((index) => index ^ 1)
  const requests = seatsOf(schedule).map((_, index) => (index < schedule.replicas ? all : exchanged))
  return { batchesPerView, checkpointInterval: 16, inFlightMax: 2, latencyMsMax: 1, requestCount, requests }
}

export function drawSettings(random: Random, schedule: Schedule): Settings {
  const batchesPerView = random.int(1, 3)
  const requestCount = countOf(schedule.views.length, batchesPerView)
  const all = Array.from({ length: requestCount }, (_, index) => index)
  const told = random.pick([0.5, 0.8, 1])
  return {
    batchesPerView,
    checkpointInterval: random.pick([2, 3, 4, 8]),
    inFlightMax: random.int(1, 3),
    latencyMsMax: random.pick([1, 2, 4]),
    requestCount,
    requests: seatsOf(schedule).map(() => random.shuffled(all).filter(() => random.chance(told))),
  }
}

/** Any twins, any partitions; mostly of two or three groups, where quorums are found, and can be split. */
export function drawSchedule(
  random: Random,
  {
    replicas,
    views,
    twins,
  }: { readonly replicas: number; readonly views: number; readonly twins?: number | undefined },
): Schedule {
  const count = twins ?? quorumOf(replicas).f
  const ids = random.shuffled(Array.from({ length: replicas }, (_, id) => replicaId(id)))
  const chosen: ReplicaId[] = ids.slice(0, count).sort((a, b) => a - b)
  return {
    replicas,
    twins: chosen,
    views: Array.from({ length: views }, () => drawPartition(random, replicas + count)),
  }
}

function drawPartition(random: Random, instances: number): Partition {
  const groups = random.pick([1, 2, 2, 2, 2, 3, 3, instances])
  return numbered(Array.from({ length: instances }, () => random.int(1, groups)))
}
