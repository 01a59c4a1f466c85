-- A person's own sessions; counts that all processes share; the audit log by action.
create index audit_log_action on data.audit_log (workspace_id, action, id desc);

-- What was counted of late, whoever counted it. Losing it in a crash starts the counts anew, so it is not logged.
create unlogged table data.throttle (
    subject text primary key,
    taken integer not null,
    ends_at timestamptz not null
);
comment on table data.throttle is 'local: requests of keys and failed attempts to sign in, each within a period that starts with its first.';

-- Adds to what was counted (a negative number gives back) and returns what that makes, with the seconds until it starts anew.
create function fence.throttle_count(subjects text[], adds integer[], periods interval[])
    returns table (subject text, taken integer, left_s double precision)
    language sql security definer set search_path = data, ext
    begin atomic
        insert into data.throttle as t (subject, taken, ends_at)
        select g.subject, greatest(g.adds, 0), now() + g.period
          from unnest(subjects, adds, periods) as g (subject, adds, period)
         order by g.subject
        on conflict on constraint throttle_pkey do update
           set taken = case when t.ends_at <= now() then excluded.taken
                            else greatest(0, t.taken + (select sum(g.adds) from unnest(subjects, adds) as g (subject, adds)
                                                         where g.subject = t.subject)) end,
               ends_at = case when t.ends_at <= now() then excluded.ends_at else t.ends_at end
        returning t.subject, t.taken, extract(epoch from t.ends_at - now())::double precision;
    end;

create function fence.throttle_forget(how_many integer) returns bigint
    language sql security definer set search_path = data, ext
    begin atomic
        with gone as (
            delete from data.throttle t
             where t.subject in (select o.subject from data.throttle o where o.ends_at < now() order by o.subject limit how_many)
            returning 1)
        select count(*) from gone;
    end;

-- A member's sessions, in whichever workspace they go on, the newest first.
create function fence.sessions_of(workspace uuid, staff uuid)
    returns table (id uuid, workspace_id uuid, workspace_name text, created_at timestamptz, expires_at timestamptz, ip text, user_agent text)
    language sql stable security definer set search_path = data, ext
    begin atomic
        select s.id, s.workspace_id, w.name, s.created_at, s.expires_at, s.ip, s.user_agent
          from data.session s
          join data.workspace w on w.workspace_id = s.workspace_id
         where s.staff_id = staff and s.expires_at > now()
           and exists (select 1 from data.membership m where m.workspace_id = workspace and m.staff_id = staff)
         order by s.id desc;
    end;

create function fence.session_end(workspace uuid, staff uuid, session uuid) returns boolean
    language sql security definer set search_path = data, ext
    begin atomic
        with gone as (
            delete from data.session s
             where s.id = session and s.staff_id = staff
               and exists (select 1 from data.membership m where m.workspace_id = workspace and m.staff_id = staff)
            returning 1)
        select exists (select 1 from gone);
    end;
