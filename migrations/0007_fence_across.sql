-- Everything that may see across workspaces, in one place. Each runs as the owner, takes only what it needs, and is tested.
-- A worker asks which workspaces have work, then works inside one of them at a time.

create function fence.workspaces_with_stale_customers() returns setof uuid
    language sql stable security definer set search_path = data, ext
    begin atomic
        with recursive found as (
            (select workspace_id from data.customer_stale order by workspace_id limit 1)
            union all
            select (select s.workspace_id from data.customer_stale s where s.workspace_id > f.workspace_id order by s.workspace_id limit 1)
              from found f where f.workspace_id is not null)
        select workspace_id from found where workspace_id is not null;
    end;

create function fence.all_workspaces() returns setof uuid
    language sql stable security definer set search_path = data, ext
    begin atomic
        select workspace_id from data.workspace order by workspace_id;
    end;

-- Who is asking: the two look-ups that happen before a workspace is known.
create function fence.key_by_token(token_hash bytea)
    returns table (workspace_id uuid, id uuid, name text, scopes text[], rate_limit integer, expires_at timestamptz)
    language sql stable security definer set search_path = data, ext
    begin atomic
        select k.workspace_id, k.id, k.name, k.scopes, k.rate_limit, k.expires_at
          from data.api_key k where k.token_hash = key_by_token.token_hash and k.revoked_at is null;
    end;

create function fence.key_used(workspace uuid, key uuid) returns void
    language sql security definer set search_path = data, ext
    begin atomic
        update data.api_key set last_used_at = now()
         where workspace_id = workspace and id = key and (last_used_at is null or last_used_at < now() - interval '1 minute');
    end;

create function fence.session_by_token(token_hash bytea)
    returns table (id uuid, workspace_id uuid, staff_id uuid, email text, name text, role text, csrf_hash bytea, expires_at timestamptz)
    language sql stable security definer set search_path = data, ext
    begin atomic
        select s.id, s.workspace_id, s.staff_id, p.email, p.name, m.role, s.csrf_hash, s.expires_at
          from data.session s
          join data.staff p on p.id = s.staff_id and p.disabled_at is null
          join data.membership m on m.workspace_id = s.workspace_id and m.staff_id = s.staff_id
         where s.token_hash = session_by_token.token_hash;
    end;

create function fence.session_open(session uuid, token_hash bytea, csrf_hash bytea, staff uuid, workspace uuid,
                                   expires_at timestamptz, ip text, user_agent text) returns void
    language sql security definer set search_path = data, ext
    begin atomic
        with used as (
            update data.membership m set last_used_at = now()
             where m.workspace_id = workspace and m.staff_id = staff
            returning m.workspace_id, m.staff_id)
        insert into data.session (id, token_hash, csrf_hash, staff_id, workspace_id, expires_at, ip, user_agent)
        select session, session_open.token_hash, session_open.csrf_hash, u.staff_id, u.workspace_id, session_open.expires_at,
               session_open.ip, session_open.user_agent
          from used u;
    end;

-- The same session in another workspace of the same person, under a new token.
create function fence.session_switch(workspace uuid, session uuid, to_workspace uuid, new_token_hash bytea, new_csrf_hash bytea)
    returns boolean
    language sql security definer set search_path = data, ext
    begin atomic
        with switched as (
            update data.session s set workspace_id = m.workspace_id, token_hash = new_token_hash, csrf_hash = new_csrf_hash
              from data.membership m
             where s.id = session and s.workspace_id = workspace and m.workspace_id = to_workspace and m.staff_id = s.staff_id
            returning s.workspace_id, s.staff_id),
        used as (
            update data.membership m set last_used_at = now()
              from switched s where m.workspace_id = s.workspace_id and m.staff_id = s.staff_id)
        select exists (select 1 from switched);
    end;

create function fence.session_close(workspace uuid, session uuid) returns void
    language sql security definer set search_path = data, ext
    begin atomic
        delete from data.session s where s.id = session and s.workspace_id = workspace;
    end;

create function fence.sessions_close(workspace uuid, staff uuid) returns void
    language sql security definer set search_path = data, ext
    begin atomic
        delete from data.session where staff_id = staff and workspace_id = workspace;
    end;

create function fence.sessions_expire() returns bigint
    language sql security definer set search_path = data, ext
    begin atomic
        with gone as (delete from data.session where expires_at < now() returning 1) select count(*) from gone;
    end;

