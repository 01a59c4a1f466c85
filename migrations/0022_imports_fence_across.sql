-- For rows whose parents the same transaction has made: until `check_references` nothing looks for each one's parent, which
-- takes longer than keeping it. False where the owner may not do that; everything is looked at then.
create function fence.trust_references() returns boolean
    language plpgsql security definer set search_path = data, ext as $$
begin
    perform set_config('session_replication_role', 'replica', true);
    return true;
exception when insufficient_privilege then
    return false;
end $$;

create function fence.check_references() returns void
    language plpgsql security definer set search_path = data, ext as $$
begin
    perform set_config('session_replication_role', 'origin', true);
exception when insufficient_privilege then
    return;
end $$;

-- Works in what the search's index has pending.
create function fence.search_catch_up() returns void
    language plpgsql security definer set search_path = data, ext as $$
begin
    perform gin_clean_pending_list('data.customer_search');
end $$;

revoke all on all functions in schema fence from public;
grant execute on all functions in schema fence to supover_app;
