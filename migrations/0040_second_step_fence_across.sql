-- The second step of signing in: staff are global, and it is asked for before a workspace is known.

create function fence.second_step(staff uuid)
    returns table (secret bytea, since timestamptz, codes_left integer)
    language sql stable security definer set search_path = data, ext
    begin atomic
        select p.second_step_secret, p.second_step_at, cardinality(p.recovery_hashes) from data.staff p where p.id = staff;
    end;

-- Where it is on already, nothing changes: it has to be turned off first.
create function fence.second_step_begin(workspace uuid, staff uuid, new_secret bytea) returns boolean
    language sql security definer set search_path = data, ext
    begin atomic
        with begun as (
            update data.staff p set second_step_secret = new_secret, second_step_used = null
             where p.id = staff and p.second_step_at is null
               and exists (select 1 from data.membership m where m.workspace_id = workspace and m.staff_id = staff)
            returning 1)
        select exists (select 1 from begun);
    end;

-- Only for the secret that the code was of: another page may have begun anew.
create function fence.second_step_confirm(workspace uuid, staff uuid, of_secret bytea, used bigint, new_hashes bytea[]) returns boolean
    language sql security definer set search_path = data, ext
    begin atomic
        with confirmed as (
            update data.staff p set second_step_at = now(), second_step_used = used, recovery_hashes = new_hashes
             where p.id = staff and p.second_step_at is null and p.second_step_secret = of_secret
               and exists (select 1 from data.membership m where m.workspace_id = workspace and m.staff_id = staff)
            returning 1)
        select exists (select 1 from confirmed);
    end;

-- Of two who come with the same code, or with an older one, only one gets in.
create function fence.second_step_use(staff uuid, step bigint) returns boolean
    language sql security definer set search_path = data, ext
    begin atomic
        with used as (
            update data.staff p set second_step_used = step
             where p.id = staff and p.second_step_at is not null and (p.second_step_used is null or p.second_step_used < step)
            returning 1)
        select exists (select 1 from used);
    end;

create function fence.recovery_code_use(staff uuid, code_hash bytea) returns boolean
    language sql security definer set search_path = data, ext
    begin atomic
        with used as (
            update data.staff p set recovery_hashes = array_remove(p.recovery_hashes, code_hash)
             where p.id = staff and p.second_step_at is not null and code_hash = any (p.recovery_hashes)
            returning 1)
        select exists (select 1 from used);
    end;

create function fence.second_step_end(workspace uuid, staff uuid) returns boolean
    language sql security definer set search_path = data, ext
    begin atomic
        with ended as (
            update data.staff p
               set second_step_secret = null, second_step_at = null, second_step_used = null, recovery_hashes = '{}'
             where p.id = staff and p.second_step_secret is not null
               and exists (select 1 from data.membership m where m.workspace_id = workspace and m.staff_id = staff)
            returning 1)
        select exists (select 1 from ended);
    end;

revoke all on all functions in schema fence from public;
grant execute on all functions in schema fence to supover_app;
