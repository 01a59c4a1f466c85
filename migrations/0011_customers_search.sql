-- What customers were found by lately waits in a list that every search reads from end to end, until it is merged into the
-- index. At PostgreSQL's own 4 MB reading it takes several times as long as the rest of a search; at 1 MB an import of
-- customers is two in a hundred slower.
alter index data.customer_search set (gin_pending_list_limit = 1024);

-- As before, and the search learns what a fast filling left in that list.
create or replace function fence.learn_sizes() returns void
    language plpgsql security definer set search_path = data, ext as $$
begin
    perform gin_clean_pending_list('data.customer_search');
    analyze (skip_locked) data.customer, data.customer_identity, data.customer_metrics, data.customer_stale, data."order",
            data.order_decision, data.address, data.event_log;
end $$;
