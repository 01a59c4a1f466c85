-- Which workspaces have segments to look at: marked customers, members to count again, or an evaluation that nobody has begun.
create function fence.workspaces_with_stale_segments() returns setof uuid
    language sql stable security definer set search_path = data, ext
    begin atomic
        with recursive marked as (
            (select s.workspace_id from data.segment_stale s order by s.workspace_id limit 1)
            union all
            select (select s.workspace_id from data.segment_stale s
                     where s.workspace_id > m.workspace_id order by s.workspace_id limit 1)
              from marked m where m.workspace_id is not null)
        -- Where all marks wait for figures that are to be counted, as do the first ten thousand, there is nothing to do yet.
        select m.workspace_id
          from marked m
         where m.workspace_id is not null
           and exists (select 1
                         from (select s.customer_id, s.marked_at
                                 from data.segment_stale s
                                where s.workspace_id = m.workspace_id order by s.id limit 10000) as s
                        where (select f.customer_id from data.customer_stale f
                                where f.workspace_id = m.workspace_id and f.customer_id = s.customer_id
                                  and f.marked_at < s.marked_at + interval '10 seconds'
                                limit 1) is null)
        union
        select g.workspace_id from data.segment g
         where (g.wanted_at is not null or g.recount_due)
           and (g.recount_due
                or g.wanted_at < now() - interval '1 minute'
                   and not exists (select 1 from data.job j
                                    where j.workspace_id = g.workspace_id and j.kind = 'segments.evaluate'
                                      and j.state in ('queued', 'running')));
    end;

-- Where a segment was not evaluated yet on the day that it is there at this moment.
create function fence.workspaces_with_aged_segments(moment timestamptz) returns setof uuid
    language sql stable security definer set search_path = data, ext
    begin atomic
        select distinct g.workspace_id
          from data.segment g
          join data.workspace w on w.workspace_id = g.workspace_id
         where g.wanted_at is null and g.evaluated_on is distinct from (moment at time zone w.timezone)::date;
    end;

revoke all on all functions in schema fence from public;
grant execute on all functions in schema fence to supover_app;