create function fence.staff_by_email(wanted text)
    returns table (id uuid, email text, name text, password_hash text, disabled_at timestamptz)
    language sql stable security definer set search_path = data, ext
    begin atomic
        select p.id, p.email, p.name, p.password_hash, p.disabled_at from data.staff p where lower(p.email) = lower(wanted);
    end;

-- An invitation is found by its code, before its workspace is known, and only for the person whom it is for.
create function fence.invitation_by_code(code_hash bytea, wanted text)
    returns table (workspace_id uuid, id uuid, email text, name text)
    language sql stable security definer set search_path = data, ext
    begin atomic
        select i.workspace_id, i.id, i.email, i.name
          from data.invitation i
         where i.code_hash = invitation_by_code.code_hash and lower(i.email) = lower(wanted) and i.expires_at > now();
    end;

-- The one that was used last comes first, then the oldest membership.
create function fence.staff_workspaces(staff uuid)
    returns table (workspace_id uuid, name text, currency text, timezone text, role text)
    language sql stable security definer set search_path = data, ext
    begin atomic
        select w.workspace_id, w.name, w.currency, w.timezone, m.role
          from data.membership m join data.workspace w using (workspace_id)
         where m.staff_id = staff order by m.last_used_at desc nulls last, m.created_at, w.workspace_id;
    end;

-- Members of the workspace that asks: staff are global, so their names come through here.
create function fence.members(workspace uuid)
    returns table (staff_id uuid, email text, name text, role text, created_at timestamptz, disabled_at timestamptz)
    language sql stable security definer set search_path = data, ext
    begin atomic
        select p.id, p.email, p.name, m.role, m.created_at, p.disabled_at
          from data.membership m join data.staff p on p.id = m.staff_id
         where m.workspace_id = workspace and workspace = fence.current_workspace() order by p.name, p.id;
    end;

create function fence.staff_add(workspace uuid, staff uuid, new_email text, new_name text, new_password_hash text, new_role text)
    returns void
    language sql security definer set search_path = data, ext
    begin atomic
        insert into data.staff (id, email, name, password_hash) values (staff, new_email, new_name, new_password_hash);
        insert into data.membership (workspace_id, staff_id, role) values (workspace, staff, new_role);
    end;

-- A new password ends every session of its owner.
create function fence.staff_password(workspace uuid, staff uuid, new_password_hash text) returns void
    language sql security definer set search_path = data, ext
    begin atomic
        update data.staff p set password_hash = new_password_hash
         where p.id = staff and exists (select 1 from data.membership m where m.workspace_id = workspace and m.staff_id = staff);
        delete from data.session
         where staff_id = staff and exists (select 1 from data.membership m where m.workspace_id = workspace and m.staff_id = staff);
    end;

-- Returns the workspaces that would be left without an owner; while there is one, nothing changes.
create function fence.staff_disable(staff uuid) returns setof uuid
    language sql security definer set search_path = data, ext
    begin atomic
        with alone as (
            select m.workspace_id from data.membership m
             where m.staff_id = staff and m.role = 'owner' and not exists (
                select 1 from data.membership o join data.staff p on p.id = o.staff_id
                 where o.workspace_id = m.workspace_id and o.role = 'owner' and o.staff_id <> staff and p.disabled_at is null)),
        disabled as (
            update data.staff p set disabled_at = coalesce(p.disabled_at, now())
             where p.id = staff and not exists (select 1 from alone) returning p.id),
        closed as (delete from data.session s using disabled d where s.staff_id = d.id returning 1)
        select workspace_id from alone where (select count(*) from closed) >= 0;
    end;

create function fence.staff_enable(staff uuid) returns void
    language sql security definer set search_path = data, ext
    begin atomic
        update data.staff p set disabled_at = null where p.id = staff;
    end;

create function fence.workspace_add(workspace uuid, new_name text, new_currency text, new_digits smallint, new_timezone text,
                                    new_counting_statuses text[]) returns void
    language sql security definer set search_path = data, ext
    begin atomic
        insert into data.workspace (workspace_id, name, currency, digits, timezone, counting_statuses)
        values (workspace, new_name, new_currency, new_digits, new_timezone, new_counting_statuses);
    end;

create function fence.workspace_list()
    returns table (workspace_id uuid, name text, currency text, timezone text, created_at timestamptz)
    language sql stable security definer set search_path = data, ext
    begin atomic
        select w.workspace_id, w.name, w.currency, w.timezone, w.created_at from data.workspace w order by w.created_at, w.workspace_id;
    end;

