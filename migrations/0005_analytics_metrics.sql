create table data.customer_metrics (
    workspace_id uuid not null,
    customer_id uuid not null,
    order_count integer not null default 0,
    total_spent numeric(38, 4) not null default 0,
    average_order_value numeric(38, 4) not null default 0,
    first_order_at timestamptz,
    last_order_at timestamptz,
    lifetime_value numeric(38, 4) not null default 0,
    total_orders integer not null default 0,
    orders_count integer not null default 0,
    by_currency jsonb not null default '{}',
    refreshed_at timestamptz,
    primary key (workspace_id, customer_id),
    foreign key (workspace_id, customer_id) references data.customer
);
comment on table data.customer_metrics is 'What a customer is worth: always recounted from the orders, one row a customer.';
comment on column data.customer_metrics.order_count is 'Orders whose status counts and whose rate is known.';
comment on column data.customer_metrics.total_orders is 'Delivered ones among them.';
comment on column data.customer_metrics.orders_count is 'All orders, whatever their status.';
create index customer_metrics_spent on data.customer_metrics (workspace_id, total_spent, customer_id);
create index customer_metrics_orders on data.customer_metrics (workspace_id, order_count, customer_id);
create index customer_metrics_average on data.customer_metrics (workspace_id, average_order_value, customer_id);
create index customer_metrics_lifetime on data.customer_metrics (workspace_id, lifetime_value, customer_id);
create index customer_metrics_last
    on data.customer_metrics (workspace_id, coalesce(last_order_at, timestamptz '1900-01-01 00:00:00+00'), customer_id);

create table data.customer_stale (
    workspace_id uuid not null,
    id bigint generated always as identity,
    customer_id uuid not null,
    marked_at timestamptz not null default now(),
    primary key (workspace_id, id)
);
comment on table data.customer_stale is 'Customers whose figures must be recounted. A mark is never updated, only added and taken.';
create index customer_stale_customer on data.customer_stale (workspace_id, customer_id);

create table data.duplicate_pair (
    workspace_id uuid not null,
    id uuid not null,
    a_id uuid not null,
    b_id uuid not null check (a_id < b_id),
    score numeric(6, 2) not null,
    level text not null check (level in ('automatic', 'suggested', 'review')),
    reasons text[] not null,
    status text not null default 'open' check (status in ('open', 'dismissed', 'merged')),
    created_at timestamptz not null default now(),
    primary key (workspace_id, id),
    unique (workspace_id, a_id, b_id),
    foreign key (workspace_id, a_id) references data.customer,
    foreign key (workspace_id, b_id) references data.customer
);
create index duplicate_pair_b on data.duplicate_pair (workspace_id, b_id);
create index duplicate_pair_queue on data.duplicate_pair (workspace_id, score desc, id desc) where status = 'open';
