-- A contact can be moved to another customer and removed: whoever does it says which version they saw.
alter table data.customer_identity add column version integer not null default 1;

create index customer_avatar on data.customer (workspace_id, avatar_key) where avatar_key is not null;

-- Tags are counted among those who have any. A list of tags can be longer than an index entry may be, so none is in it.
create index customer_tagged on data.customer (workspace_id, id) where deleted_at is null and tags <> '{}';

create table data.tag_count (
    workspace_id uuid not null references data.workspace,
    tag text not null,
    customers bigint not null check (customers > 0),
    counted_at timestamptz not null,
    primary key (workspace_id, tag)
);
comment on table data.tag_count is 'How many living customers have a tag, in workspaces that are too big to count when asked.';
