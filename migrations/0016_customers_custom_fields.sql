-- Custom fields that are declared: what their values must be, and an index of the values where it is asked for. The values
-- stand in customer.custom_fields, whatever is declared; what is read from there by type is null where it does not fit.
create table data.custom_field (
    workspace_id uuid not null references data.workspace,
    id uuid not null,
    key text not null check (key ~ '^[A-Za-z][A-Za-z0-9_]{0,99}$'),
    label text not null check (label <> ''),
    type text not null check (type in ('text', 'number', 'date', 'boolean', 'choice', 'list')),
    choices text[] not null default '{}',
    pattern text,
    description text not null default '',
    position integer not null default 0,
    is_required boolean not null default false,
    is_unique boolean not null default false check (not is_unique or type in ('text', 'number', 'date')),
    is_indexed boolean not null default false check (not is_indexed or type <> 'list'),
    index_id uuid check ((index_id is not null) = (is_indexed or is_unique)),
    index_state text not null default 'none' check (index_state in ('none', 'building', 'ready', 'conflicting', 'failed')),
    index_reason text,
    index_through uuid not null default '00000000-0000-0000-0000-000000000000',
    index_done bigint not null default 0,
    index_total bigint,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    version integer not null default 1,
    primary key (workspace_id, id)
);
comment on column data.custom_field.index_id is 'The rows of custom_field_value that are of its values as they are read now: a new one whenever they are read otherwise.';
comment on column data.custom_field.index_through is 'Customers up to this id are in the index that is being built.';
create unique index custom_field_key on data.custom_field (workspace_id, lower(key));

create table data.custom_field_stamp (
    workspace_id uuid primary key references data.workspace,
    stamp uuid not null
);
comment on table data.custom_field_stamp is 'Another one after every change of a definition, by which who remembers the definitions sees it; none where there never was one.';

create table data.custom_field_value (
    workspace_id uuid not null,
    index_id uuid not null,
    customer_id uuid not null,
    text_key text,
    number numeric,
    day date,
    holds boolean not null default false check (not holds or text_key is not null),
    primary key (workspace_id, index_id, customer_id),
    foreign key (workspace_id, customer_id) references data.customer on delete cascade
);
comment on table data.custom_field_value is 'The values of indexed and unique custom fields of living customers. A row without a key says that there is none, to an index that is being built.';
comment on column data.custom_field_value.holds is 'Nobody else may have this value: true for those of a unique field, but for who has one that another had before it was unique.';
create index custom_field_value_text on data.custom_field_value (workspace_id, index_id, text_key, customer_id);
create index custom_field_value_number on data.custom_field_value (workspace_id, index_id, number, customer_id) where number is not null;
create index custom_field_value_day on data.custom_field_value (workspace_id, index_id, day, customer_id) where day is not null;
create unique index custom_field_value_once on data.custom_field_value (workspace_id, index_id, text_key) where holds;
create index custom_field_value_clash on data.custom_field_value (workspace_id, index_id, customer_id)
    where not holds and text_key is not null;
create index custom_field_value_customer on data.custom_field_value (workspace_id, customer_id);

-- A value by its type; null for one that does not fit.
create function ext.custom_text(value jsonb) returns text
    language sql immutable parallel safe
    return case when jsonb_typeof(value) = 'string' then value #>> '{}' end;

create function ext.custom_number(value jsonb) returns numeric
    language sql immutable parallel safe
    return case jsonb_typeof(value)
               when 'number' then case when abs(value::numeric) < 1e33 then value::numeric end
               when 'string' then case when value #>> '{}' ~ '^-?[0-9]{1,33}([.][0-9]{1,33})?$' then (value #>> '{}')::numeric end
           end;

create function ext.custom_flag(value jsonb) returns boolean
    language sql immutable parallel safe
    return case when jsonb_typeof(value) = 'boolean' then value::boolean end;

create function ext.custom_choice(value jsonb, choices text[]) returns text
    language sql immutable parallel safe
    return case when jsonb_typeof(value) = 'string' and value #>> '{}' = any(choices) then value #>> '{}' end;

create function ext.custom_day(value jsonb) returns date
    language plpgsql immutable parallel safe strict as $$
declare
    written text := ext.custom_text(value);
    y integer;
    m integer;
    d integer;
