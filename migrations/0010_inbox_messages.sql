-- What channels send us, byte for byte, until it is worked off and for some weeks after.
create table data.inbox_message (
    workspace_id uuid not null,
    id uuid not null,
    connection_id uuid not null,
    topic text not null,
    delivery_id text not null,
    event_id text,
    api_version text,
    triggered_at timestamptz,
    body bytea,
    body_hash bytea not null,
    size integer not null,
    status text not null default 'pending' check (status in ('pending', 'applied', 'ignored', 'dead')),
    attempts integer not null default 0,
    due_at timestamptz not null default now(),
    waits_for text,
    reason text,
    order_id uuid,
    customer_id uuid,
    received_at timestamptz not null default now(),
    settled_at timestamptz,
    primary key (workspace_id, id),
    foreign key (workspace_id, connection_id) references data.channel_connection,
    check (body is not null or status <> 'pending')
) with (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);
comment on column data.inbox_message.delivery_id is 'The channel''s own; where it has none, a hash of topic and body.';
comment on column data.inbox_message.body_hash is 'SHA-256; it stays when the body is forgotten.';
comment on column data.inbox_message.attempts is 'Counted and committed before the work, so that a message which ends its worker is set aside too.';
comment on column data.inbox_message.waits_for is 'The external id of the order that a refund came before.';
-- The same delivery again, and the same event by another delivery, are the same message. One event may have several topics.
-- The ids are not signed, only the body is: another body under a known id is another message.
create unique index inbox_message_delivery on data.inbox_message (workspace_id, connection_id, topic, delivery_id, body_hash);
create unique index inbox_message_event on data.inbox_message (workspace_id, connection_id, topic, event_id, body_hash)
    where event_id is not null;
create index inbox_message_due on data.inbox_message (workspace_id, due_at, id) where status = 'pending';
create index inbox_message_waiting on data.inbox_message (workspace_id, connection_id, waits_for) where waits_for is not null;
create index inbox_message_aside on data.inbox_message (workspace_id, status, id) where status in ('dead', 'ignored');
create index inbox_message_body on data.inbox_message (workspace_id, id) where body is not null and status in ('applied', 'ignored');

-- Bodies are JSON of a few KiB, and the default compression takes longer than all else that keeping one does.
do $$ begin
    alter table data.inbox_message alter column body set compression lz4;
exception when feature_not_supported then null;
end $$;
