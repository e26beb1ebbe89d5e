import { CLIENT_ID_MIN } from '../types.ts'

/** Bounds of what is decoded at all; genesis, the channel and the core set tighter ones. */
export const REQUESTS_MAX = 10_000
export const OPERATIONS_MAX = 10_000
export const REPLICAS_MAX = CLIENT_ID_MIN
export const WINDOW_MAX = 131_072
export const BODY_BYTES_MAX = 16_000_000
export const READ_ACCOUNTS_MAX = 1_000
export const ACCOUNT_CHARACTERS_MAX = 400
export const LANES_MAX = 65_535
export const REPORT_CHARACTERS_MAX = 65_536
export const UINT32_MAX = 2 ** 32 - 1
/** Nodes of one FETCH-PARTITIONS or PARTITIONS, and entries of one HISTORY. */
export const PARTITIONS_MAX = 10_000
export const HISTORY_MAX = 10_000
/** Of one inner node of the partition tree. */
export const CHILDREN_MAX = 16
