-- Exports: what a cell of a file says, and the files that are made in the background.

-- Word for word the rule of kit/tables: a cell that a spreadsheet would run gets an apostrophe, and so does one that begins
-- with an apostrophe, or taking it off again would change it. The numbers are = + - @ TAB CR ' and the wide = + - @. Nothing
-- is null, so that it is nothing between commas.
create function ext.guarded(cell text) returns text
    language sql immutable parallel safe
    return case when cell = '' then null
                when ascii(cell) = any ('{9,13,39,43,45,61,64,65291,65293,65309,65312}'::integer[]) then '''' || cell
                else cell end;

-- A phone number stays as people write it.
create function ext.phone_cell(phone text) returns text
    language sql immutable parallel safe
    return case when phone ~ '[^-+0-9 ().]' then ext.guarded(phone) else nullif(phone, '') end;

-- Joined by semicolons; one that holds a comma, a semicolon or a quote stands in quotes. Null when there are none.
create function ext.tags_cell(tags text[], guard boolean) returns text
    language plpgsql immutable strict parallel safe as $$
declare
    cell text := array_to_string(tags, ';');
begin
    if array_to_string(tags, '') ~ '[,;"]' then
        cell := array_to_string(array(
            select case when t.tag ~ '[,;"]' then '"' || replace(t.tag, '"', '""') || '"' else t.tag end
              from unnest(tags) with ordinality as t (tag, n) order by t.n), ';');
    end if;
    return nullif(case when guard then ext.guarded(cell) else cell end, '');
end $$;

-- Text as it is, a number plain, a list of texts as tags are, anything else as JSON. A number is guarded like a text unless
-- its column is one of numbers: the minus of another would else be a text's minus at the next export.
create function ext.custom_cell(value jsonb, guard boolean, is_number boolean) returns text
    language plpgsql immutable strict parallel safe as $$
begin
    case jsonb_typeof(value)
        when 'string' then
            return nullif(case when guard then ext.guarded(value #>> '{}') else value #>> '{}' end, '');
        when 'number' then
            return case when guard and not is_number then ext.guarded(value::text) else value::text end;
        when 'null' then
            return null;
        when 'array' then
            if not jsonb_path_exists(value, 'strict $[*] ? (@.type() <> "string")') then
                return ext.tags_cell(array(select jsonb_array_elements_text(value)), guard);
            end if;
            return value::text;
        else
            return value::text;
    end case;
end $$;

-- In UTC, to the microsecond where there are any.
create function ext.time_cell(at timestamptz) returns text
    language sql stable parallel safe
    return rtrim(rtrim(to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US'), '0'), '.') || 'Z';

create table data.export_run (
    workspace_id uuid not null references data.workspace,
    id uuid not null,
    kind text not null check (kind in ('customers', 'addresses', 'orders')),
    format text not null check (format in ('csv', 'xlsx', 'jsonl', 'parquet')),
    status text not null check (status in ('queued', 'running', 'completed', 'failed', 'cancelled')),
    asked jsonb not null,
    file_name text not null,
    file_key text,
    rows bigint not null default 0,
    bytes bigint,
    error text,
    actor text not null,
    created_at timestamptz not null default now(),
    started_at timestamptz,
    finished_at timestamptz,
    deleted_at timestamptz,
    primary key (workspace_id, id)
);
comment on column data.export_run.asked is 'What was asked for, as it came.';
comment on column data.export_run.deleted_at is 'Nobody sees it any more; a job forgets its file, then the row.';
create unique index export_run_file on data.export_run (workspace_id, file_key);
