-- Duplicates: what of each customer is compared, the scans that compare, and what they say of two.

-- Filled by the hundred thousand, from customers who are there: no foreign keys, and no log, for a crash loses nothing that the
-- next scan does not make anew.
create unlogged table data.duplicate_profile (
    workspace_id uuid not null,
    customer_id uuid not null,
    source_hash bigint not null,
    profile text not null,
    terms text[] not null,
    blocks bigint[] not null,
    scan_id uuid not null,
    primary key (workspace_id, customer_id)
);
comment on table data.duplicate_profile is 'A customer as others are compared with: brought to one form by the last scan that found them changed.';
comment on column data.duplicate_profile.source_hash is 'Of what the profile was made of; another one means that it is to be made anew.';
comment on column data.duplicate_profile.terms is 'The values whose frequency matters.';
comment on column data.duplicate_profile.blocks is 'Hashes of the keys of the blocking rules: who shares one is compared.';
comment on column data.duplicate_profile.scan_id is 'The scan that made it: as long as none was completed since, it is to be compared.';

create unlogged table data.duplicate_term (
    workspace_id uuid not null,
    term text not null,
    customers integer not null,
    primary key (workspace_id, term)
);
comment on table data.duplicate_term is 'How many customers have a value, of those that more than two have.';

create table data.duplicate_scan (
    workspace_id uuid not null references data.workspace,
    id uuid not null,
    is_full boolean not null,
    status text not null default 'queued' check (status in ('queued', 'running', 'completed', 'failed', 'cancelled')),
    phase text not null default 'waiting',
    customers bigint not null default 0,
    changed bigint not null default 0,
    compared bigint not null default 0,
    automatic bigint not null default 0,
    suggested bigint not null default 0,
    review bigint not null default 0,
    clusters bigint not null default 0,
    error text,
    job_id uuid,
    actor text not null,
    actor_name text not null,
    created_at timestamptz not null default now(),
    started_at timestamptz,
    finished_at timestamptz,
    primary key (workspace_id, id)
);
comment on column data.duplicate_scan.changed is 'Customers who were new or others since the scan before; all of them in a full scan.';
comment on column data.duplicate_scan.compared is 'Pairs that share a key of some blocking rule.';
create index duplicate_scan_open on data.duplicate_scan (workspace_id, id) where status <> 'completed';

create table data.duplicate_setting (
    workspace_id uuid primary key references data.workspace,
    automatic_merging boolean not null,
    nightly_scan boolean not null,
    updated_at timestamptz not null default now(),
    version integer not null default 1
);
comment on table data.duplicate_setting is 'What a workspace said about its duplicates; without a row nothing is merged by itself, and a scan runs every night.';

-- Scans write pairs by the hundred thousand, and CustomersRemoved takes them away.
alter table data.duplicate_pair
    drop constraint duplicate_pair_workspace_id_a_id_fkey,
    drop constraint duplicate_pair_workspace_id_b_id_fkey,
    add column evidence jsonb not null default '[]',
    add column own_level text check (own_level in ('automatic', 'suggested', 'review', 'implied')),
    add column is_told boolean not null default false,
    add column cluster_id uuid,
    add column scan_id uuid,
    add column note text,
    add column merge_id uuid,
    add column decided_at timestamptz,
    add column decided_by text,
    add column decided_by_name text,
    add column updated_at timestamptz not null default now(),
    add column version integer not null default 1;
comment on column data.duplicate_pair.evidence is 'What each field says, in bits: [{field, words, bits}].';
comment on column data.duplicate_pair.own_level is 'What the two say by themselves, where level is what is left of it in their group; implied: only others say it.';
comment on column data.duplicate_pair.is_told is 'Somebody said of the one what belongs to the other: no scan takes it away.';
comment on column data.duplicate_pair.cluster_id is 'The oldest customer of the group that both are in; null while no scan has put them into one.';
create index duplicate_pair_group on data.duplicate_pair (workspace_id, cluster_id, id) where cluster_id is not null and status = 'open';
create index duplicate_pair_decided on data.duplicate_pair (workspace_id, status, score desc, id desc) where status <> 'open';
create index duplicate_pair_level on data.duplicate_pair (workspace_id, level, score desc, id desc) where status = 'open';
create index duplicate_pair_merge on data.duplicate_pair (workspace_id, merge_id) where merge_id is not null;
