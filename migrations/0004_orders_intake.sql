create table data.exchange_rate (
    workspace_id uuid not null references data.workspace,
    currency text not null check (currency ~ '^[A-Z]{3}$'),
    on_date date not null,
    rate numeric(20, 10) not null check (rate > 0),
    created_at timestamptz not null default now(),
    primary key (workspace_id, currency, on_date)
);
create index exchange_rate_day on data.exchange_rate (workspace_id, on_date desc, currency);
comment on column data.exchange_rate.rate is 'Units of the workspace''s currency for one unit of this one.';

create table data."order" (
    workspace_id uuid not null references data.workspace,
    id uuid not null,
    source text not null,
    shop text not null default '',
    external_id text,
    number text,
    customer_id uuid,
    status text not null check (status in ('pending', 'confirmed', 'processing', 'shipped', 'delivered', 'cancelled', 'returned')),
    financial_status text,
    on_hold boolean not null default false,
    hold_reason text,
    needs_review boolean not null default false,
    currency text not null check (currency ~ '^[A-Z]{3}$'),
    subtotal numeric(19, 4),
    shipping numeric(19, 4),
    tax numeric(19, 4),
    discount numeric(19, 4),
    total numeric(19, 4) not null,
    refunded numeric(19, 4) not null default 0,
    exchange_rate numeric(20, 10) check (exchange_rate > 0),
    net_value numeric(38, 4) generated always as (round((total - refunded) * exchange_rate, 4)) stored,
    placed_at timestamptz not null,
    cancelled_at timestamptz,
    delivered_at timestamptz,
    email text,
    phone text,
    name text,
    shipping_address jsonb,
    billing_address jsonb,
    tags text[] not null default '{}',
    note text,
    source_updated_at timestamptz,
    intake_hash bytea,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    version integer not null default 1,
    primary key (workspace_id, id),
    foreign key (workspace_id, customer_id) references data.customer
);
comment on column data."order".net_value is 'Total less refunds in the workspace''s currency; null while the rate is unknown.';
comment on column data."order".intake_hash is 'Of what the source last said: an equal one changes nothing.';
create unique index order_external on data."order" (workspace_id, source, shop, external_id) where external_id is not null;
create index order_customer on data."order" (workspace_id, customer_id, placed_at desc, id desc);
create index order_placed on data."order" (workspace_id, placed_at desc, id desc);
create index order_number on data."order" (workspace_id, lower(number) text_pattern_ops) where number is not null;
create index order_total on data."order" (workspace_id, total, id);
create index order_rate_missing on data."order" (workspace_id, placed_at desc, id desc) where exchange_rate is null;
create index order_review on data."order" (workspace_id, placed_at desc, id desc) where needs_review;
create index order_hold on data."order" (workspace_id, placed_at desc, id desc) where on_hold;

create table data.order_line (
    workspace_id uuid not null,
    order_id uuid not null,
    position integer not null,
    id uuid not null,
    sku text,
    title text not null default '',
    quantity integer not null,
    unit_price numeric(19, 4),
    properties jsonb not null default '{}',
    primary key (workspace_id, order_id, position),
    foreign key (workspace_id, order_id) references data."order" on delete cascade
);
create index order_line_sku on data.order_line (workspace_id, sku, order_id) where sku is not null;

create table data.order_refund (
    workspace_id uuid not null,
    order_id uuid not null,
    id uuid not null,
    external_id text,
    amount numeric(19, 4) not null check (amount > 0),
    reason text,
    refunded_at timestamptz not null,
    created_at timestamptz not null default now(),
    primary key (workspace_id, order_id, id),
    foreign key (workspace_id, order_id) references data."order" on delete cascade
);
create unique index order_refund_external on data.order_refund (workspace_id, order_id, external_id) where external_id is not null;

create table data.order_decision (
    workspace_id uuid not null,
    order_id uuid not null,
    id uuid not null,
    customer_id uuid,
    method text not null,
    evidence jsonb not null,
    decided_at timestamptz not null default now(),
    primary key (workspace_id, order_id, id),
    foreign key (workspace_id, order_id) references data."order" on delete cascade
);
comment on table data.order_decision is 'Why an order went to its customer; the newest decides.';
create index order_decision_customer on data.order_decision (workspace_id, customer_id) where customer_id is not null;