-- Jobs: a worker claims for all workspaces. An attempt is counted before the work, so a job that kills its worker ends too.
-- Workspaces take turns, in the order of their ids and beginning after the one that the worker served last; where there are
-- others none takes the worker's last place. Of one singleton only one job runs. Kinds this worker does not know stay.
-- A queue's statistics are always out of date, so plans that read all of it are ruled out.
create function fence.job_claim(by_worker text, kinds text[], leases interval[], how_many integer, most_each integer,
                                served uuid default '00000000-0000-0000-0000-000000000000')
    returns table (workspace_id uuid, id uuid, kind text, args jsonb, attempts integer, max_attempts integer, lost integer)
    language sql security definer set search_path = data, ext
    set enable_seqscan = off set enable_bitmapscan = off set enable_hashjoin = off set enable_mergejoin = off set enable_material = off
    begin atomic
        update data.job w set waiting = false
         where w.id in (select q.id from data.job q where q.state = 'queued' and q.waiting and q.run_at <= now()
                         order by q.run_at limit 1000 for update skip locked);
        -- The walk over the workspaces goes from index entry to index entry, and no further than it must.
        with recursive onward as (
            (select coalesce(q.workspace_id, '00000000-0000-0000-0000-000000000000') as key from data.job q
              where q.state = 'queued' and not q.waiting and coalesce(q.workspace_id, '00000000-0000-0000-0000-000000000000') > served
              order by 1 limit 1)
            union all
            select (select coalesce(q.workspace_id, '00000000-0000-0000-0000-000000000000') from data.job q
                     where q.state = 'queued' and not q.waiting
                       and coalesce(q.workspace_id, '00000000-0000-0000-0000-000000000000') > o.key
                     order by 1 limit 1)
              from onward o where o.key is not null),
        again as (
            (select coalesce(q.workspace_id, '00000000-0000-0000-0000-000000000000') as key from data.job q
              where q.state = 'queued' and not q.waiting and coalesce(q.workspace_id, '00000000-0000-0000-0000-000000000000') <= served
              order by 1 limit 1)
            union all
            select (select coalesce(q.workspace_id, '00000000-0000-0000-0000-000000000000') from data.job q
                     where q.state = 'queued' and not q.waiting
                       and coalesce(q.workspace_id, '00000000-0000-0000-0000-000000000000') > a.key
                       and coalesce(q.workspace_id, '00000000-0000-0000-0000-000000000000') <= served
                     order by 1 limit 1)
              from again a where a.key is not null),
        busy as materialized (
            select coalesce(r.workspace_id, '00000000-0000-0000-0000-000000000000') as key, r.kind, r.singleton, r.worker = by_worker as mine
              from data.job r where r.state = 'running'),
        room as materialized (
            select case when count(*) > 1 then most_each else how_many + (select count(*) from busy b where b.mine) end as each
              from (select 1 from data.workspace limit 2) w),
        turn as materialized (
            select s.key, m.running
              from (select o.key from onward o where o.key is not null
                     union all
                    select a.key from again a where a.key is not null) s
             cross join lateral (select count(*) as running from busy b where b.mine and b.key = s.key) m
             cross join lateral (
                   select 1 from data.job q
                    where q.state = 'queued' and not q.waiting
                      and coalesce(q.workspace_id, '00000000-0000-0000-0000-000000000000') = s.key
                      and q.run_at <= now() and q.kind = any (kinds)
                    order by q.run_at limit 1) due
             where m.running < (select each from room)
             limit how_many),
        due as (
            select d.id
              from turn t
             cross join lateral (
                   select q.id from data.job q
                    where q.state = 'queued' and not q.waiting
                      and coalesce(q.workspace_id, '00000000-0000-0000-0000-000000000000') = t.key
                      and q.run_at <= now() and q.kind = any (kinds)
                      and (q.singleton is null
                           or (q.kind, q.singleton) not in (
                              select b.kind, b.singleton from busy b where b.key = t.key and b.singleton is not null))
                    order by q.run_at, q.id
                    limit least((how_many - 1) / (select count(*) from turn) + 1, (select each from room) - t.running)
                      for update skip locked) d
             limit how_many)
        update data.job j
           set state = 'running', attempts = j.attempts + 1, worker = by_worker,
               lease_until = now() + leases[array_position(kinds, j.kind)]
          from due
         where j.id = due.id
        returning j.workspace_id, j.id, j.kind, j.args, j.attempts, j.max_attempts, j.lost;
    end;

