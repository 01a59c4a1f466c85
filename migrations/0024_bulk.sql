-- Bulk actions: what was asked for, of whom, and what became of it. Who is meant is fixed when an action begins.
create table data.bulk_action (
    workspace_id uuid not null references data.workspace,
    id uuid not null,
    action text not null check (action in ('tag', 'untag', 'status', 'block', 'unblock', 'customField', 'delete', 'restore')),
    deed jsonb not null,
    selection jsonb not null,
    dry_run boolean not null default false,
    on_error text not null check (on_error in ('rejectAll', 'rejectFailed')),
    status text not null check (status in ('queued', 'running', 'completed', 'completed_with_errors', 'failed', 'cancelled', 'undoing', 'undone')),
    total integer not null default 0,
    is_checked boolean not null,
    next_chunk integer not null default 0,
    done integer not null default 0,
    changed integer not null default 0,
    unchanged integer not null default 0,
    failed integer not null default 0,
    undone integer not null default 0,
    kept integer not null default 0,
    error text,
    actor text not null,
    actor_name text not null,
    created_at timestamptz not null default now(),
    started_at timestamptz,
    ended_at timestamptz,
    primary key (workspace_id, id)
);
comment on column data.bulk_action.deed is 'What is done to each: the tags, the status, or the key and the value.';
comment on column data.bulk_action.is_checked is 'Whether customers are changed now: false while all of them are looked at first, as rejectAll asks.';
comment on column data.bulk_action.next_chunk is 'The checkpoint: chunks before this one are settled, committed with them.';

create table data.bulk_chunk (
    workspace_id uuid not null,
    bulk_id uuid not null,
    number integer not null,
    first_id uuid not null,
    customer_ids uuid[] not null,
    primary key (workspace_id, bulk_id, number),
    foreign key (workspace_id, bulk_id) references data.bulk_action on delete cascade
);
comment on table data.bulk_chunk is 'Who is meant: so many ids at a time, in their order. They may be of nobody: it is as they were asked for.';
create index bulk_chunk_first on data.bulk_chunk (workspace_id, bulk_id, first_id);

create table data.bulk_result (
    workspace_id uuid not null,
    bulk_id uuid not null,
    customer_id uuid not null,
    outcome text not null check (outcome in ('unchanged', 'failed')),
    field text,
    code text,
    message text,
    primary key (workspace_id, bulk_id, customer_id),
    foreign key (workspace_id, bulk_id) references data.bulk_action on delete cascade
);
comment on table data.bulk_result is 'Who was not changed, and why. Of those who are settled, all others were.';
create index bulk_result_outcome on data.bulk_result (workspace_id, bulk_id, outcome, customer_id);
