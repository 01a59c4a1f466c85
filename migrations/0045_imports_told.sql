-- A refused row tells all of its mistakes, and a row that was taken in what of it could not be understood.
alter table data.import_error
    add column others jsonb not null default '[]',
    add column is_taken boolean not null default false;
comment on column data.import_error.others is 'What else is wrong with the row: [{field, code, message}].';
comment on column data.import_error.is_taken is 'Whether the row was taken in all the same: it only tells of something that nobody understands.';
create index import_error_taken on data.import_error (workspace_id, import_id, row_number) where is_taken;

alter table data.import_run add column doubtful integer not null default 0;
alter table data.import_chunk add column doubtful integer not null default 0;
comment on column data.import_run.doubtful is 'How many rows were taken in with something that nobody understands; of customers the chunks tell.';

-- What a trial finds out about customers who are there, some of them, as nothing of it is in their journal.
create table data.import_change (
    workspace_id uuid not null,
    import_id uuid not null,
    customer_id uuid not null,
    changes jsonb not null,
    primary key (workspace_id, import_id, customer_id),
    foreign key (workspace_id, import_id) references data.import_run (workspace_id, id) on delete cascade
);
comment on table data.import_change is 'Some of the customers whom a trial would change.';
comment on column data.import_change.changes is 'Field → [old, new], as in the customers'' journal, and what would be added: address, note, contact and consents.';
create index import_change_customer on data.import_change (workspace_id, customer_id);
