-- Erasing goes through all tables, those to which rows are only ever added among them, so it stands here and not in the rooms.
-- Each function takes from the map privacy/personal.py what becomes of a column, as one of a few words; no text that it is
-- given is run. All of them see the session's workspace alone.

-- What is looked for comes as patterns of LIKE; as one expression, which is read through once, it is a tenth of the work.
create function ext.any_of(needles text[]) returns text
    language sql immutable parallel safe
    return (select '(' || string_agg(regexp_replace(regexp_replace(substr(n.needle, 2, length(n.needle) - 2), '\\(.)', '\1', 'g'),
                                                    '([^[:alnum:][:space:]])', '\\\1', 'g'), '|') || ')'
              from unnest(needles) as n (needle));

-- Whether a text says what is looked for, in any letters; `bare` is looked for in it without blanks and what sets numbers apart.
create function ext.says(value text, looked_for text, bare text) returns boolean
    language sql immutable parallel safe
    return coalesce(value ~* looked_for, false) or coalesce(translate(value, ' ().-/+', '') ~ bare, false);

-- A text in which what is looked for is replaced by a word that says so.
create function ext.masked(value text, looked_for text) returns text
    language sql immutable parallel safe
    return regexp_replace(value, looked_for, 'erased', 'gi');

-- The assignments that a map of column → treatment amounts to, and whether a row needs them. Raises for a column that is not
-- there and for any other word.
create function fence.personal_set(wanted text, treatments jsonb) returns text[]
    language plpgsql stable security definer set search_path = data, ext
    as $$
declare
    said text := '';
    needed text := '';
    one record;
    value text;
