-- The replicated tables, and where this replica stands in executing them.
--
-- Rows that are written again and again have room on their page (fillfactor) and no index on what changes, so that
-- an update stays on the page and touches no index (HOT). Digests and results are bytea; account names are compared
-- by byte, as the digests do. Nothing here has a default, a sequence or a clock: every value comes from the ordered
-- operations. `version` is the seq that last changed a row, 0 from genesis.

create table meta (
  one boolean primary key check (one),
  cluster_id bytea not null,
  genesis_digest bytea not null,
  replica integer not null,
  last_executed bigint not null,
  chain bytea not null,
  -- Raised by each process that takes the database over; the writes of the one before it then miss this row.
  epoch bigint not null
) with (fillfactor = 10);

create table accounts (
  id text collate "C" primary key,
  owner bigint,
  balance bigint not null,
  opened bigint not null,
  version bigint not null,
  -- The state machine refuses first: a violation means that the database and the program disagree.
  constraint accounts_not_overdrawn check (balance >= 0 or owner is null)
) with (fillfactor = 70);

create table customers (
  owner bigint primary key,
  name text not null,
  address text,
  version bigint not null
) with (fillfactor = 90);

create table principals (
  id bigint primary key,
  role text not null,
  public_key bytea not null,
  incarnation bigint not null,
  incarnation_view bigint not null,
  version bigint not null
) with (fillfactor = 90);

-- The last real request of a lane, and the lookup above it if there is one.
create table client_table (
  client bigint not null,
  lane integer not null,
  number bigint,
  request_digest bytea,
  result bytea,
  lookup_number bigint,
  lookup_digest bytea,
  version bigint not null,
  primary key (client, lane)
) with (fillfactor = 50);

create table transfers (
  seq bigint not null,
  index integer not null,
  debit text collate "C" not null,
  credit text collate "C" not null,
  amount bigint not null,
  primary key (seq, index)
);
-- An account's history, newest first, is a backward scan of these two.
create index transfers_debit on transfers (debit, seq, index);
create index transfers_credit on transfers (credit, seq, index);

create table chain (
  seq bigint primary key,
  batch_digest bytea not null,
  replies_digest bytea not null,
  transfers_digest bytea not null,
  chain bytea not null
);

-- Undoes the statement that calls it unless `holds`.
create function ledger_require(holds boolean, code text, what text) returns boolean language plpgsql as $$
begin
  if not holds then
    raise exception using errcode = code, message = what;
  end if;
  return true;
end
$$;
