-- What a great act, an import or a bulk action, did to profiles: kept for a month, so that it can be undone.
create table data.customer_journal (
    workspace_id uuid not null,
    act_id uuid not null,
    customer_id uuid not null,
    changes jsonb not null,
    kept jsonb,
    undone_at timestamptz,
    primary key (workspace_id, act_id, customer_id),
    foreign key (workspace_id, customer_id) references data.customer
);
comment on table data.customer_journal is 'One row an act and customer. An act''s id begins with when it began, so that what is old is found by the primary key.';
comment on column data.customer_journal.changes is 'Field → [old, new], as customers/journal.py describes.';
comment on column data.customer_journal.kept is 'Once undone: the fields that stayed as they are, because somebody changed them after the act, or somebody else has the old value by now.';
create index customer_journal_customer on data.customer_journal (workspace_id, customer_id);
create index customer_journal_left on data.customer_journal (workspace_id, act_id, customer_id) where undone_at is null;
