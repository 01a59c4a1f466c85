-- What reports are answered from. All of it follows from the orders and can be made anew at any time.

create table data.customer_day (
    workspace_id uuid not null,
    customer_id uuid not null,
    day date not null,
    channel text not null,
    country text not null,
    region text not null,
    orders integer not null,
    gross numeric(38, 4) not null,
    refunded numeric(38, 4) not null,
    net numeric(38, 4) not null,
    is_first boolean not null,
    primary key (workspace_id, customer_id, day, channel, country, region)
);
comment on table data.customer_day is 'What a customer ordered on a day of the workspace''s zone by a channel to a place: of orders that count, in its currency.';
comment on column data.customer_day.channel is 'The source of the orders.';
comment on column data.customer_day.country is 'Where they were sent, else where the customer lives; empty where nothing is known.';
comment on column data.customer_day.is_first is 'Whether the customer''s first order is among them: its day is the cohort, its channel and country what brought the customer.';
create index customer_day_day on data.customer_day (workspace_id, day) include (customer_id, orders, is_first, country, region);
create index customer_day_first on data.customer_day (workspace_id, customer_id) include (day, channel, country) where is_first;

create table data.sales_day (
    workspace_id uuid not null,
    day date not null,
    channel text not null,
    country text not null,
    region text not null,
    buyers integer not null,
    newcomers integer not null,
    orders integer not null,
    gross numeric(38, 4) not null,
    refunded numeric(38, 4) not null,
    net numeric(38, 4) not null,
    primary key (workspace_id, day, channel, country, region)
);
comment on table data.sales_day is 'The sums of customer_day over customers.';
comment on column data.sales_day.newcomers is 'Customers whose first order is among them.';

create table data.cohort_cell (
    workspace_id uuid not null,
    grain text not null check (grain in ('week', 'month', 'quarter')),
    dimension text not null check (dimension in ('all', 'channel', 'country')),
    value text not null,
    cohort date not null,
    period date not null check (period >= cohort),
    customers integer not null,
    orders integer not null,
    net numeric(38, 4) not null,
    last_customers integer not null,
    primary key (workspace_id, grain, dimension, value, cohort, period)
);
comment on table data.cohort_cell is 'What those whose first order was in one period did in another. Weeks begin on Monday.';
comment on column data.cohort_cell.value is 'The channel or country of the first order; empty where all are meant.';
comment on column data.cohort_cell.customers is 'How many of them ordered in the period; where it is the cohort''s own, its size.';
comment on column data.cohort_cell.last_customers is 'How many of them ordered in it and not after it.';

create table data.customer_rfm (
    workspace_id uuid not null,
    customer_id uuid not null,
    recency smallint not null check (recency between 1 and 5),
    frequency smallint not null check (frequency between 1 and 5),
    monetary smallint not null check (monetary between 1 and 5),
    rfm_group text not null,
    former_group text,
    primary key (workspace_id, customer_id)
);
comment on table data.customer_rfm is 'Recency, frequency and monetary value in fifths of the workspace''s customers with an order that counts.';
comment on column data.customer_rfm.former_group is 'The group at the end of last month; null where there was none.';
create index customer_rfm_group on data.customer_rfm (workspace_id, rfm_group, customer_id);

create table data.rfm_run (
    workspace_id uuid not null references data.workspace,
    scored_at timestamptz not null,
    month date not null,
    customers integer not null,
    recency_cuts timestamptz[] not null,
    frequency_cuts integer[] not null,
    monetary_cuts numeric[] not null,
    spent_cuts numeric[] not null,
    primary key (workspace_id)
);
comment on table data.rfm_run is 'When everybody was scored last, and the greatest value of each fifth but the highest; null where nobody is in or below it.';
comment on column data.rfm_run.spent_cuts is 'The greatest total spent of each hundredth but the highest: a customer''s percentile without a look at the others.';
comment on column data.rfm_run.month is 'The month, in the workspace''s zone, before which former_group was kept.';

create table data.rfm_month (
    workspace_id uuid not null,
    month date not null,
    rfm_group text not null,
    customers integer not null,
    revenue numeric(38, 4) not null,
    primary key (workspace_id, month, rfm_group)
);
comment on table data.rfm_month is 'How large the groups were at the end of a month.';

create table data.prediction_model (
    workspace_id uuid not null references data.workspace,
    version integer not null,
    serving text not null check (serving in ('bgnbd', 'logistic', 'repeat_rate', 'nothing')),
    method text not null check (method in ('map', 'ml')),
    as_of date not null,
    window_from date,
    horizon_days integer not null,
    customers integer not null,
    missing text[] not null default '{}',
    parameters jsonb not null,
    backtest jsonb,
    fitted_at timestamptz not null,
    primary key (workspace_id, version)
);
comment on table data.prediction_model is 'What was fitted on which orders, how it was judged, and which of the models serves. Kept as history.';
comment on column data.prediction_model.missing is 'What the workspace lacks for predictions, in words; a repeat rate serves as long as anything is missing.';

create table data.customer_prediction (
    workspace_id uuid not null,
    customer_id uuid not null,
    version integer not null,
    churn_probability double precision not null check (churn_probability between 0 and 1),
    churn_risk text not null check (churn_risk in ('low', 'medium', 'high')),
    expected_orders double precision not null check (expected_orders >= 0 and expected_orders < 'infinity'),
    predicted_value numeric(38, 4) not null,
    next_order_on date,
    value_at_stake numeric(38, 4) not null,
    primary key (workspace_id, customer_id)
);
comment on table data.customer_prediction is 'What the serving model says of each customer with an order that counts.';
comment on column data.customer_prediction.churn_probability is 'That no order comes within the model''s horizon.';
comment on column data.customer_prediction.expected_orders is 'Within the next 365 days, as predicted_value.';
comment on column data.customer_prediction.value_at_stake is 'What the customer spent within the last 365 days, times churn_probability.';
create index customer_prediction_stake on data.customer_prediction (workspace_id, value_at_stake desc, customer_id desc);
create index customer_prediction_risk on data.customer_prediction (workspace_id, churn_risk, customer_id);

create or replace function fence.learn_sizes() returns void
    language plpgsql security definer set search_path = data, ext as $$
begin
    perform gin_clean_pending_list('data.customer_search');
    analyze (skip_locked) data.customer, data.customer_identity, data.customer_metrics, data.customer_stale, data."order",
            data.order_decision, data.order_line, data.address, data.event_log, data.custom_field_value, data.consent,
            data.segment_stale, data.segment_member, data.customer_day, data.sales_day, data.cohort_cell, data.customer_rfm,
            data.customer_prediction;
end $$;

-- What was ordered until now is counted by a job of each workspace.
insert into data.job (workspace_id, id, kind, singleton)
select w.workspace_id, gen_random_uuid(), 'analytics.rebuild', 'analytics.rebuild'
  from data.workspace w
 where exists (select 1 from data."order" o where o.workspace_id = w.workspace_id);
