create table data.import_run (
    workspace_id uuid not null references data.workspace,
    id uuid not null,
    kind text not null check (kind in ('orders', 'customers', 'rates')),
    status text not null check (status in ('queued', 'running', 'completed', 'completed_with_errors', 'failed', 'cancelled', 'reverted')),
    file_name text not null,
    file_hash bytea not null,
    file_key text,
    options jsonb not null,
    total integer,
    done integer not null default 0,
    rows_read bigint not null default 0,
    created integer not null default 0,
    updated integer not null default 0,
    unchanged integer not null default 0,
    failed integer not null default 0,
    customers_created integer not null default 0,
    error text,
    actor text not null,
    created_at timestamptz not null default now(),
    started_at timestamptz,
    finished_at timestamptz,
    primary key (workspace_id, id)
);
comment on column data.import_run.rows_read is 'The checkpoint: rows of the file that are settled, committed with them.';
create index import_run_file on data.import_run (workspace_id, kind, file_hash);

create table data.import_error (
    workspace_id uuid not null,
    import_id uuid not null,
    row_number bigint not null,
    field text,
    code text not null,
    message text not null,
    cells text[] not null,
    primary key (workspace_id, import_id, row_number),
    foreign key (workspace_id, import_id) references data.import_run on delete cascade
);
