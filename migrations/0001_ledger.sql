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
  -- Its history's head: how many transfers, and where the newest is (see transfers).
  entries bigint not null,
  newest bigint not null,
  -- The state machine refuses first: a violation means that the database and the program disagree.
  constraint accounts_not_overdrawn check (balance >= 0 or owner is null)
  -- Of genesis rows; raised behind them (GENESIS_WRITTEN in takeover.ts), which is why they have so much room.
) with (fillfactor = 30);

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

-- The last real request of a lane, and the lookup above it if there is one. Results that fit stay on the page as they
-- are: compressing those of a large request would cost more than the rest of its row.
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
) with (fillfactor = 50, toast_tuple_target = 8160);

-- Each row is an entry in two histories, the debited account's and the credited one's: its number there, from 1, and
-- where the entry before it is, as seq * 2^20 + index; 0 when it is the first. A history is read down these links from
-- `accounts.newest`. Two full indexes would do the same, and were half the cost of an insert.
create table transfers (
  seq bigint not null,
  index integer not null,
  debit text collate "C" not null,
  credit text collate "C" not null,
  amount bigint not null,
  debit_entry bigint not null,
  debit_previous bigint not null,
  credit_entry bigint not null,
  credit_previous bigint not null,
  primary key (seq, index)
);
-- Where to start for an older page: every 32nd entry of an account.
create index transfers_debit on transfers (debit, seq, index) where debit_entry % 32 = 0;
create index transfers_credit on transfers (credit, seq, index) where credit_entry % 32 = 0;

create table chain (
  seq bigint primary key,
  batch_digest bytea not null,
  replies_digest bytea not null,
  transfers_digest bytea not null,
  chain bytea not null
);

-- What a run does to a row that was there: its new content, and the content that it must have had.
create type account_change as (
  id text collate "C",
  balance bigint,
  version bigint,
  entries bigint,
  newest bigint,
  expected_balance bigint,
  expected_version bigint
);
create type lane_change as (
  client bigint,
  lane integer,
  number bigint,
  request_digest bytea,
  result bytea,
  lookup_number bigint,
  lookup_digest bytea,
  version bigint,
  expected_version bigint
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
