-- New recovery codes in place of those that are left, for who signs in by two steps.

create function fence.recovery_codes_renew(workspace uuid, staff uuid, new_hashes bytea[]) returns boolean
    language sql security definer set search_path = data, ext
    begin atomic
        with renewed as (
            update data.staff p set recovery_hashes = new_hashes
             where p.id = staff and p.second_step_at is not null
               and exists (select 1 from data.membership m where m.workspace_id = workspace and m.staff_id = staff)
            returning 1)
        select exists (select 1 from renewed);
    end;

revoke all on all functions in schema fence from public;
grant execute on all functions in schema fence to supover_app;