-- One claimed job, for the process of its own that runs it.
create function fence.job_claimed(by_worker text, wanted uuid)
    returns table (workspace_id uuid, id uuid, kind text, args jsonb, attempts integer, max_attempts integer, lost integer)
    language sql stable security definer set search_path = data, ext
    begin atomic
        select j.workspace_id, j.id, j.kind, j.args, j.attempts, j.max_attempts, j.lost
          from data.job j where j.id = wanted and j.worker = by_worker and j.state = 'running';
    end;

-- Extends the lease and notes the progress where one is given; returns the jobs that are still this worker's.
create function fence.job_beat(by_worker text, running uuid[], new_leases interval[], new_progress jsonb[])
    returns table (id uuid, cancelling boolean)
    language sql security definer set search_path = data, ext
    set enable_seqscan = off set enable_bitmapscan = off set enable_hashjoin = off set enable_mergejoin = off
    begin atomic
        with kept as (
            update data.job j
               set lease_until = coalesce(now() + b.lease, j.lease_until), progress = coalesce(b.progress, j.progress)
              from unnest(running, new_leases, new_progress) as b (id, lease, progress)
             where j.id = b.id and j.worker = by_worker and j.state = 'running'
               and (b.lease is not null or b.progress is not null)
            returning j.id, j.cancelling)
        select k.id, k.cancelling from kept k
        union all
        select j.id, j.cancelling
          from unnest(running, new_leases, new_progress) as b (id, lease, progress)
          join data.job j on j.id = b.id and j.worker = by_worker and j.state = 'running'
         where b.lease is null and b.progress is null;
    end;

-- Ends attempts of this worker: 'done', 'cancelled', 'hopeless' (dead at once), 'failed', 'lost' (both are tried again
-- until the attempts are used up), 'released' (as if never tried). One that must wait for another try while its singleton
-- is queued anew hands its attempts and its reason to that one.
create function fence.job_end(by_worker text, ended uuid[], outcomes text[], whys text[], retry_ins interval[], new_progress jsonb[])
    returns setof uuid
    language sql security definer set search_path = data, ext
    set enable_seqscan = off set enable_bitmapscan = off set enable_hashjoin = off set enable_mergejoin = off
    begin atomic
        with given as (
            select j.id, e.outcome, e.why, e.progress,
                   now() + case when e.outcome = 'released' then interval '0' else e.retry_in end as retry_at,
                   j.attempts - case when e.outcome = 'released' then 1 else 0 end as attempts,
                   j.lost + case when e.outcome = 'lost' then 1 else 0 end as lost,
                   case when e.outcome in ('done', 'cancelled') then e.outcome
                        when e.outcome = 'hopeless' then 'dead'
                        when j.cancelling then 'cancelled'
                        when e.outcome <> 'released' and j.attempts >= j.max_attempts then 'dead'
                        else 'queued' end as state,
                   (select t.id from data.job t
                     where t.state = 'queued' and t.kind = j.kind and t.singleton = j.singleton
                       and t.workspace_id is not distinct from j.workspace_id) as twin
              from unnest(ended, outcomes, whys, retry_ins, new_progress) as e (id, outcome, why, retry_in, progress)
              join data.job j on j.id = e.id and j.worker = by_worker and j.state = 'running'
               for update of j),
        handed as (
            update data.job t
               set attempts = greatest(t.attempts, g.attempts), lost = greatest(t.lost, g.lost),
                   run_at = greatest(t.run_at, g.retry_at), waiting = greatest(t.run_at, g.retry_at) > now(),
                   error = coalesce(g.why, t.error)
              from given g
             where t.id = g.twin and t.state = 'queued' and g.state = 'queued')
        update data.job j
           set state = case when g.state = 'queued' and g.twin is not null then 'cancelled' else g.state end,
               error = g.why, attempts = g.attempts, lost = g.lost, worker = null, lease_until = null,
               progress = coalesce(g.progress, j.progress),
               run_at = case when g.state = 'queued' then g.retry_at else j.run_at end,
               waiting = g.state = 'queued' and g.retry_at > now(),
               finished_at = case when g.state <> 'queued' or g.twin is not null then now() end
          from given g
         where j.id = g.id
        returning j.id;
    end;

