-- How a member of staff wants the screens to be, in one workspace.

create table data.web_preference (
    workspace_id uuid not null references data.workspace,
    staff_id uuid not null,
    language text check (language in ('en', 'vi')),
    timezone text,
    columns text[],
    seen_at timestamptz,
    primary key (workspace_id, staff_id)
);
comment on table data.web_preference is 'How a member of staff wants the screens to be; null is what the browser or the workspace says.';
comment on column data.web_preference.columns is 'Which columns the list of customers shows, in their order.';
comment on column data.web_preference.seen_at is 'Notifications up to then were seen.';

create table data.web_recent (
    workspace_id uuid not null,
    staff_id uuid not null,
    customer_id uuid not null,
    seen_at timestamptz not null,
    primary key (workspace_id, staff_id, customer_id),
    foreign key (workspace_id, customer_id) references data.customer on delete cascade
);
comment on table data.web_recent is 'Whose profiles a member of staff has looked at, the last ones.';
create index web_recent_customer on data.web_recent (workspace_id, customer_id);
