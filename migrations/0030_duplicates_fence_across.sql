-- A scan fills its table from nothing, and then asks of it what is planned by how much there is.
create function fence.learn_duplicates() returns void
    language plpgsql security definer set search_path = data, ext as $$
begin
    analyze (skip_locked) data.duplicate_profile (workspace_id, customer_id, scan_id);
    analyze (skip_locked) data.duplicate_pair (workspace_id, a_id, b_id, status, level);
end $$;
revoke all on function fence.learn_duplicates() from public;
grant execute on function fence.learn_duplicates() to supover_app;
