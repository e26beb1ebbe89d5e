-- [CP2] Where a row is in the partition tree: the first 64 bits of its key's digest, so that the rows of a partition are
-- one range of an index. The program computes it; it never changes, so that updates of the row stay HOT.
-- A database with rows of an older version has no such column, and would be refused here: its digests do not exist.

alter table accounts add column path bigint not null;
alter table customers add column path bigint not null;
alter table principals add column path bigint not null;
alter table client_table add column path bigint not null;
create index accounts_path on accounts (path);
create index customers_path on customers (path);
create index principals_path on principals (path);
create index client_table_path on client_table (path);

-- [CP4] What a state transfer has brought so far: the newest part of the history (rows are written in
-- place, in the transaction that installs them). Not logged: a
-- new connection begins anew.
create unlogged table staged_transfers (like transfers);
create unlogged table staged_chain (like chain);
create index staged_transfers_seq on staged_transfers (seq, index);
create index staged_chain_seq on staged_chain (seq);