-- Gives back what lost workers held: those whose lease ran out and those that are known to be gone. A job that is just
-- committing something (it holds its own row) is left alone.
create function fence.job_recover(gone text[]) returns bigint
    language sql security definer set search_path = data, ext
    set enable_seqscan = off set enable_bitmapscan = off set enable_hashjoin = off set enable_mergejoin = off
    begin atomic
        with lost as (
            select j.id, j.worker, j.lost from data.job j
             where j.state = 'running' and (j.lease_until < now() or j.worker = any (gone))
               for update skip locked)
        select count(*)
          from lost l
         cross join lateral fence.job_end(l.worker, array[l.id], array['lost'], array['The worker ' || l.worker || ' was lost while it ran.'],
                                          array[least(l.lost, 6) * interval '10 seconds'], array[null::jsonb]);
    end;

create function fence.job_workers() returns setof text
    language sql stable security definer set search_path = data, ext
    begin atomic
        select distinct j.worker from data.job j where j.state = 'running' and j.worker is not null;
    end;

-- The house's own jobs are singletons of their kind.
create function fence.job_defer_house(new_id uuid, new_kind text, at timestamptz, attempts_at_most integer) returns void
    language sql security definer set search_path = data, ext
    begin atomic
        insert into data.job (workspace_id, id, kind, singleton, run_at, waiting, max_attempts)
        values (null, new_id, new_kind, new_kind, at, at > now(), attempts_at_most)
        on conflict (kind, singleton, workspace_id) where state = 'queued' and singleton is not null
        do update set run_at = excluded.run_at, waiting = excluded.waiting where job.attempts = 0 and job.run_at > excluded.run_at;
    end;

-- Counts the due ones to 1,000 and no further.
create function fence.job_pending(kinds text[]) returns bigint
    language sql stable security definer set search_path = data, ext
    begin atomic
        select (select count(*) from data.job j where j.state = 'running')
             + (select count(*) from (select 1 from data.job j
                                       where j.state = 'queued' and not j.waiting and j.run_at <= now() and j.kind = any (kinds)
                                       limit 1000) due)
             + (select count(*) from (select 1 from data.job j
                                       where j.state = 'queued' and j.waiting and j.run_at <= now() and j.kind = any (kinds)
                                       limit 1000) due);
    end;

create function fence.job_counts() returns table (kind text, state text, jobs bigint)
    language sql stable security definer set search_path = data, ext
    begin atomic
        select j.kind, j.state, count(*) from data.job j where j.state in ('queued', 'running', 'dead') group by j.kind, j.state;
    end;

-- Forgetting goes by batches, so that no statement runs for long.
create function fence.jobs_forget(older_than interval, how_many integer) returns bigint
    language sql security definer set search_path = data, ext
    begin atomic
        with gone as (
            delete from data.job
             where id in (select j.id from data.job j
                           where j.state in ('done', 'cancelled') and j.finished_at < now() - older_than
                           order by j.id limit how_many)
            returning 1)
        select count(*) from gone;
    end;

create function fence.idempotency_forget(older_than interval, how_many integer) returns bigint
    language sql security definer set search_path = data, ext
    begin atomic
        with gone as (
            delete from data.idempotency i
             using (select o.workspace_id, o.caller, o.key
                      from data.workspace w
                     cross join lateral (
                           select k.workspace_id, k.caller, k.key from data.idempotency k
                            where k.workspace_id = w.workspace_id and k.created_at < now() - older_than
                            order by k.created_at limit how_many) o
                     limit how_many) old
             where i.workspace_id = old.workspace_id and i.caller = old.caller and i.key = old.key
            returning 1)
        select count(*) from gone;
    end;

-- Transaction ids start low again in a restored database; what was logged before then comes first, by its id.
create function fence.event_log_rebase() returns bigint
    language sql security definer set search_path = data, ext
    begin atomic
        with moved as (update data.event_log set tx = '0' where tx > pg_current_xact_id() returning 1) select count(*) from moved;
    end;

-- A table that was empty a moment ago is still empty to the planner. Whoever fills one fast tells it, at sizes that double.
create function fence.learn_sizes() returns void
    language plpgsql security definer set search_path = data, ext as $$
begin
    analyze (skip_locked) data.customer, data.customer_identity, data.customer_metrics, data.customer_stale, data."order",
            data.order_decision, data.address, data.event_log;
end $$;

revoke all on all functions in schema fence from public;
grant execute on all functions in schema fence to supover_app;
