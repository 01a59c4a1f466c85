-- The ledger of consent is only ever added to; but what a file said of customers who are unmade, as if the file had never
-- been, goes with them. Suppressions stay: nobody is written to again because of that.
create function fence.consent_unmake(customer_ids uuid[]) returns bigint
    language sql security definer set search_path = data, ext
    begin atomic
        with gone as (
            delete from data.consent_entry e
             where e.workspace_id = fence.current_workspace() and e.customer_id = any (customer_ids)
            returning 1)
        select count(*) from gone;
    end;

revoke all on all functions in schema fence from public;
grant execute on all functions in schema fence to supover_app;
