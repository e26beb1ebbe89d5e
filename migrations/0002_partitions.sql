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

-- [CP4] What a state transfer has brought so far: whole partitions, and the newest part of the history. Not logged: a
-- new connection begins anew.
create unlogged table staged_ranges (low bigint primary key, high bigint not null);
create unlogged table staged_accounts (like accounts);
create unlogged table staged_customers (like customers);
create unlogged table staged_principals (like principals);
create unlogged table staged_client_table (like client_table);
create unlogged table staged_transfers (like transfers);
create unlogged table staged_chain (like chain);
create index staged_accounts_path on staged_accounts (path);
create index staged_customers_path on staged_customers (path);
create index staged_principals_path on staged_principals (path);
create index staged_client_table_path on staged_client_table (path);
create index staged_transfers_seq on staged_transfers (seq, index);
create index staged_chain_seq on staged_chain (seq);
