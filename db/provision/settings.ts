/**
 * Server settings for one replica's database, the same for a process and a container. They are command-line flags,
 * so that a newer version of this package applies its own to a data directory that an older one made.
 */
const SETTINGS: Readonly<Record<string, string>> = {
  // [D4] The transaction at a multiple of K proves everything before it durable, which holds only with both on.
  fsync: 'on',
  full_page_writes: 'on',
  // One writer, a reader, a checkpoint snapshot, a lease per peer [CP3], and a person with psql.
  max_connections: '60',
  shared_buffers: '128MB',
  // Nobody replicates from here: the replicas agree on batches, not on WAL.
  wal_level: 'minimal',
  max_wal_senders: '0',
  // Some minutes at full load between two checkpoints; recovery replays at most this much.
  max_wal_size: '1GB',
  checkpoint_timeout: '10min',
  checkpoint_completion_target: '0.9',
  // The account rows are rewritten all the time: often and little, by one worker, beside a replica on the same cores.
  autovacuum_max_workers: '1',
  autovacuum_naptime: '20s',
  // Statements are short and known; compiling them costs more than running them.
  jit: 'off',
  huge_pages: 'off',
  timezone: 'UTC',
  log_timezone: 'UTC',
  // What is logged is little, and never a statement: it would hold customers' data.
  log_min_error_statement: 'panic',
  log_checkpoints: 'off',
  log_autovacuum_min_duration: '-1',
}

/** As `postgres -c name=value ...`. */
export const serverFlags = (more: Readonly<Record<string, string>> = {}): string[] =>
  Object.entries({ ...SETTINGS, ...more }).flatMap(([name, value]) => ['-c', `${name}=${value}`])
