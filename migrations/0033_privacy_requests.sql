-- Requests of privacy, what they have left, and for how long things are kept.
create table data.privacy_request (
    workspace_id uuid not null references data.workspace,
    id uuid not null,
    kind text not null check (kind in ('export', 'erase', 'erase_shop')),
    status text not null check (status in ('pending', 'running', 'completed', 'cancelled', 'failed')),
    customer_id uuid,
    origin text not null check (origin in ('staff', 'channel', 'retention', 'replay')),
    connection_id uuid,
    message_id uuid,
    order_external_ids text[] not null default '{}',
    reason text,
    actor text not null,
    actor_name text not null,
    run_at timestamptz not null,
    due_at timestamptz not null,
    created_at timestamptz not null default now(),
    started_at timestamptz,
    finished_at timestamptz,
    cancelled_by text,
    error text,
    file_key text,
    page_key text,
    certificate jsonb,
    version integer not null default 1,
    primary key (workspace_id, id)
);
comment on table data.privacy_request is 'Somebody wants to know what is kept of them, or wants it gone. A pending erasure of a customer blocks merging.';
comment on column data.privacy_request.customer_id is 'Null: the channel asked for somebody who is not known here, or for a whole shop.';
comment on column data.privacy_request.order_external_ids is 'Orders that the channel named, by its own ids.';
comment on column data.privacy_request.run_at is 'When an erasure runs; until then it can be cancelled.';
comment on column data.privacy_request.file_key is 'The export as JSON, and page_key as a page to read.';
comment on column data.privacy_request.certificate is 'What was erased where: table → rows. It holds nothing of the person.';
create index privacy_request_customer on data.privacy_request (workspace_id, customer_id, id desc) where customer_id is not null;
create index privacy_request_message on data.privacy_request (workspace_id, message_id) where message_id is not null;
create index privacy_request_due on data.privacy_request (workspace_id, due_at, id);
create index privacy_request_created on data.privacy_request (workspace_id, created_at desc, id desc);
create unique index privacy_request_open on data.privacy_request (workspace_id, customer_id, kind)
    where status in ('pending', 'running') and customer_id is not null;
create unique index privacy_request_file on data.privacy_request (workspace_id, file_key) where file_key is not null;
create unique index privacy_request_page on data.privacy_request (workspace_id, page_key) where page_key is not null;

create table data.erased_contact (
    workspace_id uuid not null references data.workspace,
    contact_hash bytea not null,
    customer_id uuid,
    request_id uuid,
    erased_at timestamptz not null,
    primary key (workspace_id, contact_hash)
);
comment on table data.erased_contact is 'Contacts of people who were erased: what comes from before that and bears one stays nobody''s.';
comment on column data.erased_contact.contact_hash is 'HMAC-SHA256 under the workspace''s key of suppression_key of kind, source, shop and key.';
comment on column data.erased_contact.customer_id is 'The row that their orders still hang on; null where nobody was known.';
create index erased_contact_request on data.erased_contact (workspace_id, request_id);

create table data.privacy_setting (
    workspace_id uuid primary key references data.workspace,
    erase_delay_days integer not null default 0 check (erase_delay_days between 0 and 30),
    raw_webhook_days integer not null default 30 check (raw_webhook_days between 1 and 365),
    import_file_days integer not null default 7 check (import_file_days between 1 and 90),
    export_file_days integer not null default 7 check (export_file_days between 1 and 90),
    idempotency_hours integer not null default 24 check (idempotency_hours between 24 and 720),
    audit_days integer check (audit_days between 30 and 3660),
    inactive_customer_months integer check (inactive_customer_months between 6 and 240),
    updated_at timestamptz not null default now(),
    version integer not null default 1
);
comment on table data.privacy_setting is 'For how long things are kept; a workspace without a row keeps them as the defaults say. Null: for ever.';

alter table data.customer add column erased_at timestamptz;
comment on column data.customer.erased_at is 'Nothing of the person is left; the row stays for the orders, and never comes back.';
alter table data."order" add column erased_at timestamptz;
comment on column data."order".erased_at is 'Whose it was is forgotten, and is not filled in again by whatever is told of it later.';
