-- What filters over all customers are counted from: narrow indexes that are read instead of the tables.
create index customer_living on data.customer (workspace_id, id) where deleted_at is null;
comment on index data.customer_living is 'Everybody whom a filter is asked of.';
create index customer_deleted on data.customer (workspace_id, id) where deleted_at is not null;

-- With what decides whether an order counts, and for how much: a customer's orders are summed up without reading them.
drop index data.order_customer;
create index order_customer on data."order" (workspace_id, customer_id, placed_at desc, id desc) include (status, net_value);

-- Word for word the expressions of addresses/fields.py.
create index address_region on data.address (workspace_id, lower(country), lower(state), customer_id);
create index customer_country on data.customer (workspace_id, lower(country), id) where country is not null;
create index address_city on data.address (workspace_id, ext.fold(replace(city, ' ', '')), customer_id);

-- As before, and what segments keep.
create or replace function fence.learn_sizes() returns void
    language plpgsql security definer set search_path = data, ext as $$
begin
    perform gin_clean_pending_list('data.customer_search');
    analyze (skip_locked) data.customer, data.customer_identity, data.customer_metrics, data.customer_stale, data."order",
            data.order_decision, data.order_line, data.address, data.event_log, data.custom_field_value, data.consent,
            data.segment_stale, data.segment_member;
end $$;
