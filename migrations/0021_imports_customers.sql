-- Customers from files: a chunk of a file is one transaction and one row here, so that chunks may end in any order.
alter table data.import_run
    add column dry_run boolean not null default false,
    add column preset text,
    add column ignored_columns text[] not null default '{}',
    add column encoding text,
    add column format text,
    add column header text[],
    add column chunk_rows integer,
    add column revert_wanted_at timestamptz,
    add column reverted_at timestamptz;
comment on column data.import_run.preset is 'Whose export the header is, where it could be told.';
comment on column data.import_run.header is 'The file''s own columns, for the list of its refused rows.';
comment on column data.import_run.chunk_rows is 'How many rows a chunk has: a run goes on with the chunks that it began with.';

create table data.import_chunk (
    workspace_id uuid not null,
    import_id uuid not null,
    number integer not null,
    first_row bigint not null,
    last_row bigint not null,
    rows integer not null,
    created integer not null,
    updated integer not null,
    skipped integer not null,
    failed integer not null,
    consents_refused integer not null default 0,
    first_id uuid,
    last_id uuid,
    created_ids uuid[] not null default '{}',
    added jsonb not null default '{}',
    committed_at timestamptz not null default now(),
    reverted_at timestamptz,
    removed integer not null default 0,
    kept jsonb not null default '[]',
    primary key (workspace_id, import_id, number),
    foreign key (workspace_id, import_id) references data.import_run (workspace_id, id) on delete cascade
);
comment on column data.import_chunk.created_ids is 'The customers that it made; forgotten when it can be reverted no more.';
comment on column data.import_chunk.added is 'What it added to customers that were there: kind of row → ids.';
comment on column data.import_chunk.kept is 'What could not be taken back because somebody has used or changed it since: [{customerId, why}].';
create index import_chunk_created on data.import_chunk (workspace_id, last_id, first_id) where first_id is not null;

-- How much may be pending says the session: an import lets much pend, and has it worked in as a whole.
alter index data.customer_search reset (gin_pending_list_limit);