begin
    for one in select t.key as name, t.value #>> '{}' as treatment from jsonb_each(treatments) t order by t.key loop
        perform 1 from pg_attribute a
          where a.attrelid = format('data.%I', wanted)::regclass and a.attname = one.name and a.attnum > 0 and not a.attisdropped;
        if not found then
            raise exception 'no column % in %', one.name, wanted;
        end if;
        value := case one.treatment
            when 'null' then 'null'
            when 'empty' then ''''''
            when 'none' then '''{}'''
            when 'object' then '''{}''::jsonb'
            when 'list' then '''[]''::jsonb'
            when 'now' then format('coalesce(t.%I, now())', one.name)
            when 'false' then 'false'
            when 'random' then 'sha256(gen_random_uuid()::text::bytea || gen_random_uuid()::text::bytea)'
            when 'token' then '''erased-'' || gen_random_uuid()'
            when 'country' then format('case when t.%1$I ~ ''^[A-Z]{2}$'' then t.%1$I end', one.name)
            when 'place' then format(
                'case when t.%1$I is not null then case when t.%1$I ->> ''country'' ~ ''^[A-Z]{2}$'' '
                'then jsonb_build_object(''country'', t.%1$I -> ''country'') else ''{}'' end end', one.name)
            when 'values' then format(
                '(select coalesce(jsonb_agg(e || ''{"old": null, "new": null}''), ''[]'') from jsonb_array_elements(t.%1$I) e)', one.name)
            when 'facts' then format(
                'coalesce((select jsonb_object_agg(f.key, f.value) from jsonb_each(t.%1$I) f where f.key = any ($5)
                   and (f.key <> ''source'' or f.value #>> ''{}'' ~ ''^[A-Z_]{1,40}$'')), ''{}'') '
                '|| case when t.%1$I ? ''changes'' then ''{"changes": {}}''::jsonb else ''{}'' end', one.name)
            when 'masked' then format('coalesce(ext.masked(t.%1$I, $3), t.%1$I)', one.name)
            when 'masked_json' then format('coalesce(ext.masked(t.%1$I::text, $3)::jsonb, t.%1$I)', one.name)
            else null
        end;
        if value is null then
            raise exception 'no treatment %', one.treatment;
        end if;
        -- Of what is only ever added to, this much and no more.
        if wanted in ('event_log', 'audit_log', 'consent_entry') and (wanted, one.name, one.treatment) not in (
                ('event_log', 'data', 'facts'), ('audit_log', 'changes', 'values'), ('consent_entry', 'source', 'null'),
                ('consent_entry', 'proof', 'null'), ('consent_entry', 'contact', 'null'), ('consent_entry', 'fingerprint', 'random')) then
            raise exception '% of % is only ever added', one.name, wanted;
        end if;
        said := said || case when said = '' then '' else ', ' end || format('%I = %s', one.name, value);
        needed := needed || case when needed = '' then '' else ' or ' end
            || case when one.treatment in ('random', 'token') then 'true' else format('t.%I is distinct from %s', one.name, value) end;
    end loop;
    return array[said, '(' || needed || ')'];
end $$;

create function fence.personal_may_go(wanted text) returns void
    language plpgsql stable security definer set search_path = data, ext
    as $$ begin
        if obj_description(format('data.%I', wanted)::regclass, 'pg_class') like '%append only%' then
            raise exception '% is only ever added to', wanted;
        end if;
    end $$;

-- Rows whose key is one of these, with the treatments, or without any treatments gone; returns how many.
create function fence.personal_erase(wanted text, key_column text, keys uuid[], treatments jsonb, needles text[], harmless text[])
    returns bigint
    language plpgsql security definer set search_path = data, ext
    as $$
declare
    touched bigint;
    made text[];
begin
    if treatments is null then
        perform fence.personal_may_go(wanted);
        execute format('delete from data.%I t where t.workspace_id = $1 and t.%I = any ($2)', wanted, key_column)
          using fence.current_workspace(), keys;
    else
        made := fence.personal_set(wanted, treatments);
        execute format('update data.%I t set %s where t.workspace_id = $1 and t.%I = any ($2) and %s', wanted, made[1], key_column, made[2])
          using fence.current_workspace(), keys, ext.any_of(needles), null::text, harmless;
    end if;
    get diagnostics touched = row_count;
    return touched;
end $$;

-- Rows that say one of these in one of the columns. As above. Rows `of_nobody`
-- are those of the audit log whose subject is no customer and nothing that is a customer's.
create function fence.personal_mentions(
        wanted text, columns text[], treatments jsonb, needles text[], bare text[], harmless text[],
        of_nobody boolean) returns bigint
    language plpgsql security definer set search_path = data, ext
    as $$
declare
    touched bigint;
    said text;
begin
    select string_agg(case when a.atttypid = 'bytea'::regtype then format('encode(t.%I, ''escape'')', a.attname)
                           else format('t.%I::text', a.attname) end, ', ')
      into said
      from pg_attribute a
     where a.attrelid = format('data.%I', wanted)::regclass and a.attname = any (columns) and not a.attisdropped;
    said := format('concat_ws(chr(31), %s)', said);
    said := format('t.workspace_id = $1 and $2 is null and ext.says(%s, $3, $4)', said);
    if of_nobody then
        -- Few say it, so those are asked afterwards whose they are.
        said := 't.ctid in (with hit as materialized (select t.ctid as place from data.audit_log t where ' || said || ') select place from hit)'
            ' and t.workspace_id = $1 and not exists '
            '(select 1 from data.customer c where c.workspace_id = $1 and c.id = t.subject_id and c.erased_at is null) and not exists '
            '(select 1 from data.address a where a.workspace_id = $1 and a.id = t.subject_id) and not exists '
            '(select 1 from data.customer_note n where n.workspace_id = $1 and n.id = t.subject_id) and not exists '
            '(select 1 from data.customer_identity i where i.workspace_id = $1 and i.id = t.subject_id) and not exists '
            '(select 1 from data."order" o where o.workspace_id = $1 and o.id = t.subject_id)';
    end if;
    if wanted = 'idempotency' then
        -- That a request of privacy was made is answered the same for as long as any; it tells ids alone.
        said := said || ' and coalesce(t.headers::text, '''') not like ''%/api/privacy/%''';
    end if;
    if treatments is null then
        perform fence.personal_may_go(wanted);
        execute format('delete from data.%I t where %s', wanted, said)
          using fence.current_workspace(), null::text, ext.any_of(needles), ext.any_of(bare);
    else
        execute format('update data.%I t set %s where %s', wanted, (fence.personal_set(wanted, treatments))[1], said)
          using fence.current_workspace(), null::text, ext.any_of(needles), ext.any_of(bare), harmless;
    end if;
    get diagnostics touched = row_count;
    return touched;
