-- Which customers a file brought, of whom nobody has looked yet whom they may be. A file is many transactions; it is looked at
-- once, and each contact that its customers share is read once.
create table data.duplicate_due (
    workspace_id uuid not null references data.workspace,
    first_id uuid not null,
    last_id uuid not null,
    primary key (workspace_id, first_id, last_id)
);
comment on table data.duplicate_due is 'Ids from first to last, both among them, of customers who were added many at once.';