begin
    if written is null or written !~ '^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$' then
        return null;
    end if;
    y := substr(written, 1, 4)::integer;
    m := substr(written, 6, 2)::integer;
    d := substr(written, 9, 2)::integer;
    if y < 1 or d > (case when m in (4, 6, 9, 11) then 30
                          when m <> 2 then 31
                          when y % 4 = 0 and (y % 100 <> 0 or y % 400 = 0) then 29 else 28 end) then
        return null;
    end if;
    return make_date(y, m, d);
end $$;

create function ext.custom_list(value jsonb) returns text[]
    language plpgsql immutable parallel safe strict as $$
begin
    if jsonb_typeof(value) <> 'array' or jsonb_path_exists(value, 'strict $[*] ? (@.type() <> "string")') then
        return null;
    end if;
    return array(select jsonb_array_elements_text(value));
end $$;

-- What two equal texts have in common: the case does not matter, and a long one still fits into an index.
create function ext.custom_key(value text) returns text
    language sql immutable parallel safe
    return case when length(value) <= 255 then lower(value) else left(lower(value), 200) || md5(lower(value)) end;

create function ext.custom_key(value jsonb, type text, choices text[]) returns text
    language sql immutable parallel safe
    return case type when 'text' then ext.custom_key(ext.custom_text(value))
                     when 'number' then trim_scale(ext.custom_number(value))::text
                     when 'date' then case when ext.custom_day(value) is not null then ext.custom_text(value) end
                     when 'boolean' then ext.custom_flag(value)::text
                     when 'choice' then ext.custom_key(ext.custom_choice(value, choices)) end;

create function ext.custom_fits(value jsonb, type text, choices text[]) returns boolean
    language sql immutable parallel safe
    return coalesce(case type when 'text' then length(ext.custom_text(value)) <= 5000
                              when 'list' then cardinality(ext.custom_list(value)) <= 100
                                               and (choices = '{}' or ext.custom_list(value) <@ choices)
                              else ext.custom_key(value, type, choices) is not null end, false);

-- Tags that differ in case alone are one.
create function ext.lower_all(tags text[]) returns text[]
    language plpgsql immutable parallel safe strict as $$
begin
    if tags = '{}' then
        return tags;
    end if;
    return array(select lower(t.tag) from unnest(tags) with ordinality as t (tag, n) order by t.n);
end $$;

update data.customer c
   set tags = array(select t.tag
                      from (select distinct on (lower(u.tag)) u.tag, u.n
                              from unnest(c.tags) with ordinality as u (tag, n)
                             order by lower(u.tag), u.n) as t
                     order by t.n),
       updated_at = now(), version = version + 1
 where c.tags <> '{}' and (select count(distinct lower(u.tag)) < count(*) from unnest(c.tags) as u (tag));

drop index data.customer_tags;
create index customer_tags on data.customer using gin (workspace_id, ext.lower_all(tags));

-- One row a tag whatever its case: the next count makes them.
delete from data.tag_count;

create table data.tag_change (
    workspace_id uuid not null references data.workspace,
    id uuid not null,
    tags text[] not null,
    into_tag text,
    actor text not null,
    actor_name text not null,
    state text not null default 'waiting' check (state in ('waiting', 'running', 'done', 'cancelled')),
    job_id uuid,
    done bigint not null default 0,
    total bigint not null,
    created_at timestamptz not null default now(),
    ended_at timestamptz check ((ended_at is null) = (state in ('waiting', 'running'))),
    primary key (workspace_id, id)
);
comment on table data.tag_change is 'A change of tags in all customers that have them, which a job makes: a workspace''s one after the other.';
comment on column data.tag_change.into_tag is 'What they become; null when they are removed.';
create index tag_change_open on data.tag_change (workspace_id, id) where ended_at is null;

-- As before, and the index of custom fields.
create or replace function fence.learn_sizes() returns void
    language plpgsql security definer set search_path = data, ext as $$
begin
    perform gin_clean_pending_list('data.customer_search');
    analyze (skip_locked) data.customer, data.customer_identity, data.customer_metrics, data.customer_stale, data."order",
            data.order_decision, data.address, data.event_log, data.custom_field_value;
end $$;