end $$;

-- Facts of these customers and orders keep what is harmless. Others' facts are looked through where the two had to do with each
-- other: a contact that went from one to the other, a suspicion, an order that was somebody else's before.
create function fence.personal_facts(customers uuid[], orders uuid[], needles text[], bare text[], harmless text[]) returns bigint
    language plpgsql security definer set search_path = data, ext
    as $$
declare
    neighbours uuid[];
    touched bigint;
    more bigint;
    made constant text[] := fence.personal_set('event_log', '{"data": "facts"}');
begin
    select coalesce(array_agg(x.id), '{}') into neighbours from (
        select (e.data ->> k.name)::uuid as id
          from data.event_log e
         cross join unnest('{otherId,fromId,toId,formerId,primaryId}'::text[]) as k (name)
         where e.workspace_id = fence.current_workspace() and e.customer_id = any (customers) and e.data ? k.name
           and e.data ->> k.name ~ '^[0-9a-f-]{36}$'
        union select p.a_id from data.duplicate_pair p where p.workspace_id = fence.current_workspace() and p.b_id = any (customers)
        union select p.b_id from data.duplicate_pair p where p.workspace_id = fence.current_workspace() and p.a_id = any (customers)
    ) x where x.id <> all (customers);
    execute format('update data.event_log t set %s where t.workspace_id = $1 and t.customer_id = any ($2) and %s', made[1], made[2])
      using fence.current_workspace(), customers, ext.any_of(needles), ext.any_of(bare), harmless;
    get diagnostics touched = row_count;
    execute format('update data.event_log t set %s where t.workspace_id = $1 and t.customer_id = any ($2) '
                   'and (t.order_id = any ($6) or ext.says(t.data::text, $3, $4)) and %s', made[1], made[2])
      using fence.current_workspace(), neighbours, ext.any_of(needles), ext.any_of(bare), harmless, orders;
    get diagnostics more = row_count;
    touched := touched + more;
    -- What was told of an order while it was nobody's stands under nobody.
    if exists (select 1 from data.order_decision d
                where d.workspace_id = fence.current_workspace() and d.order_id = any (orders) and d.customer_id is null) then
        execute format('update data.event_log t set %s where t.workspace_id = $1 and t.customer_id is null and t.order_id = any ($2) '
                       'and %s', made[1], made[2])
          using fence.current_workspace(), orders, ext.any_of(needles), ext.any_of(bare), harmless;
        get diagnostics more = row_count;
        touched := touched + more;
    end if;
    return touched;
end $$;

-- Raw messages of these customers and orders, and those that say one of these and led to nobody. What is still to be worked off
-- keeps its body: it is asked then whether its person was erased, and forgotten.
create function fence.personal_messages(customers uuid[], orders uuid[], needles text[], bare text[]) returns bigint
    language plpgsql security definer set search_path = data, ext
    as $$
declare
    touched bigint;
    looked_for constant text := ext.any_of(needles);
    digits constant text := ext.any_of(bare);
begin
    update data.inbox_message m
       set body = null, reason = case when m.status = 'applied' then m.reason end
     where m.workspace_id = fence.current_workspace() and m.body is not null and m.status <> 'pending'
       and (m.customer_id = any (customers) or m.order_id = any (orders)
            or (m.status <> 'applied' or m.customer_id is null and m.order_id is null)
               and ext.says(encode(m.body, 'escape'), looked_for, digits));
    get diagnostics touched = row_count;
    return touched;
end $$;

