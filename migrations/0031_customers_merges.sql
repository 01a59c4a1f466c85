-- Merges: what was made one, and every row that was moved, removed or changed for it, so that it can be undone.
create table data.customer_merge (
    workspace_id uuid not null references data.workspace,
    id uuid not null,
    primary_id uuid not null,
    duplicate_ids uuid[] not null check (cardinality(duplicate_ids) > 0),
    fields jsonb not null default '{}',
    moved jsonb not null default '{}',
    joined jsonb not null default '{}',
    actor text not null,
    actor_name text not null,
    merged_at timestamptz not null default now(),
    primary_created_at timestamptz not null,
    undone_at timestamptz,
    undone_by text,
    undone_by_name text,
    put_back jsonb not null default '{}',
    kept jsonb not null default '[]',
    kept_count integer not null default 0,
    forgotten_at timestamptz,
    primary key (workspace_id, id)
);
comment on table data.customer_merge is 'Customers who were made one. It names them for ever, also those who are no more.';
comment on column data.customer_merge.fields is 'Which customer each field of the profile was taken from: name → id, or null where the value was told.';
comment on column data.customer_merge.primary_created_at is 'Since when the survivor itself was known: it has the earliest of all since.';
comment on column data.customer_merge.kept is 'Once undone: what could not be put back, and why; the first thousand of them.';
comment on column data.customer_merge.forgotten_at is 'Since then its rows are gone, and it cannot be undone.';
create index customer_merge_primary on data.customer_merge (workspace_id, primary_id, id desc);
create index customer_merge_duplicates on data.customer_merge using gin (workspace_id, duplicate_ids);
create index customer_merge_unforgotten on data.customer_merge (workspace_id, id) where forgotten_at is null;

create table data.customer_merge_row (
    workspace_id uuid not null,
    merge_id uuid not null,
    kind text not null,
    former_id uuid not null,
    row_id uuid not null,
    deed text not null check (deed in ('moved', 'removed', 'changed', 'added')),
    before jsonb,
    stayed text,
    primary key (workspace_id, merge_id, kind, former_id, row_id),
    foreign key (workspace_id, merge_id) references data.customer_merge on delete cascade
);
comment on table data.customer_merge_row is 'What a merge did, a row each, as long as it can be undone.';
comment on column data.customer_merge_row.kind is 'The table, or what of it.';
comment on column data.customer_merge_row.former_id is 'The customer whose it was.';
comment on column data.customer_merge_row.before is 'Of a removed row all of it, of a changed one what was changed.';
comment on column data.customer_merge_row.stayed is 'While it is being undone: why this could not be put back.';
