-- Channels that are connected, and what a channel last said of its customers.
create table data.channel_connection (
    workspace_id uuid not null references data.workspace,
    id uuid not null,
    platform text not null,
    shop text not null,
    name text not null check (name <> ''),
    secret bytea,
    former_secret bytea,
    former_secret_until timestamptz,
    last_received_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    disconnected_at timestamptz,
    version integer not null default 1,
    primary key (workspace_id, id),
    check ((secret is null) = (disconnected_at is not null))
);
comment on column data.channel_connection.secret is 'Sealed. The former one is accepted too until its time is over; a disconnected connection has none.';
create unique index channel_connection_living on data.channel_connection (workspace_id, platform, shop) where disconnected_at is null;
create index channel_connection_id on data.channel_connection (id);

create table data.customer_told (
    workspace_id uuid not null,
    source text not null,
    shop text not null,
    external_id text not null,
    source_updated_at timestamptz,
    profile jsonb not null,
    primary key (workspace_id, source, shop, external_id)
);
comment on table data.customer_told is 'What a channel last said of its customer: a field that still says it is the channel''s to change, another is ours.';