-- All raw messages of a connection whose shop is to be forgotten, but for what is still to be worked off.
create function fence.personal_messages_of(connection uuid) returns bigint
    language sql security definer set search_path = data, ext
    begin atomic
        with gone as (
            update data.inbox_message m set body = null, reason = case when m.status = 'applied' then m.reason end
             where m.workspace_id = fence.current_workspace() and m.connection_id = connection and m.body is not null
               and m.status <> 'pending'
            returning 1)
        select count(*) from gone;
    end;

-- The rows behind these keys, as objects of these columns.
create function fence.personal_rows(wanted text, key_column text, keys uuid[], columns text[]) returns setof jsonb
    language plpgsql stable security definer set search_path = data, ext
    as $$
declare
    said text;
    sorted text;
begin
    select string_agg(format('%L, t.%I', c.name, c.name), ', ' order by c.n) into said from unnest(columns) with ordinality as c (name, n);
    select string_agg(format('t.%I', a.attname), ', ' order by k.n) into sorted
      from pg_index i
     cross join unnest(i.indkey) with ordinality as k (attnum, n)
      join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum
     where i.indrelid = format('data.%I', wanted)::regclass and i.indisprimary;
    return query execute format('select jsonb_build_object(%s) from data.%I t where t.workspace_id = $1 and t.%I = any ($2) order by %s',
                                said, wanted, key_column, sorted)
      using fence.current_workspace(), keys;
end $$;

-- What is being exported at this moment was read before, and would appear afterwards: it is ended, to be made again.
create function fence.personal_exports_end() returns bigint
    language sql security definer set search_path = data, ext
    begin atomic
        with ended as (
            update data.export_run r set status = 'cancelled', finished_at = now(), error = 'Somebody was erased meanwhile.'
             where r.workspace_id = fence.current_workspace() and r.status = 'running'
            returning 1)
        select count(*) from ended;
    end;

-- A log that is kept for so long: rows before this id go, so many at a time.
create function fence.audit_forget(before uuid, how_many integer) returns bigint
    language sql security definer set search_path = data, ext
    begin atomic
        with gone as (
            delete from data.audit_log a
             using (select o.id from data.audit_log o
                     where o.workspace_id = fence.current_workspace() and o.id < before order by o.id limit how_many) old
             where a.workspace_id = fence.current_workspace() and a.id = old.id
            returning 1)
        select count(*) from gone;
    end;

-- Answers to keys are kept for as long as each workspace wants them to be; never shorter than what is asked for here.
create or replace function fence.idempotency_forget(older_than interval, how_many integer) returns bigint
    language sql security definer set search_path = data, ext
    begin atomic
        with gone as (
            delete from data.idempotency i
             using (select o.workspace_id, o.caller, o.key
                      from data.workspace w
                      left join data.privacy_setting s on s.workspace_id = w.workspace_id
                     cross join lateral (
                           select k.workspace_id, k.caller, k.key from data.idempotency k
                            where k.workspace_id = w.workspace_id
                              and k.created_at < now() - greatest(older_than, coalesce(s.idempotency_hours, 24) * interval '1 hour')
                            order by k.created_at limit how_many) o
                     limit how_many) old
             where i.workspace_id = old.workspace_id and i.caller = old.caller and i.key = old.key
            returning 1)
        select count(*) from gone;
    end;

-- Links to files lead to what was made of a person, too.
create or replace function fence.export_of_file(wanted text)
    returns table (workspace_id uuid, id uuid, format text, file_name text)
    language sql stable security definer set search_path = data, ext
    set enable_seqscan = off
    begin atomic
        select r.workspace_id, r.id, r.format, r.file_name
          from data.workspace w
          join data.export_run r on r.workspace_id = w.workspace_id and r.file_key = wanted
         where r.deleted_at is null
        union all
        select p.workspace_id, p.id, 'json', 'personal-data.json'
          from data.workspace w
          join data.privacy_request p on p.workspace_id = w.workspace_id and p.file_key = wanted
        union all
        select p.workspace_id, p.id, 'html', 'personal-data.html'
          from data.workspace w
          join data.privacy_request p on p.workspace_id = w.workspace_id and p.page_key = wanted;
    end;

revoke all on all functions in schema fence from public;
grant execute on all functions in schema fence to supover_app;
