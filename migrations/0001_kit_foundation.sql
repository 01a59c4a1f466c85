-- The house's ground: three schemas, the application's role, the second fence, events and jobs.
create schema data;    -- the tables; the application's role has no right here
create schema fence;   -- one view a tenant table, and the few functions that may see across workspaces
create schema ext;     -- extensions
create extension pg_trgm schema ext;
create extension btree_gin schema ext;
create extension unaccent schema ext;

do $$ begin
    create role supover_app nologin nosuperuser;
exception when duplicate_object then null;
end $$;
grant usage on schema fence, ext to supover_app;
-- Whoever migrates may also become the application's role.
do $$ begin
    if not pg_has_role(current_user, 'supover_app', 'set') then
        execute format('grant supover_app to %I', current_user);
    end if;
end $$;

create function fence.current_workspace() returns uuid
    language sql stable parallel safe
    return nullif(current_setting('app.workspace', true), '')::uuid;

-- unaccent() is only stable because its dictionary could change; ours does not. In plpgsql because a SQL function that
-- cannot be inlined costs four times as much a call.
create function ext.fold(value text) returns text
    language plpgsql immutable parallel safe strict
    as $$ begin return lower(ext.unaccent('ext.unaccent'::regdictionary, value)); end $$;

-- Digits behind the point (ISO 4217); the twin of kit/money.digits, tested against it.
create function fence.currency_digits(currency text) returns integer
    language sql immutable parallel safe
    return case when currency = any('{BIF,CLP,DJF,GNF,ISK,JPY,KMF,KRW,PYG,RWF,UGX,UYI,VND,VUV,XAF,XOF,XPF}') then 0
                when currency = any('{BHD,IQD,JOD,KWD,LYD,OMR,TND}') then 3
                when currency = any('{CLF,UYW}') then 4 else 2 end;

create table data.workspace (
    workspace_id uuid primary key,
    name text not null check (name <> ''),
    currency text not null check (currency ~ '^[A-Z]{3}$'),
    digits smallint not null check (digits between 0 and 4),
    timezone text not null,
    counting_statuses text[] not null,
    created_at timestamptz not null default now(),
    version integer not null default 1
);
comment on table data.workspace is 'A seller. Its currency is fixed after the first order.';

create table data.event_log (
    workspace_id uuid not null,
    tx xid8 not null default pg_current_xact_id(),
    id uuid not null,
    kind text not null,
    at timestamptz not null,
    customer_id uuid,
    order_id uuid,
    actor text not null,
    origin text not null check (origin in ('live', 'import')),
    data jsonb not null,
    primary key (workspace_id, tx, id)
);
comment on table data.event_log is 'append only: facts in the order in which their transactions began; readers stop before the oldest one still running.';
create index event_log_customer on data.event_log (workspace_id, customer_id, at desc, id desc) where customer_id is not null;

create table data.job (
    workspace_id uuid references data.workspace,
    id uuid primary key,
    kind text not null,
    args jsonb not null default '{}',
    state text not null default 'queued' check (state in ('queued', 'running', 'done', 'dead', 'cancelled')),
    singleton text,
    run_at timestamptz not null default now(),
    waiting boolean not null default false,
    attempts integer not null default 0,
    max_attempts integer not null default 5 check (max_attempts > 0),
    lost integer not null default 0,
    cancelling boolean not null default false,
    worker text,
    lease_until timestamptz,
    progress jsonb,
    error text,
    created_at timestamptz not null default now(),
    finished_at timestamptz
) with (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 500);
comment on table data.job is 'Work for later. A null workspace_id is the house''s own housekeeping.';
comment on column data.job.singleton is 'Of one workspace, kind and singleton at most one job is queued and at most one runs.';
comment on column data.job.waiting is 'Queued for later: kept out of the way of what is due, until a worker sees that its time has come.';
comment on column data.job.lost is 'How often its worker was lost while it ran; from the first time on it runs in a process of its own.';
create unique index job_singleton on data.job (kind, singleton, workspace_id) nulls not distinct
    where state = 'queued' and singleton is not null;
create index job_due on data.job (coalesce(workspace_id, '00000000-0000-0000-0000-000000000000'), run_at, id)
    where state = 'queued' and not waiting;
create index job_waiting on data.job (run_at) where state = 'queued' and waiting;
create index job_running on data.job (lease_until) where state = 'running';
create index job_recent on data.job (workspace_id, id);
create index job_open on data.job (workspace_id, state, id) where state <> 'done';

create table data.idempotency (
    workspace_id uuid not null references data.workspace,
    caller text not null,
    key text not null check (length(key) between 1 and 255),
    request_hash bytea not null,
    status smallint,
    headers jsonb,
    body bytea,
    created_at timestamptz not null default now(),
    primary key (workspace_id, caller, key)
);
comment on table data.idempotency is 'Answers to POSTs that carried an Idempotency-Key, kept for 24 hours.';
create index idempotency_age on data.idempotency (workspace_id, created_at);
