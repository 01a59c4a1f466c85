-- Segments: who is in them, how they grow, and the views of the customers' list that people keep.
create table data.segment (
    workspace_id uuid not null references data.workspace,
    id uuid not null,
    kind text not null check (kind in ('filter', 'manual')),
    name text not null check (name <> ''),
    description text not null default '',
    filter text,
    built_in text,
    is_relative boolean not null default false,
    complete boolean not null,
    evaluated_at timestamptz,
    evaluated_on date,
    stale_since timestamptz,
    wanted_at timestamptz,
    is_silent boolean not null default false,
    members integer not null default 0,
    counted_at timestamptz,
    recount_due boolean not null default false,
    error text,
    created_by text not null,
    created_by_name text not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    version integer not null default 1,
    primary key (workspace_id, id),
    check ((kind = 'filter') = (filter is not null))
);
comment on table data.segment is 'Customers who fit a filter, or whom somebody picked.';
comment on column data.segment.complete is 'Whether the members are those of this filter; false from a change of it until the whole evaluation is committed.';
comment on column data.segment.evaluated_at is 'When the last whole evaluation read, and evaluated_on the day it was then in the workspace''s zone.';
comment on column data.segment.stale_since is 'What happened after this is not in yet and stands in no mark: it waits for a whole evaluation.';
comment on column data.segment.wanted_at is 'A whole evaluation is wanted since then; null when none is.';
comment on column data.segment.is_silent is 'The wanted evaluation establishes the members anew: nobody enters or leaves by it.';
comment on column data.segment.members is 'Counted from the rows at counted_at; recount_due when they have changed since.';
create unique index segment_name on data.segment (workspace_id, lower(name));
create unique index segment_built_in on data.segment (workspace_id, built_in) where built_in is not null;
create index segment_members on data.segment (workspace_id, members, id);
create index segment_created on data.segment (workspace_id, created_at, id);
create index segment_owed on data.segment (workspace_id) where wanted_at is not null or recount_due;

-- Filled by the hundred thousand in one statement, and right by the same proof as figures are: no foreign keys.
create table data.segment_member (
    workspace_id uuid not null,
    segment_id uuid not null,
    customer_id uuid not null,
    entered_at timestamptz not null,
    primary key (workspace_id, segment_id, customer_id)
);
comment on table data.segment_member is 'Who is in a segment, by what was known when it was last evaluated for them.';
create index segment_member_customer on data.segment_member (workspace_id, customer_id, segment_id);
create index segment_member_entered on data.segment_member (workspace_id, segment_id, entered_at, customer_id);

create table data.segment_pick (
    workspace_id uuid not null,
    segment_id uuid not null,
    customer_id uuid not null,
    picked_by text not null,
    picked_at timestamptz not null default now(),
    primary key (workspace_id, segment_id, customer_id),
    foreign key (workspace_id, customer_id) references data.customer
);
comment on table data.segment_pick is 'Whom somebody put into a manual segment; a deleted customer stays picked and is a member again once restored.';
create index segment_pick_customer on data.segment_pick (workspace_id, customer_id, segment_id);

create table data.segment_stale (
    workspace_id uuid not null,
    id bigint generated always as identity,
    customer_id uuid not null,
    origin text not null,
    marked_at timestamptz not null default now(),
    primary key (workspace_id, id)
);
comment on table data.segment_stale is 'Customers whose segments must be looked at again. A mark is never updated, only added and taken.';
create index segment_stale_customer on data.segment_stale (workspace_id, customer_id);

create table data.segment_day (
    workspace_id uuid not null,
    segment_id uuid not null,
    day date not null,
    members integer not null default 0,
    entered integer not null default 0,
    left_count integer not null default 0,
    primary key (workspace_id, segment_id, day)
);
comment on table data.segment_day is 'Growth, a row a day of the workspace''s zone: the last count of the day, and who entered and left during it.';

create table data.saved_view (
    workspace_id uuid not null references data.workspace,
    id uuid not null,
    name text not null check (name <> ''),
    query text not null,
    is_shared boolean not null,
    owner text not null,
    owner_name text not null,
    position integer not null default 0,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    version integer not null default 1,
    primary key (workspace_id, id)
);
comment on table data.saved_view is 'What a list of customers is narrowed and sorted by, kept under a name, for its owner or for all.';
create unique index saved_view_name on data.saved_view (workspace_id, owner, lower(name));
create index saved_view_place on data.saved_view (workspace_id, position, id);

-- Who entered and left a segment, and when: growth is counted from what was told.
create index event_log_segment on data.event_log (workspace_id, (data ->> 'segmentId'), at)
    where kind in ('SegmentEntered', 'SegmentLeft');

-- Whether what made the figures stale happened now or came from history: who enters a segment by it says the same.
alter table data.customer_stale add column origin text not null default 'live' check (origin in ('live', 'import'));

-- Every workspace begins with these; the ids are of version 7, as all others.
insert into data.segment (workspace_id, id, kind, name, description, filter, built_in, is_relative, complete, is_silent, wanted_at,
                          created_by, created_by_name)
select w.workspace_id,
       (lpad(to_hex(floor(extract(epoch from clock_timestamp()) * 1000)::bigint), 12, '0') || '7'
        || substr(replace(gen_random_uuid()::text, '-', ''), 14, 19))::uuid,
       'filter', b.name, b.description, b.filter, b.key, b.is_relative, false, true, now() - interval '1 hour', 'system', 'Supover'
  from data.workspace w
 cross join (values
       ('new', 'New customers', 'First order in the last 30 days.', 'first_order_date >= -30d', true),
       ('repeat', 'Repeat customers', 'Ordered at least twice.', 'number_of_orders >= 2', false),
       ('vip', 'VIPs', 'Marked as VIP, or ordered at least five times and spent at least 500.',
        'status = ''VIP'' OR (number_of_orders >= 5 AND amount_spent >= 500)', false),
       ('at_risk', 'At risk', 'Ordered at least twice, the last time 90 to 180 days ago.',
        'number_of_orders >= 2 AND last_order_date BETWEEN -180d AND -90d', true),
       ('lapsed', 'Lapsed', 'Last order more than 180 days ago.', 'last_order_date < -180d', true),
       ('never_ordered', 'Never ordered', 'No order that counts.', 'number_of_orders = 0', false),
       ('email_subscribed', 'Email subscribers', 'Said yes to marketing emails.',
        'email_subscription_status = ''SUBSCRIBED''', false)) as b (key, name, description, filter, is_relative);
