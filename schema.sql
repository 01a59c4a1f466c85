CREATE SCHEMA data;

CREATE SCHEMA ext;

CREATE SCHEMA fence;

COMMENT ON SCHEMA fence IS 'Made by supover migrate: 638f7cb73dab9dce.';

CREATE EXTENSION IF NOT EXISTS btree_gin WITH SCHEMA ext;

COMMENT ON EXTENSION btree_gin IS 'support for indexing common datatypes in GIN';

CREATE EXTENSION IF NOT EXISTS pg_trgm WITH SCHEMA ext;

COMMENT ON EXTENSION pg_trgm IS 'text similarity measurement and index searching based on trigrams';

CREATE EXTENSION IF NOT EXISTS unaccent WITH SCHEMA ext;

COMMENT ON EXTENSION unaccent IS 'text search dictionary that removes accents';

CREATE FUNCTION ext.any_of(needles text[]) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (SELECT (('('::text || string_agg(regexp_replace(regexp_replace(substr(n.needle, 2, (length(n.needle) - 2)), '\\(.)'::text, '\1'::text, 'g'::text), '([^[:alnum:][:space:]])'::text, '\\\1'::text, 'g'::text), '|'::text)) || ')'::text) FROM unnest(any_of.needles) n(needle));

CREATE FUNCTION ext.custom_cell(value jsonb, guard boolean, is_number boolean) RETURNS text
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
    AS $_$
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
end $_$;

CREATE FUNCTION ext.custom_choice(value jsonb, choices text[]) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN ((jsonb_typeof(value) = 'string'::text) AND ((value #>> '{}'::text[]) = ANY (choices))) THEN (value #>> '{}'::text[]) ELSE NULL::text END;

CREATE FUNCTION ext.custom_day(value jsonb) RETURNS date
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
    AS $_$
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
end $_$;

CREATE FUNCTION ext.custom_flag(value jsonb) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN (jsonb_typeof(value) = 'boolean'::text) THEN (value)::boolean ELSE NULL::boolean END;

CREATE FUNCTION ext.custom_key(value text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN (length(value) <= 255) THEN lower(value) ELSE ("left"(lower(value), 200) || md5(lower(value))) END;

CREATE FUNCTION ext.custom_number(value jsonb) RETURNS numeric
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE jsonb_typeof(value) WHEN 'number'::text THEN CASE WHEN (abs((value)::numeric) < '1000000000000000000000000000000000'::numeric) THEN (value)::numeric ELSE NULL::numeric END WHEN 'string'::text THEN CASE WHEN ((value #>> '{}'::text[]) ~ '^-?[0-9]{1,33}([.][0-9]{1,33})?$'::text) THEN ((value #>> '{}'::text[]))::numeric ELSE NULL::numeric END ELSE NULL::numeric END;

CREATE FUNCTION ext.custom_text(value jsonb) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN (jsonb_typeof(value) = 'string'::text) THEN (value #>> '{}'::text[]) ELSE NULL::text END;

CREATE FUNCTION ext.custom_key(value jsonb, type text, choices text[]) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE type WHEN 'text'::text THEN ext.custom_key(ext.custom_text(value)) WHEN 'number'::text THEN (trim_scale(ext.custom_number(value)))::text WHEN 'date'::text THEN CASE WHEN (ext.custom_day(value) IS NOT NULL) THEN ext.custom_text(value) ELSE NULL::text END WHEN 'boolean'::text THEN (ext.custom_flag(value))::text WHEN 'choice'::text THEN ext.custom_key(ext.custom_choice(value, choices)) ELSE NULL::text END;

CREATE FUNCTION ext.custom_list(value jsonb) RETURNS text[]
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
    AS $_$
begin
    if jsonb_typeof(value) <> 'array' or jsonb_path_exists(value, 'strict $[*] ? (@.type() <> "string")') then
        return null;
    end if;
    return array(select jsonb_array_elements_text(value));
end $_$;

CREATE FUNCTION ext.custom_fits(value jsonb, type text, choices text[]) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN COALESCE(CASE type WHEN 'text'::text THEN (length(ext.custom_text(value)) <= 5000) WHEN 'list'::text THEN ((cardinality(ext.custom_list(value)) <= 100) AND ((choices = '{}'::text[]) OR (ext.custom_list(value) <@ choices))) ELSE (ext.custom_key(value, type, choices) IS NOT NULL) END, false);

CREATE FUNCTION ext.fold(value text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
    AS $$ begin return lower(ext.unaccent('ext.unaccent'::regdictionary, value)); end $$;

CREATE FUNCTION ext.guarded(cell text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN (cell = ''::text) THEN NULL::text WHEN (ascii(cell) = ANY ('{9,13,39,43,45,61,64,65291,65293,65309,65312}'::integer[])) THEN (''''::text || cell) ELSE cell END;

CREATE FUNCTION ext.lower_all(tags text[]) RETURNS text[]
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
    AS $$
begin
    if tags = '{}' then
        return tags;
    end if;
    return array(select lower(t.tag) from unnest(tags) with ordinality as t (tag, n) order by t.n);
end $$;

CREATE FUNCTION ext.masked(value text, looked_for text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN regexp_replace(value, looked_for, 'erased'::text, 'gi'::text);

CREATE FUNCTION ext.phone_cell(phone text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN (phone ~ '[^-+0-9 ().]'::text) THEN ext.guarded(phone) ELSE NULLIF(phone, ''::text) END;

CREATE FUNCTION ext.says(value text, looked_for text, bare text) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (COALESCE((value ~* looked_for), false) OR COALESCE((translate(value, ' ().-/+'::text, ''::text) ~ bare), false));

CREATE FUNCTION ext.search_pattern(term text) RETURNS text
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN (('%'::text || replace(replace(replace(ext.fold(term), '\'::text, '\\'::text), '%'::text, '\%'::text), '_'::text, '\_'::text)) || '%'::text);

CREATE FUNCTION ext.tags_cell(tags text[], guard boolean) RETURNS text
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
    AS $$
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

CREATE FUNCTION ext.time_cell(at timestamp with time zone) RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN (rtrim(rtrim(to_char((at AT TIME ZONE 'UTC'::text), 'YYYY-MM-DD"T"HH24:MI:SS.US'::text), '0'::text), '.'::text) || 'Z'::text);

CREATE TABLE data.workspace (
    workspace_id uuid NOT NULL,
    name text NOT NULL,
    currency text NOT NULL,
    digits smallint NOT NULL,
    timezone text NOT NULL,
    counting_statuses text[] NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    version integer DEFAULT 1 NOT NULL,
    CONSTRAINT workspace_currency_check CHECK ((currency ~ '^[A-Z]{3}$'::text)),
    CONSTRAINT workspace_digits_check CHECK (((digits >= 0) AND (digits <= 4))),
    CONSTRAINT workspace_name_check CHECK ((name <> ''::text))
);

COMMENT ON TABLE data.workspace IS 'A seller. Its currency is fixed after the first order.';

CREATE FUNCTION fence.all_workspaces() RETURNS SETOF uuid
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'data', 'ext'
    BEGIN ATOMIC
 SELECT workspace.workspace_id
    FROM data.workspace
   ORDER BY workspace.workspace_id;
END;

CREATE FUNCTION fence.current_workspace() RETURNS uuid
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN (NULLIF(current_setting('app.workspace'::text, true), ''::text))::uuid;

CREATE TABLE data.audit_log (
    workspace_id uuid NOT NULL,
    id uuid NOT NULL,
    at timestamp with time zone DEFAULT now() NOT NULL,
    actor text NOT NULL,
    action text NOT NULL,
    subject_id uuid,
    request_id text,
    ip text,
    changes jsonb DEFAULT '[]'::jsonb NOT NULL
);

COMMENT ON TABLE data.audit_log IS 'append only: every write, by whom, with old and new values.';

CREATE FUNCTION fence.audit_forget(before uuid, how_many integer) RETURNS bigint
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'data', 'ext'
    BEGIN ATOMIC
 WITH gone AS (
          DELETE FROM data.audit_log a
            USING ( SELECT o.id
                    FROM data.audit_log o
                   WHERE ((o.workspace_id = fence.current_workspace()) AND (o.id < audit_forget.before))
                   ORDER BY o.id
                  LIMIT audit_forget.how_many) old
           WHERE ((a.workspace_id = fence.current_workspace()) AND (a.id = old.id))
           RETURNING 1 AS "?column?"
         )
  SELECT count(*) AS count
    FROM gone;
END;

CREATE TABLE data.channel_connection (
    workspace_id uuid NOT NULL,
    id uuid NOT NULL,
    platform text NOT NULL,
    shop text NOT NULL,
    name text NOT NULL,
    secret bytea,
    former_secret bytea,
    former_secret_until timestamp with time zone,
    last_received_at timestamp with time zone,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    disconnected_at timestamp with time zone,
    version integer DEFAULT 1 NOT NULL,
    CONSTRAINT channel_connection_check CHECK (((secret IS NULL) = (disconnected_at IS NOT NULL))),
    CONSTRAINT channel_connection_name_check CHECK ((name <> ''::text))
);

COMMENT ON COLUMN data.channel_connection.secret IS 'Sealed. The former one is accepted too until its time is over; a disconnected connection has none.';

CREATE FUNCTION fence.channel_by_id(wanted uuid) RETURNS TABLE(workspace_id uuid, platform text, shop text, secret bytea, former_secret bytea, former_secret_until timestamp with time zone)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'data', 'ext'
    BEGIN ATOMIC
 SELECT c.workspace_id,
     c.platform,
     c.shop,
     c.secret,
     c.former_secret,
     c.former_secret_until
    FROM data.channel_connection c
   WHERE ((c.id = channel_by_id.wanted) AND (c.disconnected_at IS NULL));
END;

CREATE FUNCTION fence.check_references() RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'data', 'ext'
    AS $$
begin
    perform set_config('session_replication_role', 'origin', true);
exception when insufficient_privilege then
    return;
end $$;

CREATE TABLE data.consent_entry (
    workspace_id uuid NOT NULL,
    id uuid NOT NULL,
    customer_id uuid NOT NULL,
    channel text NOT NULL,
    topic text NOT NULL,
    state text NOT NULL,
    opt_in_level text NOT NULL,
    source text,
    at timestamp with time zone NOT NULL,
    received_at timestamp with time zone NOT NULL,
    proof jsonb,
    policy_version text,
    fingerprint bytea NOT NULL,
    contact text,
    contact_hash bytea,
    actor text NOT NULL,
    origin text NOT NULL,
    CONSTRAINT consent_entry_channel_check CHECK ((channel = ANY (ARRAY['email'::text, 'sms'::text, 'whatsapp'::text, 'phone'::text, 'post'::text]))),
    CONSTRAINT consent_entry_opt_in_level_check CHECK ((opt_in_level = ANY (ARRAY['SINGLE_OPT_IN'::text, 'CONFIRMED_OPT_IN'::text, 'UNKNOWN'::text]))),
    CONSTRAINT consent_entry_origin_check CHECK ((origin = ANY (ARRAY['live'::text, 'import'::text]))),
    CONSTRAINT consent_entry_state_check CHECK ((state = ANY (ARRAY['SUBSCRIBED'::text, 'PENDING'::text, 'UNSUBSCRIBED'::text, 'INVALID'::text, 'REDACTED'::text]))),
    CONSTRAINT consent_entry_topic_check CHECK ((topic = ANY (ARRAY['marketing'::text, 'transactional'::text, 'review_requests'::text, 'surveys'::text])))
);

COMMENT ON TABLE data.consent_entry IS 'append only: of one customer, channel and topic the entry with the latest time says what holds.';

COMMENT ON COLUMN data.consent_entry.fingerprint IS 'SHA-256 of all that was said but when, a no also of which contact: the same said twice is one entry, and decides between two of one time.';

COMMENT ON COLUMN data.consent_entry.contact IS 'What would have been written to, as it was then.';

COMMENT ON COLUMN data.consent_entry.contact_hash IS 'The contact under the workspace''s key of suppression_key; it stays when the contact is forgotten.';

CREATE FUNCTION fence.consent_unmake(customer_ids uuid[]) RETURNS bigint
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'data', 'ext'
    BEGIN ATOMIC
 WITH gone AS (
          DELETE FROM data.consent_entry e
           WHERE ((e.workspace_id = fence.current_workspace()) AND (e.customer_id = ANY (consent_unmake.customer_ids)))
           RETURNING 1 AS "?column?"
         )
  SELECT count(*) AS count
    FROM gone;
END;

CREATE TABLE data.customer_merge_row (
    workspace_id uuid NOT NULL,
    merge_id uuid NOT NULL,
    kind text NOT NULL,
    former_id uuid NOT NULL,
    row_id uuid NOT NULL,
    deed text NOT NULL,
    before jsonb,
    stayed text,
    CONSTRAINT customer_merge_row_deed_check CHECK ((deed = ANY (ARRAY['moved'::text, 'removed'::text, 'changed'::text, 'added'::text])))
);

COMMENT ON TABLE data.customer_merge_row IS 'What a merge did, a row each, as long as it can be undone.';

COMMENT ON COLUMN data.customer_merge_row.kind IS 'The table, or what of it.';

COMMENT ON COLUMN data.customer_merge_row.former_id IS 'The customer whose it was.';

COMMENT ON COLUMN data.customer_merge_row.before IS 'Of a removed row all of it, of a changed one what was changed.';

COMMENT ON COLUMN data.customer_merge_row.stayed IS 'While it is being undone: why this could not be put back.';

CREATE FUNCTION fence.consent_unmerge(merge_id uuid) RETURNS TABLE(customer_id uuid, channel text, topic text)
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'data', 'ext'
    BEGIN ATOMIC
 DELETE FROM data.consent_entry e
    USING data.customer_merge_row r
   WHERE ((r.workspace_id = fence.current_workspace()) AND (r.merge_id = consent_unmerge.merge_id) AND (r.kind = 'consent_entry'::text) AND (r.deed = 'added'::text) AND (e.workspace_id = fence.current_workspace()) AND (e.id = r.row_id))
   RETURNING e.customer_id,
     e.channel,
     e.topic;
END;

CREATE FUNCTION fence.consent_unsay(entry_ids uuid[]) RETURNS TABLE(customer_id uuid, channel text, topic text)
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'data', 'ext'
    BEGIN ATOMIC
 DELETE FROM data.consent_entry e
   WHERE ((e.workspace_id = fence.current_workspace()) AND (e.id = ANY (consent_unsay.entry_ids)) AND (e.state = 'SUBSCRIBED'::text) AND (e.origin = 'import'::text))
   RETURNING e.customer_id,
     e.channel,
     e.topic;
END;

CREATE FUNCTION fence.currency_digits(currency text) RETURNS integer
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN (currency = ANY ('{BIF,CLP,DJF,GNF,ISK,JPY,KMF,KRW,PYG,RWF,UGX,UYI,VND,VUV,XAF,XOF,XPF}'::text[])) THEN 0 WHEN (currency = ANY ('{BHD,IQD,JOD,KWD,LYD,OMR,TND}'::text[])) THEN 3 WHEN (currency = ANY ('{CLF,UYW}'::text[])) THEN 4 ELSE 2 END;

CREATE TABLE data.event_log (
    workspace_id uuid NOT NULL,
    tx xid8 DEFAULT pg_current_xact_id() NOT NULL,
    id uuid NOT NULL,
    kind text NOT NULL,
    at timestamp with time zone NOT NULL,
    customer_id uuid,
    order_id uuid,
    actor text NOT NULL,
    origin text NOT NULL,
    data jsonb NOT NULL,
    CONSTRAINT event_log_origin_check CHECK ((origin = ANY (ARRAY['live'::text, 'import'::text])))
);

COMMENT ON TABLE data.event_log IS 'append only: facts in the order in which their transactions began; readers stop before the oldest one still running.';

CREATE FUNCTION fence.event_log_rebase() RETURNS bigint
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'data', 'ext'
    BEGIN ATOMIC
 WITH moved AS (
          UPDATE data.event_log SET tx = '0'::xid8
           WHERE (event_log.tx > pg_current_xact_id())
           RETURNING 1 AS "?column?"
         )
  SELECT count(*) AS count
    FROM moved;
END;

CREATE TABLE data.export_run (
    workspace_id uuid NOT NULL,
    id uuid NOT NULL,
    kind text NOT NULL,
    format text NOT NULL,
    status text NOT NULL,
    asked jsonb NOT NULL,
    file_name text NOT NULL,
    file_key text,
    rows bigint DEFAULT 0 NOT NULL,
    bytes bigint,
    error text,
    actor text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    started_at timestamp with time zone,
    finished_at timestamp with time zone,
    deleted_at timestamp with time zone,
    CONSTRAINT export_run_format_check CHECK ((format = ANY (ARRAY['csv'::text, 'xlsx'::text, 'jsonl'::text, 'parquet'::text]))),
    CONSTRAINT export_run_kind_check CHECK ((kind = ANY (ARRAY['customers'::text, 'addresses'::text, 'orders'::text]))),
    CONSTRAINT export_run_status_check CHECK ((status = ANY (ARRAY['queued'::text, 'running'::text, 'completed'::text, 'failed'::text, 'cancelled'::text])))
);

COMMENT ON COLUMN data.export_run.asked IS 'What was asked for, as it came.';

COMMENT ON COLUMN data.export_run.deleted_at IS 'Nobody sees it any more; a job forgets its file, then the row.';

CREATE TABLE data.privacy_request (
    workspace_id uuid NOT NULL,
    id uuid NOT NULL,
    kind text NOT NULL,
    status text NOT NULL,
    customer_id uuid,
    origin text NOT NULL,
    connection_id uuid,
    message_id uuid,
    order_external_ids text[] DEFAULT '{}'::text[] NOT NULL,
    reason text,
    actor text NOT NULL,
    actor_name text NOT NULL,
    run_at timestamp with time zone NOT NULL,
    due_at timestamp with time zone NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    started_at timestamp with time zone,
    finished_at timestamp with time zone,
    cancelled_by text,
    error text,
    file_key text,
    page_key text,
    certificate jsonb,
    version integer DEFAULT 1 NOT NULL,
    CONSTRAINT privacy_request_kind_check CHECK ((kind = ANY (ARRAY['export'::text, 'erase'::text, 'erase_shop'::text]))),
    CONSTRAINT privacy_request_origin_check CHECK ((origin = ANY (ARRAY['staff'::text, 'channel'::text, 'retention'::text, 'replay'::text]))),
    CONSTRAINT privacy_request_status_check CHECK ((status = ANY (ARRAY['pending'::text, 'running'::text, 'completed'::text, 'cancelled'::text, 'failed'::text])))
);

COMMENT ON TABLE data.privacy_request IS 'Somebody wants to know what is kept of them, or wants it gone. A pending erasure of a customer blocks merging.';

COMMENT ON COLUMN data.privacy_request.customer_id IS 'Null: the channel asked for somebody who is not known here, or for a whole shop.';

COMMENT ON COLUMN data.privacy_request.order_external_ids IS 'Orders that the channel named, by its own ids.';

COMMENT ON COLUMN data.privacy_request.run_at IS 'When an erasure runs; until then it can be cancelled.';

COMMENT ON COLUMN data.privacy_request.file_key IS 'The export as JSON, and page_key as a page to read.';

COMMENT ON COLUMN data.privacy_request.certificate IS 'What was erased where: table → rows. It holds nothing of the person.';

CREATE FUNCTION fence.export_of_file(wanted text) RETURNS TABLE(workspace_id uuid, id uuid, format text, file_name text)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'data', 'ext'
    SET enable_seqscan TO 'off'
    BEGIN ATOMIC
 SELECT r.workspace_id,
     r.id,
     r.format,
     r.file_name
    FROM (data.workspace w
      JOIN data.export_run r ON (((r.workspace_id = w.workspace_id) AND (r.file_key = export_of_file.wanted))))
   WHERE (r.deleted_at IS NULL)
 UNION ALL
  SELECT p.workspace_id,
     p.id,
     'json'::text,
     'personal-data.json'::text
    FROM (data.workspace w
      JOIN data.privacy_request p ON (((p.workspace_id = w.workspace_id) AND (p.file_key = export_of_file.wanted))))
 UNION ALL
  SELECT p.workspace_id,
     p.id,
     'html'::text,
     'personal-data.html'::text
    FROM (data.workspace w
      JOIN data.privacy_request p ON (((p.workspace_id = w.workspace_id) AND (p.page_key = export_of_file.wanted))));
END;

CREATE TABLE data.idempotency (
    workspace_id uuid NOT NULL,
    caller text NOT NULL,
    key text NOT NULL,
    request_hash bytea NOT NULL,
    status smallint,
    headers jsonb,
    body bytea,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT idempotency_key_check CHECK (((length(key) >= 1) AND (length(key) <= 255)))
);

COMMENT ON TABLE data.idempotency IS 'Answers to POSTs that carried an Idempotency-Key, kept for 24 hours.';

CREATE TABLE data.privacy_setting (
    workspace_id uuid NOT NULL,
    erase_delay_days integer DEFAULT 0 NOT NULL,
    raw_webhook_days integer DEFAULT 30 NOT NULL,
    import_file_days integer DEFAULT 7 NOT NULL,
    export_file_days integer DEFAULT 7 NOT NULL,
    idempotency_hours integer DEFAULT 24 NOT NULL,
    audit_days integer,
    inactive_customer_months integer,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    version integer DEFAULT 1 NOT NULL,
    CONSTRAINT privacy_setting_audit_days_check CHECK (((audit_days >= 30) AND (audit_days <= 3660))),
    CONSTRAINT privacy_setting_erase_delay_days_check CHECK (((erase_delay_days >= 0) AND (erase_delay_days <= 30))),
    CONSTRAINT privacy_setting_export_file_days_check CHECK (((export_file_days >= 1) AND (export_file_days <= 90))),
    CONSTRAINT privacy_setting_idempotency_hours_check CHECK (((idempotency_hours >= 24) AND (idempotency_hours <= 720))),
    CONSTRAINT privacy_setting_import_file_days_check CHECK (((import_file_days >= 1) AND (import_file_days <= 90))),
    CONSTRAINT privacy_setting_inactive_customer_months_check CHECK (((inactive_customer_months >= 6) AND (inactive_customer_months <= 240))),
    CONSTRAINT privacy_setting_raw_webhook_days_check CHECK (((raw_webhook_days >= 1) AND (raw_webhook_days <= 365)))
);

COMMENT ON TABLE data.privacy_setting IS 'For how long things are kept; a workspace without a row keeps them as the defaults say. Null: for ever.';

CREATE FUNCTION fence.idempotency_forget(older_than interval, how_many integer) RETURNS bigint
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'data', 'ext'
    BEGIN ATOMIC
 WITH gone AS (
          DELETE FROM data.idempotency i
            USING ( SELECT o.workspace_id,
                     o.caller,
                     o.key
                    FROM ((data.workspace w
                      LEFT JOIN data.privacy_setting s ON ((s.workspace_id = w.workspace_id)))
                      CROSS JOIN LATERAL ( SELECT k.workspace_id,
                             k.caller,
                             k.key
                            FROM data.idempotency k
                           WHERE ((k.workspace_id = w.workspace_id) AND (k.created_at < (now() - GREATEST(idempotency_forget.older_than, ((COALESCE(s.idempotency_hours, 24))::double precision * '01:00:00'::interval)))))
                           ORDER BY k.created_at
                          LIMIT idempotency_forget.how_many) o)
                  LIMIT idempotency_forget.how_many) old
           WHERE ((i.workspace_id = old.workspace_id) AND (i.caller = old.caller) AND (i.key = old.key))
           RETURNING 1 AS "?column?"
         )
  SELECT count(*) AS count
    FROM gone;
END;

CREATE TABLE data.invitation (
    workspace_id uuid NOT NULL,
    id uuid NOT NULL,
    email text NOT NULL,
    name text NOT NULL,
    role text NOT NULL,
    code_hash bytea NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    CONSTRAINT invitation_role_check CHECK ((role = ANY (ARRAY['owner'::text, 'admin'::text, 'agent'::text, 'viewer'::text])))
);

COMMENT ON TABLE data.invitation IS 'becomes a membership when its person accepts it; knows nothing of whether they have an account.';

CREATE FUNCTION fence.invitation_by_code(code_hash bytea, wanted text) RETURNS TABLE(workspace_id uuid, id uuid, email text, name text)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'data', 'ext'
    BEGIN ATOMIC
 SELECT i.workspace_id,
     i.id,
     i.email,
     i.name
    FROM data.invitation i
   WHERE ((i.code_hash = invitation_by_code.code_hash) AND (lower(i.email) = lower(invitation_by_code.wanted)) AND (i.expires_at > now()));
END;

CREATE TABLE data.job (
    workspace_id uuid,
    id uuid NOT NULL,
    kind text NOT NULL,
    args jsonb DEFAULT '{}'::jsonb NOT NULL,
    state text DEFAULT 'queued'::text NOT NULL,
    singleton text,
    run_at timestamp with time zone DEFAULT now() NOT NULL,
    waiting boolean DEFAULT false NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    max_attempts integer DEFAULT 5 NOT NULL,
    lost integer DEFAULT 0 NOT NULL,
    cancelling boolean DEFAULT false NOT NULL,
    worker text,
    lease_until timestamp with time zone,
    progress jsonb,
    error text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    finished_at timestamp with time zone,
    CONSTRAINT job_max_attempts_check CHECK ((max_attempts > 0)),
    CONSTRAINT job_state_check CHECK ((state = ANY (ARRAY['queued'::text, 'running'::text, 'done'::text, 'dead'::text, 'cancelled'::text])))
)
WITH (autovacuum_vacuum_scale_factor='0.02', autovacuum_vacuum_threshold='500');

COMMENT ON TABLE data.job IS 'Work for later. A null workspace_id is the house''s own housekeeping.';

COMMENT ON COLUMN data.job.singleton IS 'Of one workspace, kind and singleton at most one job is queued and at most one runs.';

COMMENT ON COLUMN data.job.waiting IS 'Queued for later: kept out of the way of what is due, until a worker sees that its time has come.';

COMMENT ON COLUMN data.job.lost IS 'How often its worker was lost while it ran; from the first time on it runs in a process of its own.';

CREATE FUNCTION fence.job_beat(by_worker text, running uuid[], new_leases interval[], new_progress jsonb[]) RETURNS TABLE(id uuid, cancelling boolean)
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'data', 'ext'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    BEGIN ATOMIC
 WITH kept AS (
          UPDATE data.job j SET lease_until = COALESCE((now() + b.lease), j.lease_until), progress = COALESCE(b.progress, j.progress)
            FROM UNNEST(job_beat.running, job_beat.new_leases, job_beat.new_progress) b(id, lease, progress)
           WHERE ((j.id = b.id) AND (j.worker = job_beat.by_worker) AND (j.state = 'running'::text) AND ((b.lease IS NOT NULL) OR (b.progress IS NOT NULL)))
           RETURNING j.id,
             j.cancelling
         )
  SELECT k.id,
     k.cancelling
    FROM kept k
 UNION ALL
  SELECT j.id,
     j.cancelling
    FROM (UNNEST(job_beat.running, job_beat.new_leases, job_beat.new_progress) b(id, lease, progress)
      JOIN data.job j ON (((j.id = b.id) AND (j.worker = job_beat.by_worker) AND (j.state = 'running'::text))))
   WHERE ((b.lease IS NULL) AND (b.progress IS NULL));
END;

CREATE FUNCTION fence.job_claim(by_worker text, kinds text[], leases interval[], how_many integer, most_each integer, served uuid DEFAULT '00000000-0000-0000-0000-000000000000'::uuid) RETURNS TABLE(workspace_id uuid, id uuid, kind text, args jsonb, attempts integer, max_attempts integer, lost integer)
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'data', 'ext'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET enable_material TO 'off'
    BEGIN ATOMIC
 UPDATE data.job w SET waiting = false
   WHERE (w.id IN ( SELECT q.id
            FROM data.job q
           WHERE ((q.state = 'queued'::text) AND q.waiting AND (q.run_at <= now()))
           ORDER BY q.run_at
          LIMIT 1000
          FOR UPDATE OF q SKIP LOCKED));
 WITH RECURSIVE onward AS (
         ( SELECT COALESCE(q.workspace_id, '00000000-0000-0000-0000-000000000000'::uuid) AS key
            FROM data.job q
           WHERE ((q.state = 'queued'::text) AND (NOT q.waiting) AND (COALESCE(q.workspace_id, '00000000-0000-0000-0000-000000000000'::uuid) > job_claim.served))
           ORDER BY COALESCE(q.workspace_id, '00000000-0000-0000-0000-000000000000'::uuid)
          LIMIT 1)
         UNION ALL
          SELECT ( SELECT COALESCE(q.workspace_id, '00000000-0000-0000-0000-000000000000'::uuid) AS "coalesce"
                    FROM data.job q
                   WHERE ((q.state = 'queued'::text) AND (NOT q.waiting) AND (COALESCE(q.workspace_id, '00000000-0000-0000-0000-000000000000'::uuid) > o.key))
                   ORDER BY COALESCE(q.workspace_id, '00000000-0000-0000-0000-000000000000'::uuid)
                  LIMIT 1) AS "coalesce"
            FROM onward o
           WHERE (o.key IS NOT NULL)
         ), again AS (
         ( SELECT COALESCE(q.workspace_id, '00000000-0000-0000-0000-000000000000'::uuid) AS key
            FROM data.job q
           WHERE ((q.state = 'queued'::text) AND (NOT q.waiting) AND (COALESCE(q.workspace_id, '00000000-0000-0000-0000-000000000000'::uuid) <= job_claim.served))
           ORDER BY COALESCE(q.workspace_id, '00000000-0000-0000-0000-000000000000'::uuid)
          LIMIT 1)
         UNION ALL
          SELECT ( SELECT COALESCE(q.workspace_id, '00000000-0000-0000-0000-000000000000'::uuid) AS "coalesce"
                    FROM data.job q
                   WHERE ((q.state = 'queued'::text) AND (NOT q.waiting) AND (COALESCE(q.workspace_id, '00000000-0000-0000-0000-000000000000'::uuid) > a.key) AND (COALESCE(q.workspace_id, '00000000-0000-0000-0000-000000000000'::uuid) <= job_claim.served))
                   ORDER BY COALESCE(q.workspace_id, '00000000-0000-0000-0000-000000000000'::uuid)
                  LIMIT 1) AS "coalesce"
            FROM again a
           WHERE (a.key IS NOT NULL)
         ), busy AS MATERIALIZED (
          SELECT COALESCE(r.workspace_id, '00000000-0000-0000-0000-000000000000'::uuid) AS key,
             r.kind,
             r.singleton,
             (r.worker = job_claim.by_worker) AS mine
            FROM data.job r
           WHERE (r.state = 'running'::text)
         ), room AS MATERIALIZED (
          SELECT
                 CASE
                     WHEN (count(*) > 1) THEN (job_claim.most_each)::bigint
                     ELSE (job_claim.how_many + ( SELECT count(*) AS count
                        FROM busy b
                       WHERE b.mine))
                 END AS each
            FROM ( SELECT 1 AS "?column?"
                    FROM data.workspace
                  LIMIT 2) w
         ), turn AS MATERIALIZED (
          SELECT s.key,
             m.running
            FROM ((( SELECT o.key
                    FROM onward o
                   WHERE (o.key IS NOT NULL)
                 UNION ALL
                  SELECT a.key
                    FROM again a
                   WHERE (a.key IS NOT NULL)) s
              CROSS JOIN LATERAL ( SELECT count(*) AS running
                    FROM busy b
                   WHERE (b.mine AND (b.key = s.key))) m)
              CROSS JOIN LATERAL ( SELECT 1 AS "?column?"
                    FROM data.job q
                   WHERE ((q.state = 'queued'::text) AND (NOT q.waiting) AND (COALESCE(q.workspace_id, '00000000-0000-0000-0000-000000000000'::uuid) = s.key) AND (q.run_at <= now()) AND (q.kind = ANY (job_claim.kinds)))
                   ORDER BY q.run_at
                  LIMIT 1) due_1)
           WHERE (m.running < ( SELECT room.each
                    FROM room))
          LIMIT job_claim.how_many
         ), due AS (
          SELECT d.id
            FROM (turn t
              CROSS JOIN LATERAL ( SELECT q.id
                    FROM data.job q
                   WHERE ((q.state = 'queued'::text) AND (NOT q.waiting) AND (COALESCE(q.workspace_id, '00000000-0000-0000-0000-000000000000'::uuid) = t.key) AND (q.run_at <= now()) AND (q.kind = ANY (job_claim.kinds)) AND ((q.singleton IS NULL) OR (NOT ((q.kind, q.singleton) IN ( SELECT b.kind,
                             b.singleton
                            FROM busy b
                           WHERE ((b.key = t.key) AND (b.singleton IS NOT NULL)))))))
                   ORDER BY q.run_at, q.id
                  LIMIT LEAST((((job_claim.how_many - 1) / ( SELECT count(*) AS count
                            FROM turn)) + 1), (( SELECT room.each
                            FROM room) - t.running))
                  FOR UPDATE OF q SKIP LOCKED) d)
          LIMIT job_claim.how_many
         )
  UPDATE data.job j SET state = 'running'::text, attempts = (j.attempts + 1), worker = job_claim.by_worker, lease_until = (now() + (job_claim.leases)[array_position(job_claim.kinds, j.kind)])
    FROM due
   WHERE (j.id = due.id)
   RETURNING j.workspace_id,
     j.id,
     j.kind,
     j.args,
     j.attempts,
     j.max_attempts,
     j.lost;
END;

CREATE FUNCTION fence.job_claimed(by_worker text, wanted uuid) RETURNS TABLE(workspace_id uuid, id uuid, kind text, args jsonb, attempts integer, max_attempts integer, lost integer)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'data', 'ext'
    BEGIN ATOMIC
 SELECT j.workspace_id,
     j.id,
     j.kind,
     j.args,
     j.attempts,
     j.max_attempts,
     j.lost
    FROM data.job j
   WHERE ((j.id = job_claimed.wanted) AND (j.worker = job_claimed.by_worker) AND (j.state = 'running'::text));
END;

CREATE FUNCTION fence.job_counts() RETURNS TABLE(kind text, state text, jobs bigint)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'data', 'ext'
    BEGIN ATOMIC
 SELECT j.kind,
     j.state,
     count(*) AS count
    FROM data.job j
   WHERE (j.state = ANY (ARRAY['queued'::text, 'running'::text, 'dead'::text]))
   GROUP BY j.kind, j.state;
END;

CREATE FUNCTION fence.job_defer_house(new_id uuid, new_kind text, at timestamp with time zone, attempts_at_most integer) RETURNS void
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'data', 'ext'
    BEGIN ATOMIC
 INSERT INTO data.job (workspace_id, id, kind, singleton, run_at, waiting, max_attempts)
   VALUES (NULL::uuid, job_defer_house.new_id, job_defer_house.new_kind, job_defer_house.new_kind, job_defer_house.at, (job_defer_house.at > now()), job_defer_house.attempts_at_most) ON CONFLICT(kind, singleton, workspace_id)
   WHERE ((state = 'queued'::text) AND (singleton IS NOT NULL)) DO UPDATE SET run_at = excluded.run_at, waiting = excluded.waiting
   WHERE ((job.attempts = 0) AND (job.run_at > excluded.run_at));
END;

CREATE FUNCTION fence.job_end(by_worker text, ended uuid[], outcomes text[], whys text[], retry_ins interval[], new_progress jsonb[]) RETURNS SETOF uuid
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'data', 'ext'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    BEGIN ATOMIC
 WITH given AS (
          SELECT j_1.id,
             e.outcome,
             e.why,
             e.progress,
             (now() +
                 CASE
                     WHEN (e.outcome = 'released'::text) THEN '00:00:00'::interval
                     ELSE e.retry_in
                 END) AS retry_at,
             (j_1.attempts -
                 CASE
                     WHEN (e.outcome = 'released'::text) THEN 1
                     ELSE 0
                 END) AS attempts,
             (j_1.lost +
                 CASE
                     WHEN (e.outcome = 'lost'::text) THEN 1
                     ELSE 0
                 END) AS lost,
                 CASE
                     WHEN (e.outcome = ANY (ARRAY['done'::text, 'cancelled'::text])) THEN e.outcome
                     WHEN (e.outcome = 'hopeless'::text) THEN 'dead'::text
                     WHEN j_1.cancelling THEN 'cancelled'::text
                     WHEN ((e.outcome <> 'released'::text) AND (j_1.attempts >= j_1.max_attempts)) THEN 'dead'::text
                     ELSE 'queued'::text
                 END AS state,
             ( SELECT t.id
                    FROM data.job t
                   WHERE ((t.state = 'queued'::text) AND (t.kind = j_1.kind) AND (t.singleton = j_1.singleton) AND (NOT (t.workspace_id IS DISTINCT FROM j_1.workspace_id)))) AS twin
            FROM (UNNEST(job_end.ended, job_end.outcomes, job_end.whys, job_end.retry_ins, job_end.new_progress) e(id, outcome, why, retry_in, progress)
              JOIN data.job j_1 ON (((j_1.id = e.id) AND (j_1.worker = job_end.by_worker) AND (j_1.state = 'running'::text))))
          FOR UPDATE OF j_1
         ), handed AS (
          UPDATE data.job t SET attempts = GREATEST(t.attempts, g_1.attempts), lost = GREATEST(t.lost, g_1.lost), run_at = GREATEST(t.run_at, g_1.retry_at), waiting = (GREATEST(t.run_at, g_1.retry_at) > now()), error = COALESCE(g_1.why, t.error)
            FROM given g_1
           WHERE ((t.id = g_1.twin) AND (t.state = 'queued'::text) AND (g_1.state = 'queued'::text))
         )
  UPDATE data.job j SET state =
         CASE
             WHEN ((g.state = 'queued'::text) AND (g.twin IS NOT NULL)) THEN 'cancelled'::text
             ELSE g.state
         END, error = g.why, attempts = g.attempts, lost = g.lost, worker = NULL::text, lease_until = NULL::timestamp with time zone, progress = COALESCE(g.progress, j.progress), run_at =
         CASE
             WHEN (g.state = 'queued'::text) THEN g.retry_at
             ELSE j.run_at
         END, waiting = ((g.state = 'queued'::text) AND (g.retry_at > now())), finished_at =
         CASE
             WHEN ((g.state <> 'queued'::text) OR (g.twin IS NOT NULL)) THEN now()
             ELSE NULL::timestamp with time zone
         END
    FROM given g
   WHERE (j.id = g.id)
   RETURNING j.id;
END;

CREATE FUNCTION fence.job_pending(kinds text[]) RETURNS bigint
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'data', 'ext'
    BEGIN ATOMIC
 SELECT ((( SELECT count(*) AS count
            FROM data.job j
           WHERE (j.state = 'running'::text)) + ( SELECT count(*) AS count
            FROM ( SELECT 1 AS "?column?"
                    FROM data.job j
                   WHERE ((j.state = 'queued'::text) AND (NOT j.waiting) AND (j.run_at <= now()) AND (j.kind = ANY (job_pending.kinds)))
                  LIMIT 1000) due)) + ( SELECT count(*) AS count
            FROM ( SELECT 1 AS "?column?"
                    FROM data.job j
                   WHERE ((j.state = 'queued'::text) AND j.waiting AND (j.run_at <= now()) AND (j.kind = ANY (job_pending.kinds)))
                  LIMIT 1000) due));
END;

CREATE FUNCTION fence.job_recover(gone text[]) RETURNS bigint
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'data', 'ext'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    BEGIN ATOMIC
 WITH lost AS (
          SELECT j.id,
             j.worker,
             j.lost
            FROM data.job j
           WHERE ((j.state = 'running'::text) AND ((j.lease_until < now()) OR (j.worker = ANY (job_recover.gone))))
          FOR UPDATE OF j SKIP LOCKED
         )
  SELECT count(*) AS count
    FROM (lost l
      CROSS JOIN LATERAL fence.job_end(l.worker, ARRAY[l.id], ARRAY['lost'::text], ARRAY[(('The worker '::text || l.worker) || ' was lost while it ran.'::text)], ARRAY[((LEAST(l.lost, 6))::double precision * '00:00:10'::interval)], ARRAY[NULL::jsonb]) job_end(job_end));
END;

CREATE FUNCTION fence.job_workers() RETURNS SETOF text
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'data', 'ext'
    BEGIN ATOMIC
 SELECT DISTINCT j.worker
    FROM data.job j
   WHERE ((j.state = 'running'::text) AND (j.worker IS NOT NULL));
END;

CREATE FUNCTION fence.jobs_forget(older_than interval, how_many integer) RETURNS bigint
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'data', 'ext'
    BEGIN ATOMIC
 WITH gone AS (
          DELETE FROM data.job
           WHERE (job.id IN ( SELECT j.id
                    FROM data.job j
                   WHERE ((j.state = ANY (ARRAY['done'::text, 'cancelled'::text])) AND (j.finished_at < (now() - jobs_forget.older_than)))
                   ORDER BY j.id
                  LIMIT jobs_forget.how_many))
           RETURNING 1 AS "?column?"
         )
  SELECT count(*) AS count
    FROM gone;
END;

CREATE TABLE data.api_key (
    workspace_id uuid NOT NULL,
    id uuid NOT NULL,
    name text NOT NULL,
    prefix text NOT NULL,
    token_hash bytea NOT NULL,
    scopes text[] NOT NULL,
    rate_limit integer,
    created_by text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    expires_at timestamp with time zone,
    revoked_at timestamp with time zone,
    last_used_at timestamp with time zone,
    CONSTRAINT api_key_name_check CHECK ((name <> ''::text)),
    CONSTRAINT api_key_rate_limit_check CHECK ((rate_limit > 0))
);

CREATE FUNCTION fence.key_by_token(token_hash bytea) RETURNS TABLE(workspace_id uuid, id uuid, name text, scopes text[], rate_limit integer, expires_at timestamp with time zone)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'data', 'ext'
    BEGIN ATOMIC
 SELECT k.workspace_id,
     k.id,
     k.name,
     k.scopes,
     k.rate_limit,
     k.expires_at
    FROM data.api_key k
   WHERE ((k.token_hash = key_by_token.token_hash) AND (k.revoked_at IS NULL));
END;

CREATE FUNCTION fence.key_used(workspace uuid, key uuid) RETURNS void
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'data', 'ext'
    BEGIN ATOMIC
 UPDATE data.api_key SET last_used_at = now()
   WHERE ((api_key.workspace_id = key_used.workspace) AND (api_key.id = key_used.key) AND ((api_key.last_used_at IS NULL) OR (api_key.last_used_at < (now() - '00:01:00'::interval))));
END;

CREATE FUNCTION fence.learn_duplicates() RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'data', 'ext'
    AS $$
begin
    analyze (skip_locked) data.duplicate_profile (workspace_id, customer_id, scan_id);
    analyze (skip_locked) data.duplicate_pair (workspace_id, a_id, b_id, status, level);
end $$;

CREATE FUNCTION fence.learn_sizes() RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'data', 'ext'
    AS $$
begin
    perform gin_clean_pending_list('data.customer_search');
    analyze (skip_locked) data.customer, data.customer_identity, data.customer_metrics, data.customer_stale, data."order",
            data.order_decision, data.order_line, data.address, data.event_log, data.custom_field_value, data.consent,
            data.segment_stale, data.segment_member, data.customer_day, data.sales_day, data.cohort_cell, data.customer_rfm,
            data.customer_prediction;
end $$;

CREATE TABLE data.membership (
    workspace_id uuid NOT NULL,
    staff_id uuid NOT NULL,
    role text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    last_used_at timestamp with time zone,
    CONSTRAINT membership_role_check CHECK ((role = ANY (ARRAY['owner'::text, 'admin'::text, 'agent'::text, 'viewer'::text])))
);

CREATE TABLE data.staff (
    id uuid NOT NULL,
    email text NOT NULL,
    name text NOT NULL,
    password_hash text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    disabled_at timestamp with time zone,
    second_step_secret bytea,
    second_step_at timestamp with time zone,
    second_step_used bigint,
    recovery_hashes bytea[] DEFAULT '{}'::bytea[] NOT NULL
);

COMMENT ON TABLE data.staff IS 'global: a person who signs in; what they may do is a membership.';

COMMENT ON COLUMN data.staff.second_step_secret IS 'Sealed. Without second_step_at it waits for its first code and asks nobody for any.';

COMMENT ON COLUMN data.staff.second_step_used IS 'The thirty seconds, counted from 1970, of the newest code that was taken: none before it is taken again.';

COMMENT ON COLUMN data.staff.recovery_hashes IS 'Those that are left; each is taken once.';

CREATE FUNCTION fence.members(workspace uuid) RETURNS TABLE(staff_id uuid, email text, name text, role text, created_at timestamp with time zone, disabled_at timestamp with time zone)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'data', 'ext'
    BEGIN ATOMIC
 SELECT p.id,
     p.email,
     p.name,
     m.role,
     m.created_at,
     p.disabled_at
    FROM (data.membership m
      JOIN data.staff p ON ((p.id = m.staff_id)))
   WHERE ((m.workspace_id = members.workspace) AND (members.workspace = fence.current_workspace()))
   ORDER BY p.name, p.id;
END;

CREATE FUNCTION fence.personal_erase(wanted text, key_column text, keys uuid[], treatments jsonb, needles text[], harmless text[]) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'data', 'ext'
    AS $_$
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
end $_$;

CREATE FUNCTION fence.personal_exports_end() RETURNS bigint
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'data', 'ext'
    BEGIN ATOMIC
 WITH ended AS (
          UPDATE data.export_run r SET status = 'cancelled'::text, finished_at = now(), error = 'Somebody was erased meanwhile.'::text
           WHERE ((r.workspace_id = fence.current_workspace()) AND (r.status = 'running'::text))
           RETURNING 1 AS "?column?"
         )
  SELECT count(*) AS count
    FROM ended;
END;

CREATE FUNCTION fence.personal_facts(customers uuid[], orders uuid[], needles text[], bare text[], harmless text[]) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'data', 'ext'
    AS $_$
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
end $_$;

CREATE FUNCTION fence.personal_may_go(wanted text) RETURNS void
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'data', 'ext'
    AS $$ begin
        if obj_description(format('data.%I', wanted)::regclass, 'pg_class') like '%append only%' then
            raise exception '% is only ever added to', wanted;
        end if;
    end $$;

CREATE FUNCTION fence.personal_mentions(wanted text, columns text[], treatments jsonb, needles text[], bare text[], harmless text[], of_nobody boolean) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'data', 'ext'
    AS $_$
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
end $_$;

CREATE FUNCTION fence.personal_messages(customers uuid[], orders uuid[], needles text[], bare text[]) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'data', 'ext'
    AS $$
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

CREATE TABLE data.inbox_message (
    workspace_id uuid NOT NULL,
    id uuid NOT NULL,
    connection_id uuid NOT NULL,
    topic text NOT NULL,
    delivery_id text NOT NULL,
    event_id text,
    api_version text,
    triggered_at timestamp with time zone,
    body bytea,
    body_hash bytea NOT NULL,
    size integer NOT NULL,
    status text DEFAULT 'pending'::text NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    due_at timestamp with time zone DEFAULT now() NOT NULL,
    waits_for text,
    reason text,
    order_id uuid,
    customer_id uuid,
    received_at timestamp with time zone DEFAULT now() NOT NULL,
    settled_at timestamp with time zone,
    CONSTRAINT inbox_message_check CHECK (((body IS NOT NULL) OR (status <> 'pending'::text))),
    CONSTRAINT inbox_message_status_check CHECK ((status = ANY (ARRAY['pending'::text, 'applied'::text, 'ignored'::text, 'dead'::text])))
)
WITH (autovacuum_vacuum_scale_factor='0.02', autovacuum_vacuum_threshold='1000');

COMMENT ON COLUMN data.inbox_message.delivery_id IS 'The channel''s own; where it has none, a hash of topic and body.';

COMMENT ON COLUMN data.inbox_message.body_hash IS 'SHA-256; it stays when the body is forgotten.';

COMMENT ON COLUMN data.inbox_message.attempts IS 'Counted and committed before the work, so that a message which ends its worker is set aside too.';

COMMENT ON COLUMN data.inbox_message.waits_for IS 'The external id of the order that a refund came before.';

CREATE FUNCTION fence.personal_messages_of(connection uuid) RETURNS bigint
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'data', 'ext'
    BEGIN ATOMIC
 WITH gone AS (
          UPDATE data.inbox_message m SET body = NULL::bytea, reason =
                 CASE
                     WHEN (m.status = 'applied'::text) THEN m.reason
                     ELSE NULL::text
                 END
           WHERE ((m.workspace_id = fence.current_workspace()) AND (m.connection_id = personal_messages_of.connection) AND (m.body IS NOT NULL) AND (m.status <> 'pending'::text))
           RETURNING 1 AS "?column?"
         )
  SELECT count(*) AS count
    FROM gone;
END;

CREATE FUNCTION fence.personal_rows(wanted text, key_column text, keys uuid[], columns text[]) RETURNS SETOF jsonb
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'data', 'ext'
    AS $_$
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
end $_$;

CREATE FUNCTION fence.personal_set(wanted text, treatments jsonb) RETURNS text[]
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'data', 'ext'
    AS $_$
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
end $_$;

CREATE FUNCTION fence.recovery_code_use(staff uuid, code_hash bytea) RETURNS boolean
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'data', 'ext'
    BEGIN ATOMIC
 WITH used AS (
          UPDATE data.staff p SET recovery_hashes = array_remove(p.recovery_hashes, recovery_code_use.code_hash)
           WHERE ((p.id = recovery_code_use.staff) AND (p.second_step_at IS NOT NULL) AND (recovery_code_use.code_hash = ANY (p.recovery_hashes)))
           RETURNING 1 AS "?column?"
         )
  SELECT (EXISTS ( SELECT 1
            FROM used)) AS "exists";
END;

CREATE FUNCTION fence.recovery_codes_renew(workspace uuid, staff uuid, new_hashes bytea[]) RETURNS boolean
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'data', 'ext'
    BEGIN ATOMIC
 WITH renewed AS (
          UPDATE data.staff p SET recovery_hashes = recovery_codes_renew.new_hashes
           WHERE ((p.id = recovery_codes_renew.staff) AND (p.second_step_at IS NOT NULL) AND (EXISTS ( SELECT 1
                    FROM data.membership m
                   WHERE ((m.workspace_id = recovery_codes_renew.workspace) AND (m.staff_id = recovery_codes_renew.staff)))))
           RETURNING 1 AS "?column?"
         )
  SELECT (EXISTS ( SELECT 1
            FROM renewed)) AS "exists";
END;

CREATE FUNCTION fence.search_catch_up() RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'data', 'ext'
    AS $$
begin
    perform gin_clean_pending_list('data.customer_search');
end $$;

CREATE FUNCTION fence.second_step(staff uuid) RETURNS TABLE(secret bytea, since timestamp with time zone, codes_left integer)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'data', 'ext'
    BEGIN ATOMIC
 SELECT p.second_step_secret,
     p.second_step_at,
     cardinality(p.recovery_hashes) AS cardinality
    FROM data.staff p
   WHERE (p.id = second_step.staff);
END;

CREATE FUNCTION fence.second_step_begin(workspace uuid, staff uuid, new_secret bytea) RETURNS boolean
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'data', 'ext'
    BEGIN ATOMIC
 WITH begun AS (
          UPDATE data.staff p SET second_step_secret = second_step_begin.new_secret, second_step_used = NULL::bigint
           WHERE ((p.id = second_step_begin.staff) AND (p.second_step_at IS NULL) AND (EXISTS ( SELECT 1
                    FROM data.membership m
                   WHERE ((m.workspace_id = second_step_begin.workspace) AND (m.staff_id = second_step_begin.staff)))))
           RETURNING 1 AS "?column?"
         )
  SELECT (EXISTS ( SELECT 1
            FROM begun)) AS "exists";
END;

CREATE FUNCTION fence.second_step_confirm(workspace uuid, staff uuid, of_secret bytea, used bigint, new_hashes bytea[]) RETURNS boolean
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'data', 'ext'
    BEGIN ATOMIC
 WITH confirmed AS (
          UPDATE data.staff p SET second_step_at = now(), second_step_used = second_step_confirm.used, recovery_hashes = second_step_confirm.new_hashes
           WHERE ((p.id = second_step_confirm.staff) AND (p.second_step_at IS NULL) AND (p.second_step_secret = second_step_confirm.of_secret) AND (EXISTS ( SELECT 1
                    FROM data.membership m
                   WHERE ((m.workspace_id = second_step_confirm.workspace) AND (m.staff_id = second_step_confirm.staff)))))
           RETURNING 1 AS "?column?"
         )
  SELECT (EXISTS ( SELECT 1
            FROM confirmed)) AS "exists";
END;

CREATE FUNCTION fence.second_step_end(workspace uuid, staff uuid) RETURNS boolean
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'data', 'ext'
    BEGIN ATOMIC
 WITH ended AS (
          UPDATE data.staff p SET second_step_secret = NULL::bytea, second_step_at = NULL::timestamp with time zone, second_step_used = NULL::bigint, recovery_hashes = '{}'::bytea[]
           WHERE ((p.id = second_step_end.staff) AND (p.second_step_secret IS NOT NULL) AND (EXISTS ( SELECT 1
                    FROM data.membership m
                   WHERE ((m.workspace_id = second_step_end.workspace) AND (m.staff_id = second_step_end.staff)))))
           RETURNING 1 AS "?column?"
         )
  SELECT (EXISTS ( SELECT 1
            FROM ended)) AS "exists";
END;

CREATE FUNCTION fence.second_step_use(staff uuid, step bigint) RETURNS boolean
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'data', 'ext'
    BEGIN ATOMIC
 WITH used AS (
          UPDATE data.staff p SET second_step_used = second_step_use.step
           WHERE ((p.id = second_step_use.staff) AND (p.second_step_at IS NOT NULL) AND ((p.second_step_used IS NULL) OR (p.second_step_used < second_step_use.step)))
           RETURNING 1 AS "?column?"
         )
  SELECT (EXISTS ( SELECT 1
            FROM used)) AS "exists";
END;

CREATE TABLE data.session (
    id uuid NOT NULL,
    token_hash bytea NOT NULL,
    csrf_hash bytea NOT NULL,
    staff_id uuid NOT NULL,
    workspace_id uuid NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    ip text,
    user_agent text
);

COMMENT ON TABLE data.session IS 'global: a signed-in browser; found by the hash of its cookie before any workspace is known.';

CREATE FUNCTION fence.session_by_token(token_hash bytea) RETURNS TABLE(id uuid, workspace_id uuid, staff_id uuid, email text, name text, role text, csrf_hash bytea, expires_at timestamp with time zone)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'data', 'ext'
    BEGIN ATOMIC
 SELECT s.id,
     s.workspace_id,
     s.staff_id,
     p.email,
     p.name,
     m.role,
     s.csrf_hash,
     s.expires_at
    FROM ((data.session s
      JOIN data.staff p ON (((p.id = s.staff_id) AND (p.disabled_at IS NULL))))
      JOIN data.membership m ON (((m.workspace_id = s.workspace_id) AND (m.staff_id = s.staff_id))))
   WHERE (s.token_hash = session_by_token.token_hash);
END;

CREATE FUNCTION fence.session_close(workspace uuid, session uuid) RETURNS void
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'data', 'ext'
    BEGIN ATOMIC
 DELETE FROM data.session s
   WHERE ((s.id = session_close.session) AND (s.workspace_id = session_close.workspace));
END;

CREATE FUNCTION fence.session_end(workspace uuid, staff uuid, session uuid) RETURNS boolean
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'data', 'ext'
    BEGIN ATOMIC
 WITH gone AS (
          DELETE FROM data.session s
           WHERE ((s.id = session_end.session) AND (s.staff_id = session_end.staff) AND (EXISTS ( SELECT 1
                    FROM data.membership m
                   WHERE ((m.workspace_id = session_end.workspace) AND (m.staff_id = session_end.staff)))))
           RETURNING 1 AS "?column?"
         )
  SELECT (EXISTS ( SELECT 1
            FROM gone)) AS "exists";
END;

CREATE FUNCTION fence.session_open(session uuid, token_hash bytea, csrf_hash bytea, staff uuid, workspace uuid, expires_at timestamp with time zone, ip text, user_agent text) RETURNS void
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'data', 'ext'
    BEGIN ATOMIC
 WITH used AS (
          UPDATE data.membership m SET last_used_at = now()
           WHERE ((m.workspace_id = session_open.workspace) AND (m.staff_id = session_open.staff))
           RETURNING m.workspace_id,
             m.staff_id
         )
  INSERT INTO data.session (id, token_hash, csrf_hash, staff_id, workspace_id, expires_at, ip, user_agent)  SELECT session_open.session AS session,
             session_open.token_hash AS token_hash,
             session_open.csrf_hash AS csrf_hash,
             u.staff_id,
             u.workspace_id,
             session_open.expires_at AS expires_at,
             session_open.ip AS ip,
             session_open.user_agent AS user_agent
            FROM used u;
END;

CREATE FUNCTION fence.session_switch(workspace uuid, session uuid, to_workspace uuid, new_token_hash bytea, new_csrf_hash bytea) RETURNS boolean
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'data', 'ext'
    BEGIN ATOMIC
 WITH switched AS (
          UPDATE data.session s SET workspace_id = m.workspace_id, token_hash = session_switch.new_token_hash, csrf_hash = session_switch.new_csrf_hash
            FROM data.membership m
           WHERE ((s.id = session_switch.session) AND (s.workspace_id = session_switch.workspace) AND (m.workspace_id = session_switch.to_workspace) AND (m.staff_id = s.staff_id))
           RETURNING s.workspace_id,
             s.staff_id
         ), used AS (
          UPDATE data.membership m SET last_used_at = now()
            FROM switched s
           WHERE ((m.workspace_id = s.workspace_id) AND (m.staff_id = s.staff_id))
         )
  SELECT (EXISTS ( SELECT 1
            FROM switched)) AS "exists";
END;

CREATE FUNCTION fence.sessions_close(workspace uuid, staff uuid) RETURNS void
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'data', 'ext'
    BEGIN ATOMIC
 DELETE FROM data.session
   WHERE ((session.staff_id = sessions_close.staff) AND (session.workspace_id = sessions_close.workspace));
END;

CREATE FUNCTION fence.sessions_expire() RETURNS bigint
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'data', 'ext'
    BEGIN ATOMIC
 WITH gone AS (
          DELETE FROM data.session
           WHERE (session.expires_at < now())
           RETURNING 1 AS "?column?"
         )
  SELECT count(*) AS count
    FROM gone;
END;

CREATE FUNCTION fence.sessions_of(workspace uuid, staff uuid) RETURNS TABLE(id uuid, workspace_id uuid, workspace_name text, created_at timestamp with time zone, expires_at timestamp with time zone, ip text, user_agent text)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'data', 'ext'
    BEGIN ATOMIC
 SELECT s.id,
     s.workspace_id,
     w.name,
     s.created_at,
     s.expires_at,
     s.ip,
     s.user_agent
    FROM (data.session s
      JOIN data.workspace w ON ((w.workspace_id = s.workspace_id)))
   WHERE ((s.staff_id = sessions_of.staff) AND (s.expires_at > now()) AND (EXISTS ( SELECT 1
            FROM data.membership m
           WHERE ((m.workspace_id = sessions_of.workspace) AND (m.staff_id = sessions_of.staff)))))
   ORDER BY s.id DESC;
END;

CREATE FUNCTION fence.staff_add(workspace uuid, staff uuid, new_email text, new_name text, new_password_hash text, new_role text) RETURNS void
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'data', 'ext'
    BEGIN ATOMIC
 INSERT INTO data.staff (id, email, name, password_hash)
   VALUES (staff_add.staff, staff_add.new_email, staff_add.new_name, staff_add.new_password_hash);
 INSERT INTO data.membership (workspace_id, staff_id, role)
   VALUES (staff_add.workspace, staff_add.staff, staff_add.new_role);
END;

CREATE FUNCTION fence.staff_by_email(wanted text) RETURNS TABLE(id uuid, email text, name text, password_hash text, disabled_at timestamp with time zone)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'data', 'ext'
    BEGIN ATOMIC
 SELECT p.id,
     p.email,
     p.name,
     p.password_hash,
     p.disabled_at
    FROM data.staff p
   WHERE (lower(p.email) = lower(staff_by_email.wanted));
END;

CREATE FUNCTION fence.staff_disable(staff uuid) RETURNS SETOF uuid
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'data', 'ext'
    BEGIN ATOMIC
 WITH alone AS (
          SELECT m.workspace_id
            FROM data.membership m
           WHERE ((m.staff_id = staff_disable.staff) AND (m.role = 'owner'::text) AND (NOT (EXISTS ( SELECT 1
                    FROM (data.membership o
                      JOIN data.staff p ON ((p.id = o.staff_id)))
                   WHERE ((o.workspace_id = m.workspace_id) AND (o.role = 'owner'::text) AND (o.staff_id <> staff_disable.staff) AND (p.disabled_at IS NULL))))))
         ), disabled AS (
          UPDATE data.staff p SET disabled_at = COALESCE(p.disabled_at, now())
           WHERE ((p.id = staff_disable.staff) AND (NOT (EXISTS ( SELECT 1
                    FROM alone alone_1))))
           RETURNING p.id
         ), closed AS (
          DELETE FROM data.session s
            USING disabled d
           WHERE (s.staff_id = d.id)
           RETURNING 1 AS "?column?"
         )
  SELECT alone.workspace_id
    FROM alone
   WHERE (( SELECT count(*) AS count
            FROM closed) >= 0);
END;

CREATE FUNCTION fence.staff_enable(staff uuid) RETURNS void
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'data', 'ext'
    BEGIN ATOMIC
 UPDATE data.staff p SET disabled_at = NULL::timestamp with time zone
   WHERE (p.id = staff_enable.staff);
END;

CREATE FUNCTION fence.staff_password(workspace uuid, staff uuid, new_password_hash text) RETURNS void
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'data', 'ext'
    BEGIN ATOMIC
 UPDATE data.staff p SET password_hash = staff_password.new_password_hash
   WHERE ((p.id = staff_password.staff) AND (EXISTS ( SELECT 1
            FROM data.membership m
           WHERE ((m.workspace_id = staff_password.workspace) AND (m.staff_id = staff_password.staff)))));
 DELETE FROM data.session
   WHERE ((session.staff_id = staff_password.staff) AND (EXISTS ( SELECT 1
            FROM data.membership m
           WHERE ((m.workspace_id = staff_password.workspace) AND (m.staff_id = staff_password.staff)))));
END;

CREATE FUNCTION fence.staff_workspaces(staff uuid) RETURNS TABLE(workspace_id uuid, name text, currency text, timezone text, role text)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'data', 'ext'
    BEGIN ATOMIC
 SELECT w.workspace_id,
     w.name,
     w.currency,
     w.timezone,
     m.role
    FROM (data.membership m
      JOIN data.workspace w USING (workspace_id))
   WHERE (m.staff_id = staff_workspaces.staff)
   ORDER BY m.last_used_at DESC NULLS LAST, m.created_at, w.workspace_id;
END;

CREATE UNLOGGED TABLE data.throttle (
    subject text NOT NULL,
    taken integer NOT NULL,
    ends_at timestamp with time zone NOT NULL
);

COMMENT ON TABLE data.throttle IS 'local: requests of keys and failed attempts to sign in, each within a period that starts with its first.';

CREATE FUNCTION fence.throttle_forget(how_many integer) RETURNS bigint
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'data', 'ext'
    BEGIN ATOMIC
 WITH gone AS (
          DELETE FROM data.throttle t
           WHERE (t.subject IN ( SELECT o.subject
                    FROM data.throttle o
                   WHERE (o.ends_at < now())
                   ORDER BY o.subject
                  LIMIT throttle_forget.how_many))
           RETURNING 1 AS "?column?"
         )
  SELECT count(*) AS count
    FROM gone;
END;

CREATE FUNCTION fence.trust_references() RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'data', 'ext'
    AS $$
begin
    perform set_config('session_replication_role', 'replica', true);
    return true;
exception when insufficient_privilege then
    return false;
end $$;

CREATE FUNCTION fence.workspace_add(workspace uuid, new_name text, new_currency text, new_digits smallint, new_timezone text, new_counting_statuses text[]) RETURNS void
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'data', 'ext'
    BEGIN ATOMIC
 INSERT INTO data.workspace (workspace_id, name, currency, digits, timezone, counting_statuses)
   VALUES (workspace_add.workspace, workspace_add.new_name, workspace_add.new_currency, workspace_add.new_digits, workspace_add.new_timezone, workspace_add.new_counting_statuses);
END;

CREATE FUNCTION fence.workspace_list() RETURNS TABLE(workspace_id uuid, name text, currency text, timezone text, created_at timestamp with time zone)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'data', 'ext'
    BEGIN ATOMIC
 SELECT w.workspace_id,
     w.name,
     w.currency,
     w.timezone,
     w.created_at
    FROM data.workspace w
   ORDER BY w.created_at, w.workspace_id;
END;

CREATE TABLE data.segment (
    workspace_id uuid NOT NULL,
    id uuid NOT NULL,
    kind text NOT NULL,
    name text NOT NULL,
    description text DEFAULT ''::text NOT NULL,
    filter text,
    built_in text,
    is_relative boolean DEFAULT false NOT NULL,
    complete boolean NOT NULL,
    evaluated_at timestamp with time zone,
    evaluated_on date,
    stale_since timestamp with time zone,
    wanted_at timestamp with time zone,
    is_silent boolean DEFAULT false NOT NULL,
    members integer DEFAULT 0 NOT NULL,
    counted_at timestamp with time zone,
    recount_due boolean DEFAULT false NOT NULL,
    error text,
    created_by text NOT NULL,
    created_by_name text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    version integer DEFAULT 1 NOT NULL,
    CONSTRAINT segment_check CHECK (((kind = 'filter'::text) = (filter IS NOT NULL))),
    CONSTRAINT segment_kind_check CHECK ((kind = ANY (ARRAY['filter'::text, 'manual'::text]))),
    CONSTRAINT segment_name_check CHECK ((name <> ''::text))
);

COMMENT ON TABLE data.segment IS 'Customers who fit a filter, or whom somebody picked.';

COMMENT ON COLUMN data.segment.complete IS 'Whether the members are those of this filter; false from a change of it until the whole evaluation is committed.';

COMMENT ON COLUMN data.segment.evaluated_at IS 'When the last whole evaluation read, and evaluated_on the day it was then in the workspace''s zone.';

COMMENT ON COLUMN data.segment.stale_since IS 'What happened after this is not in yet and stands in no mark: it waits for a whole evaluation.';

COMMENT ON COLUMN data.segment.wanted_at IS 'A whole evaluation is wanted since then; null when none is.';

COMMENT ON COLUMN data.segment.is_silent IS 'The wanted evaluation establishes the members anew: nobody enters or leaves by it.';

COMMENT ON COLUMN data.segment.members IS 'Counted from the rows at counted_at; recount_due when they have changed since.';

CREATE FUNCTION fence.workspaces_with_aged_segments(moment timestamp with time zone) RETURNS SETOF uuid
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'data', 'ext'
    BEGIN ATOMIC
 SELECT DISTINCT g.workspace_id
    FROM (data.segment g
      JOIN data.workspace w ON ((w.workspace_id = g.workspace_id)))
   WHERE ((g.wanted_at IS NULL) AND (g.evaluated_on IS DISTINCT FROM ((workspaces_with_aged_segments.moment AT TIME ZONE w.timezone))::date));
END;

CREATE FUNCTION fence.workspaces_with_messages() RETURNS SETOF uuid
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'data', 'ext'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    BEGIN ATOMIC
 WITH RECURSIVE found AS (
         ( SELECT m.workspace_id
            FROM data.inbox_message m
           WHERE (m.status = 'pending'::text)
           ORDER BY m.workspace_id
          LIMIT 1)
         UNION ALL
          SELECT ( SELECT m.workspace_id
                    FROM data.inbox_message m
                   WHERE ((m.status = 'pending'::text) AND (m.workspace_id > f_1.workspace_id))
                   ORDER BY m.workspace_id
                  LIMIT 1) AS workspace_id
            FROM found f_1
           WHERE (f_1.workspace_id IS NOT NULL)
         )
  SELECT f.workspace_id
    FROM found f
   WHERE ((f.workspace_id IS NOT NULL) AND (EXISTS ( SELECT 1
            FROM data.inbox_message m
           WHERE ((m.workspace_id = f.workspace_id) AND (m.status = 'pending'::text) AND (m.due_at <= now())))));
END;

CREATE TABLE data.customer_stale (
    workspace_id uuid NOT NULL,
    id bigint NOT NULL,
    customer_id uuid NOT NULL,
    marked_at timestamp with time zone DEFAULT now() NOT NULL,
    origin text DEFAULT 'live'::text NOT NULL,
    CONSTRAINT customer_stale_origin_check CHECK ((origin = ANY (ARRAY['live'::text, 'import'::text])))
);

COMMENT ON TABLE data.customer_stale IS 'Customers whose figures must be recounted. A mark is never updated, only added and taken.';

CREATE FUNCTION fence.workspaces_with_stale_customers() RETURNS SETOF uuid
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'data', 'ext'
    BEGIN ATOMIC
 WITH RECURSIVE found AS (
         ( SELECT customer_stale.workspace_id
            FROM data.customer_stale
           ORDER BY customer_stale.workspace_id
          LIMIT 1)
         UNION ALL
          SELECT ( SELECT s.workspace_id
                    FROM data.customer_stale s
                   WHERE (s.workspace_id > f.workspace_id)
                   ORDER BY s.workspace_id
                  LIMIT 1) AS workspace_id
            FROM found f
           WHERE (f.workspace_id IS NOT NULL)
         )
  SELECT found.workspace_id
    FROM found
   WHERE (found.workspace_id IS NOT NULL);
END;

CREATE TABLE data.segment_stale (
    workspace_id uuid NOT NULL,
    id bigint NOT NULL,
    customer_id uuid NOT NULL,
    origin text NOT NULL,
    marked_at timestamp with time zone DEFAULT now() NOT NULL
);

COMMENT ON TABLE data.segment_stale IS 'Customers whose segments must be looked at again. A mark is never updated, only added and taken.';

CREATE FUNCTION fence.workspaces_with_stale_segments() RETURNS SETOF uuid
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'data', 'ext'
    BEGIN ATOMIC
 WITH RECURSIVE marked AS (
         ( SELECT s.workspace_id
            FROM data.segment_stale s
           ORDER BY s.workspace_id
          LIMIT 1)
         UNION ALL
          SELECT ( SELECT s.workspace_id
                    FROM data.segment_stale s
                   WHERE (s.workspace_id > m.workspace_id)
                   ORDER BY s.workspace_id
                  LIMIT 1) AS workspace_id
            FROM marked m
           WHERE (m.workspace_id IS NOT NULL)
         )
  SELECT m.workspace_id
    FROM marked m
   WHERE ((m.workspace_id IS NOT NULL) AND (EXISTS ( SELECT 1
            FROM ( SELECT s_1.customer_id,
                     s_1.marked_at
                    FROM data.segment_stale s_1
                   WHERE (s_1.workspace_id = m.workspace_id)
                   ORDER BY s_1.id
                  LIMIT 10000) s
           WHERE (( SELECT f.customer_id
                    FROM data.customer_stale f
                   WHERE ((f.workspace_id = m.workspace_id) AND (f.customer_id = s.customer_id) AND (f.marked_at < (s.marked_at + '00:00:10'::interval)))
                  LIMIT 1) IS NULL))))
 UNION
  SELECT g.workspace_id
    FROM data.segment g
   WHERE (((g.wanted_at IS NOT NULL) OR g.recount_due) AND (g.recount_due OR ((g.wanted_at < (now() - '00:01:00'::interval)) AND (NOT (EXISTS ( SELECT 1
            FROM data.job j
           WHERE ((j.workspace_id = g.workspace_id) AND (j.kind = 'segments.evaluate'::text) AND (j.state = ANY (ARRAY['queued'::text, 'running'::text])))))))));
END;

CREATE TABLE data.address (
    workspace_id uuid NOT NULL,
    id uuid NOT NULL,
    customer_id uuid NOT NULL,
    type text NOT NULL,
    is_default boolean DEFAULT false NOT NULL,
    line1 text DEFAULT ''::text NOT NULL,
    line2 text,
    city text DEFAULT ''::text NOT NULL,
    state text DEFAULT ''::text NOT NULL,
    postal_code text DEFAULT ''::text NOT NULL,
    country text DEFAULT ''::text NOT NULL,
    recipient_name text DEFAULT ''::text NOT NULL,
    phone text,
    validated_at timestamp with time zone,
    validation_skipped boolean DEFAULT false NOT NULL,
    match_key text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    version integer DEFAULT 1 NOT NULL,
    CONSTRAINT address_type_check CHECK ((type = ANY (ARRAY['SHIPPING'::text, 'BILLING'::text, 'BOTH'::text])))
);

COMMENT ON COLUMN data.address.match_key IS 'The folded lines, postal code and country: equal keys are one place.';

CREATE TABLE data.bulk_action (
    workspace_id uuid NOT NULL,
    id uuid NOT NULL,
    action text NOT NULL,
    deed jsonb NOT NULL,
    selection jsonb NOT NULL,
    dry_run boolean DEFAULT false NOT NULL,
    on_error text NOT NULL,
    status text NOT NULL,
    total integer DEFAULT 0 NOT NULL,
    is_checked boolean NOT NULL,
    next_chunk integer DEFAULT 0 NOT NULL,
    done integer DEFAULT 0 NOT NULL,
    changed integer DEFAULT 0 NOT NULL,
    unchanged integer DEFAULT 0 NOT NULL,
    failed integer DEFAULT 0 NOT NULL,
    undone integer DEFAULT 0 NOT NULL,
    kept integer DEFAULT 0 NOT NULL,
    error text,
    actor text NOT NULL,
    actor_name text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    started_at timestamp with time zone,
    ended_at timestamp with time zone,
    CONSTRAINT bulk_action_action_check CHECK ((action = ANY (ARRAY['tag'::text, 'untag'::text, 'status'::text, 'block'::text, 'unblock'::text, 'customField'::text, 'delete'::text, 'restore'::text]))),
    CONSTRAINT bulk_action_on_error_check CHECK ((on_error = ANY (ARRAY['rejectAll'::text, 'rejectFailed'::text]))),
    CONSTRAINT bulk_action_status_check CHECK ((status = ANY (ARRAY['queued'::text, 'running'::text, 'completed'::text, 'completed_with_errors'::text, 'failed'::text, 'cancelled'::text, 'undoing'::text, 'undone'::text])))
);

COMMENT ON COLUMN data.bulk_action.deed IS 'What is done to each: the tags, the status, or the key and the value.';

COMMENT ON COLUMN data.bulk_action.is_checked IS 'Whether customers are changed now: false while all of them are looked at first, as rejectAll asks.';

COMMENT ON COLUMN data.bulk_action.next_chunk IS 'The checkpoint: chunks before this one are settled, committed with them.';

CREATE TABLE data.bulk_chunk (
    workspace_id uuid NOT NULL,
    bulk_id uuid NOT NULL,
    number integer NOT NULL,
    first_id uuid NOT NULL,
    customer_ids uuid[] NOT NULL
);

COMMENT ON TABLE data.bulk_chunk IS 'Who is meant: so many ids at a time, in their order. They may be of nobody: it is as they were asked for.';

CREATE TABLE data.bulk_result (
    workspace_id uuid NOT NULL,
    bulk_id uuid NOT NULL,
    customer_id uuid NOT NULL,
    outcome text NOT NULL,
    field text,
    code text,
    message text,
    CONSTRAINT bulk_result_outcome_check CHECK ((outcome = ANY (ARRAY['unchanged'::text, 'failed'::text])))
);

COMMENT ON TABLE data.bulk_result IS 'Who was not changed, and why. Of those who are settled, all others were.';

CREATE TABLE data.cohort_cell (
    workspace_id uuid NOT NULL,
    grain text NOT NULL,
    dimension text NOT NULL,
    value text NOT NULL,
    cohort date NOT NULL,
    period date NOT NULL,
    customers integer NOT NULL,
    orders integer NOT NULL,
    net numeric(38,4) NOT NULL,
    last_customers integer NOT NULL,
    CONSTRAINT cohort_cell_check CHECK ((period >= cohort)),
    CONSTRAINT cohort_cell_dimension_check CHECK ((dimension = ANY (ARRAY['all'::text, 'channel'::text, 'country'::text]))),
    CONSTRAINT cohort_cell_grain_check CHECK ((grain = ANY (ARRAY['week'::text, 'month'::text, 'quarter'::text])))
);

COMMENT ON TABLE data.cohort_cell IS 'What those whose first order was in one period did in another. Weeks begin on Monday.';

COMMENT ON COLUMN data.cohort_cell.value IS 'The channel or country of the first order; empty where all are meant.';

COMMENT ON COLUMN data.cohort_cell.customers IS 'How many of them ordered in the period; where it is the cohort''s own, its size.';

COMMENT ON COLUMN data.cohort_cell.last_customers IS 'How many of them ordered in it and not after it.';

CREATE TABLE data.communication_preference (
    workspace_id uuid NOT NULL,
    customer_id uuid NOT NULL,
    language text,
    preferred_channel text,
    quiet_from text,
    quiet_to text,
    quiet_timezone text,
    version integer DEFAULT 1 NOT NULL,
    CONSTRAINT communication_preference_check CHECK ((((quiet_from IS NULL) = (quiet_to IS NULL)) AND ((quiet_timezone IS NULL) OR (quiet_from IS NOT NULL)))),
    CONSTRAINT communication_preference_preferred_channel_check CHECK ((preferred_channel = ANY (ARRAY['email'::text, 'sms'::text, 'whatsapp'::text, 'phone'::text, 'post'::text]))),
    CONSTRAINT communication_preference_quiet_from_check CHECK ((quiet_from ~ '^([01][0-9]|2[0-3]):[0-5][0-9]$'::text)),
    CONSTRAINT communication_preference_quiet_to_check CHECK ((quiet_to ~ '^([01][0-9]|2[0-3]):[0-5][0-9]$'::text))
);

COMMENT ON COLUMN data.communication_preference.quiet_timezone IS 'Null: the workspace''s, whatever that is at the time.';

CREATE TABLE data.consent (
    workspace_id uuid NOT NULL,
    customer_id uuid NOT NULL,
    channel text NOT NULL,
    topic text NOT NULL,
    state text NOT NULL,
    opt_in_level text NOT NULL,
    source text,
    at timestamp with time zone NOT NULL,
    policy_version text,
    contact_hash bytea,
    version integer DEFAULT 1 NOT NULL
);

COMMENT ON TABLE data.consent IS 'What the ledger amounts to; who is not here was never asked.';

COMMENT ON COLUMN data.consent.contact_hash IS 'Of the entry that decides: a yes for one contact is none for another.';

CREATE TABLE data.custom_field (
    workspace_id uuid NOT NULL,
    id uuid NOT NULL,
    key text NOT NULL,
    label text NOT NULL,
    type text NOT NULL,
    choices text[] DEFAULT '{}'::text[] NOT NULL,
    pattern text,
    description text DEFAULT ''::text NOT NULL,
    "position" integer DEFAULT 0 NOT NULL,
    is_required boolean DEFAULT false NOT NULL,
    is_unique boolean DEFAULT false NOT NULL,
    is_indexed boolean DEFAULT false NOT NULL,
    index_id uuid,
    index_state text DEFAULT 'none'::text NOT NULL,
    index_reason text,
    index_through uuid DEFAULT '00000000-0000-0000-0000-000000000000'::uuid NOT NULL,
    index_done bigint DEFAULT 0 NOT NULL,
    index_total bigint,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    version integer DEFAULT 1 NOT NULL,
    CONSTRAINT custom_field_check CHECK (((NOT is_unique) OR (type = ANY (ARRAY['text'::text, 'number'::text, 'date'::text])))),
    CONSTRAINT custom_field_check1 CHECK (((NOT is_indexed) OR (type <> 'list'::text))),
    CONSTRAINT custom_field_check2 CHECK (((index_id IS NOT NULL) = (is_indexed OR is_unique))),
    CONSTRAINT custom_field_index_state_check CHECK ((index_state = ANY (ARRAY['none'::text, 'building'::text, 'ready'::text, 'conflicting'::text, 'failed'::text]))),
    CONSTRAINT custom_field_key_check CHECK ((key ~ '^[A-Za-z][A-Za-z0-9_]{0,99}$'::text)),
    CONSTRAINT custom_field_label_check CHECK ((label <> ''::text)),
    CONSTRAINT custom_field_type_check CHECK ((type = ANY (ARRAY['text'::text, 'number'::text, 'date'::text, 'boolean'::text, 'choice'::text, 'list'::text])))
);

COMMENT ON COLUMN data.custom_field.index_id IS 'The rows of custom_field_value that are of its values as they are read now: a new one whenever they are read otherwise.';

COMMENT ON COLUMN data.custom_field.index_through IS 'Customers up to this id are in the index that is being built.';

CREATE TABLE data.custom_field_stamp (
    workspace_id uuid NOT NULL,
    stamp uuid NOT NULL
);

COMMENT ON TABLE data.custom_field_stamp IS 'Another one after every change of a definition, by which who remembers the definitions sees it; none where there never was one.';

CREATE TABLE data.custom_field_value (
    workspace_id uuid NOT NULL,
    index_id uuid NOT NULL,
    customer_id uuid NOT NULL,
    text_key text,
    number numeric,
    day date,
    holds boolean DEFAULT false NOT NULL,
    CONSTRAINT custom_field_value_check CHECK (((NOT holds) OR (text_key IS NOT NULL)))
);

COMMENT ON TABLE data.custom_field_value IS 'The values of indexed and unique custom fields of living customers. A row without a key says that there is none, to an index that is being built.';

COMMENT ON COLUMN data.custom_field_value.holds IS 'Nobody else may have this value: true for those of a unique field, but for who has one that another had before it was unique.';

CREATE TABLE data.customer (
    workspace_id uuid NOT NULL,
    id uuid NOT NULL,
    source text NOT NULL,
    external_id text,
    email text,
    name text,
    phone text,
    phone_e164 text,
    date_of_birth date,
    gender text,
    avatar_key text,
    status text DEFAULT 'ACTIVE'::text NOT NULL,
    status_before_block text,
    country text,
    tags text[] DEFAULT '{}'::text[] NOT NULL,
    custom_fields jsonb DEFAULT '{}'::jsonb NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    deleted_at timestamp with time zone,
    merged_into_id uuid,
    version integer DEFAULT 1 NOT NULL,
    search text GENERATED ALWAYS AS (ext.fold((((((((((' '::text || COALESCE(name, ''::text)) || ' '::text) || COALESCE(email, ''::text)) || ' '::text) || COALESCE(regexp_replace(phone, '\D'::text, ''::text, 'g'::text), ''::text)) || ' '::text) || COALESCE(ltrim(phone_e164, '+'::text), ''::text)) || ' '::text) || COALESCE(external_id, ''::text)))) STORED NOT NULL,
    erased_at timestamp with time zone,
    CONSTRAINT customer_status_before_block_check CHECK ((status_before_block = ANY (ARRAY['ACTIVE'::text, 'INACTIVE'::text, 'VIP'::text]))),
    CONSTRAINT customer_status_check CHECK ((status = ANY (ARRAY['ACTIVE'::text, 'INACTIVE'::text, 'BLOCKED'::text, 'VIP'::text])))
);

COMMENT ON COLUMN data.customer.erased_at IS 'Nothing of the person is left; the row stays for the orders, and never comes back.';

CREATE TABLE data.customer_day (
    workspace_id uuid NOT NULL,
    customer_id uuid NOT NULL,
    day date NOT NULL,
    channel text NOT NULL,
    country text NOT NULL,
    region text NOT NULL,
    orders integer NOT NULL,
    gross numeric(38,4) NOT NULL,
    refunded numeric(38,4) NOT NULL,
    net numeric(38,4) NOT NULL,
    is_first boolean NOT NULL
);

COMMENT ON TABLE data.customer_day IS 'What a customer ordered on a day of the workspace''s zone by a channel to a place: of orders that count, in its currency.';

COMMENT ON COLUMN data.customer_day.channel IS 'The source of the orders.';

COMMENT ON COLUMN data.customer_day.country IS 'Where they were sent, else where the customer lives; empty where nothing is known.';

COMMENT ON COLUMN data.customer_day.is_first IS 'Whether the customer''s first order is among them: its day is the cohort, its channel and country what brought the customer.';

CREATE TABLE data.customer_identity (
    workspace_id uuid NOT NULL,
    id uuid NOT NULL,
    customer_id uuid NOT NULL,
    kind text NOT NULL,
    source text DEFAULT ''::text NOT NULL,
    shop text DEFAULT ''::text NOT NULL,
    value text NOT NULL,
    key text,
    quality text NOT NULL,
    matched_by text NOT NULL,
    other_names text[] DEFAULT '{}'::text[] NOT NULL,
    is_hub boolean DEFAULT false NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    released_at timestamp with time zone,
    version integer DEFAULT 1 NOT NULL,
    CONSTRAINT customer_identity_kind_check CHECK ((kind = ANY (ARRAY['channel'::text, 'email'::text, 'phone'::text]))),
    CONSTRAINT customer_identity_quality_check CHECK ((quality = ANY (ARRAY['real'::text, 'relay'::text, 'masked'::text, 'placeholder'::text])))
);

COMMENT ON COLUMN data.customer_identity.key IS 'What orders are matched by: the channel''s id, the normalised real email, the E.164 phone; null when it must never match.';

COMMENT ON COLUMN data.customer_identity.other_names IS 'First names, unlike the customer''s own, that came with this contact; many make it a hub.';

CREATE TABLE data.customer_journal (
    workspace_id uuid NOT NULL,
    act_id uuid NOT NULL,
    customer_id uuid NOT NULL,
    changes jsonb NOT NULL,
    kept jsonb,
    undone_at timestamp with time zone
);

COMMENT ON TABLE data.customer_journal IS 'One row an act and customer. An act''s id begins with when it began, so that what is old is found by the primary key.';

COMMENT ON COLUMN data.customer_journal.changes IS 'Field → [old, new], as customers/journal.py describes.';

COMMENT ON COLUMN data.customer_journal.kept IS 'Once undone: the fields that stayed as they are, because somebody changed them after the act, or somebody else has the old value by now.';

CREATE TABLE data.customer_merge (
    workspace_id uuid NOT NULL,
    id uuid NOT NULL,
    primary_id uuid NOT NULL,
    duplicate_ids uuid[] NOT NULL,
    fields jsonb DEFAULT '{}'::jsonb NOT NULL,
    moved jsonb DEFAULT '{}'::jsonb NOT NULL,
    joined jsonb DEFAULT '{}'::jsonb NOT NULL,
    actor text NOT NULL,
    actor_name text NOT NULL,
    merged_at timestamp with time zone DEFAULT now() NOT NULL,
    primary_created_at timestamp with time zone NOT NULL,
    undone_at timestamp with time zone,
    undone_by text,
    undone_by_name text,
    put_back jsonb DEFAULT '{}'::jsonb NOT NULL,
    kept jsonb DEFAULT '[]'::jsonb NOT NULL,
    kept_count integer DEFAULT 0 NOT NULL,
    forgotten_at timestamp with time zone,
    CONSTRAINT customer_merge_duplicate_ids_check CHECK ((cardinality(duplicate_ids) > 0))
);

COMMENT ON TABLE data.customer_merge IS 'Customers who were made one. It names them for ever, also those who are no more.';

COMMENT ON COLUMN data.customer_merge.fields IS 'Which customer each field of the profile was taken from: name → id, or null where the value was told.';

COMMENT ON COLUMN data.customer_merge.primary_created_at IS 'Since when the survivor itself was known: it has the earliest of all since.';

COMMENT ON COLUMN data.customer_merge.kept IS 'Once undone: what could not be put back, and why; the first thousand of them.';

COMMENT ON COLUMN data.customer_merge.forgotten_at IS 'Since then its rows are gone, and it cannot be undone.';

CREATE TABLE data.customer_metrics (
    workspace_id uuid NOT NULL,
    customer_id uuid NOT NULL,
    order_count integer DEFAULT 0 NOT NULL,
    total_spent numeric(38,4) DEFAULT 0 NOT NULL,
    average_order_value numeric(38,4) DEFAULT 0 NOT NULL,
    first_order_at timestamp with time zone,
    last_order_at timestamp with time zone,
    lifetime_value numeric(38,4) DEFAULT 0 NOT NULL,
    total_orders integer DEFAULT 0 NOT NULL,
    orders_count integer DEFAULT 0 NOT NULL,
    by_currency jsonb DEFAULT '{}'::jsonb NOT NULL,
    refreshed_at timestamp with time zone
);

COMMENT ON TABLE data.customer_metrics IS 'What a customer is worth: always recounted from the orders, one row a customer.';

COMMENT ON COLUMN data.customer_metrics.order_count IS 'Orders whose status counts and whose rate is known.';

COMMENT ON COLUMN data.customer_metrics.total_orders IS 'Delivered ones among them.';

COMMENT ON COLUMN data.customer_metrics.orders_count IS 'All orders, whatever their status.';

CREATE TABLE data.customer_note (
    workspace_id uuid NOT NULL,
    id uuid NOT NULL,
    customer_id uuid NOT NULL,
    note text NOT NULL,
    pinned boolean DEFAULT false NOT NULL,
    author text NOT NULL,
    author_name text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    version integer DEFAULT 1 NOT NULL,
    CONSTRAINT customer_note_note_check CHECK ((note <> ''::text))
);

CREATE TABLE data.customer_prediction (
    workspace_id uuid NOT NULL,
    customer_id uuid NOT NULL,
    version integer NOT NULL,
    churn_probability double precision NOT NULL,
    churn_risk text NOT NULL,
    expected_orders double precision NOT NULL,
    predicted_value numeric(38,4) NOT NULL,
    next_order_on date,
    value_at_stake numeric(38,4) NOT NULL,
    CONSTRAINT customer_prediction_churn_probability_check CHECK (((churn_probability >= (0)::double precision) AND (churn_probability <= (1)::double precision))),
    CONSTRAINT customer_prediction_churn_risk_check CHECK ((churn_risk = ANY (ARRAY['low'::text, 'medium'::text, 'high'::text]))),
    CONSTRAINT customer_prediction_expected_orders_check CHECK (((expected_orders >= (0)::double precision) AND (expected_orders < 'Infinity'::double precision)))
);

COMMENT ON TABLE data.customer_prediction IS 'What the serving model says of each customer with an order that counts.';

COMMENT ON COLUMN data.customer_prediction.churn_probability IS 'That no order comes within the model''s horizon.';

COMMENT ON COLUMN data.customer_prediction.expected_orders IS 'Within the next 365 days, as predicted_value.';

COMMENT ON COLUMN data.customer_prediction.value_at_stake IS 'What the customer spent within the last 365 days, times churn_probability.';

CREATE TABLE data.customer_rfm (
    workspace_id uuid NOT NULL,
    customer_id uuid NOT NULL,
    recency smallint NOT NULL,
    frequency smallint NOT NULL,
    monetary smallint NOT NULL,
    rfm_group text NOT NULL,
    former_group text,
    CONSTRAINT customer_rfm_frequency_check CHECK (((frequency >= 1) AND (frequency <= 5))),
    CONSTRAINT customer_rfm_monetary_check CHECK (((monetary >= 1) AND (monetary <= 5))),
    CONSTRAINT customer_rfm_recency_check CHECK (((recency >= 1) AND (recency <= 5)))
);

COMMENT ON TABLE data.customer_rfm IS 'Recency, frequency and monetary value in fifths of the workspace''s customers with an order that counts.';

COMMENT ON COLUMN data.customer_rfm.former_group IS 'The group at the end of last month; null where there was none.';

ALTER TABLE data.customer_stale ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME data.customer_stale_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE data.customer_told (
    workspace_id uuid NOT NULL,
    source text NOT NULL,
    shop text NOT NULL,
    external_id text NOT NULL,
    source_updated_at timestamp with time zone,
    profile jsonb NOT NULL
);

COMMENT ON TABLE data.customer_told IS 'What a channel last said of its customer: a field that still says it is the channel''s to change, another is ours.';

CREATE TABLE data.duplicate_due (
    workspace_id uuid NOT NULL,
    first_id uuid NOT NULL,
    last_id uuid NOT NULL
);

COMMENT ON TABLE data.duplicate_due IS 'Ids from first to last, both among them, of customers who were added many at once.';

CREATE TABLE data.duplicate_pair (
    workspace_id uuid NOT NULL,
    id uuid NOT NULL,
    a_id uuid NOT NULL,
    b_id uuid NOT NULL,
    score numeric(6,2) NOT NULL,
    level text NOT NULL,
    reasons text[] NOT NULL,
    status text DEFAULT 'open'::text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    evidence jsonb DEFAULT '[]'::jsonb NOT NULL,
    own_level text,
    is_told boolean DEFAULT false NOT NULL,
    cluster_id uuid,
    scan_id uuid,
    note text,
    merge_id uuid,
    decided_at timestamp with time zone,
    decided_by text,
    decided_by_name text,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    version integer DEFAULT 1 NOT NULL,
    CONSTRAINT duplicate_pair_check CHECK ((a_id < b_id)),
    CONSTRAINT duplicate_pair_level_check CHECK ((level = ANY (ARRAY['automatic'::text, 'suggested'::text, 'review'::text]))),
    CONSTRAINT duplicate_pair_own_level_check CHECK ((own_level = ANY (ARRAY['automatic'::text, 'suggested'::text, 'review'::text, 'implied'::text]))),
    CONSTRAINT duplicate_pair_status_check CHECK ((status = ANY (ARRAY['open'::text, 'dismissed'::text, 'merged'::text])))
);

COMMENT ON COLUMN data.duplicate_pair.evidence IS 'What each field says, in bits: [{field, words, bits}].';

COMMENT ON COLUMN data.duplicate_pair.own_level IS 'What the two say by themselves, where level is what is left of it in their group; implied: only others say it.';

COMMENT ON COLUMN data.duplicate_pair.is_told IS 'Somebody said of the one what belongs to the other: no scan takes it away.';

COMMENT ON COLUMN data.duplicate_pair.cluster_id IS 'The oldest customer of the group that both are in; null while no scan has put them into one.';

CREATE UNLOGGED TABLE data.duplicate_profile (
    workspace_id uuid NOT NULL,
    customer_id uuid NOT NULL,
    source_hash bigint NOT NULL,
    profile text NOT NULL,
    terms text[] NOT NULL,
    blocks bigint[] NOT NULL,
    scan_id uuid NOT NULL
)
WITH (autovacuum_vacuum_insert_threshold='-1');

COMMENT ON TABLE data.duplicate_profile IS 'A customer as others are compared with: brought to one form by the last scan that found them changed.';

COMMENT ON COLUMN data.duplicate_profile.source_hash IS 'Of what the profile was made of; another one means that it is to be made anew.';

COMMENT ON COLUMN data.duplicate_profile.terms IS 'The values whose frequency matters.';

COMMENT ON COLUMN data.duplicate_profile.blocks IS 'Hashes of the keys of the blocking rules: who shares one is compared.';

COMMENT ON COLUMN data.duplicate_profile.scan_id IS 'The scan that made it: as long as none was completed since, it is to be compared.';

CREATE TABLE data.duplicate_scan (
    workspace_id uuid NOT NULL,
    id uuid NOT NULL,
    is_full boolean NOT NULL,
    status text DEFAULT 'queued'::text NOT NULL,
    phase text DEFAULT 'waiting'::text NOT NULL,
    customers bigint DEFAULT 0 NOT NULL,
    changed bigint DEFAULT 0 NOT NULL,
    compared bigint DEFAULT 0 NOT NULL,
    automatic bigint DEFAULT 0 NOT NULL,
    suggested bigint DEFAULT 0 NOT NULL,
    review bigint DEFAULT 0 NOT NULL,
    clusters bigint DEFAULT 0 NOT NULL,
    error text,
    job_id uuid,
    actor text NOT NULL,
    actor_name text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    started_at timestamp with time zone,
    finished_at timestamp with time zone,
    CONSTRAINT duplicate_scan_status_check CHECK ((status = ANY (ARRAY['queued'::text, 'running'::text, 'completed'::text, 'failed'::text, 'cancelled'::text])))
);

COMMENT ON COLUMN data.duplicate_scan.changed IS 'Customers who were new or others since the scan before; all of them in a full scan.';

COMMENT ON COLUMN data.duplicate_scan.compared IS 'Pairs that share a key of some blocking rule.';

CREATE TABLE data.duplicate_setting (
    workspace_id uuid NOT NULL,
    automatic_merging boolean NOT NULL,
    nightly_scan boolean NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    version integer DEFAULT 1 NOT NULL
);

COMMENT ON TABLE data.duplicate_setting IS 'What a workspace said about its duplicates; without a row nothing is merged by itself, and a scan runs every night.';

CREATE UNLOGGED TABLE data.duplicate_term (
    workspace_id uuid NOT NULL,
    term text NOT NULL,
    customers integer NOT NULL
);

COMMENT ON TABLE data.duplicate_term IS 'How many customers have a value, of those that more than two have.';

CREATE TABLE data.erased_contact (
    workspace_id uuid NOT NULL,
    contact_hash bytea NOT NULL,
    customer_id uuid,
    request_id uuid,
    erased_at timestamp with time zone NOT NULL
);

COMMENT ON TABLE data.erased_contact IS 'Contacts of people who were erased: what comes from before that and bears one stays nobody''s.';

COMMENT ON COLUMN data.erased_contact.contact_hash IS 'HMAC-SHA256 under the workspace''s key of suppression_key of kind, source, shop and key.';

COMMENT ON COLUMN data.erased_contact.customer_id IS 'The row that their orders still hang on; null where nobody was known.';

CREATE TABLE data.exchange_rate (
    workspace_id uuid NOT NULL,
    currency text NOT NULL,
    on_date date NOT NULL,
    rate numeric(20,10) NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT exchange_rate_currency_check CHECK ((currency ~ '^[A-Z]{3}$'::text)),
    CONSTRAINT exchange_rate_rate_check CHECK ((rate > (0)::numeric))
);

COMMENT ON COLUMN data.exchange_rate.rate IS 'Units of the workspace''s currency for one unit of this one.';

CREATE TABLE data.import_change (
    workspace_id uuid NOT NULL,
    import_id uuid NOT NULL,
    customer_id uuid NOT NULL,
    changes jsonb NOT NULL
);

COMMENT ON TABLE data.import_change IS 'Some of the customers whom a trial would change.';

COMMENT ON COLUMN data.import_change.changes IS 'Field → [old, new], as in the customers'' journal, and what would be added: address, note, contact and consents.';

CREATE TABLE data.import_chunk (
    workspace_id uuid NOT NULL,
    import_id uuid NOT NULL,
    number integer NOT NULL,
    first_row bigint NOT NULL,
    last_row bigint NOT NULL,
    rows integer NOT NULL,
    created integer NOT NULL,
    updated integer NOT NULL,
    skipped integer NOT NULL,
    failed integer NOT NULL,
    consents_refused integer DEFAULT 0 NOT NULL,
    first_id uuid,
    last_id uuid,
    created_ids uuid[] DEFAULT '{}'::uuid[] NOT NULL,
    added jsonb DEFAULT '{}'::jsonb NOT NULL,
    committed_at timestamp with time zone DEFAULT now() NOT NULL,
    reverted_at timestamp with time zone,
    removed integer DEFAULT 0 NOT NULL,
    kept jsonb DEFAULT '[]'::jsonb NOT NULL,
    doubtful integer DEFAULT 0 NOT NULL
);

COMMENT ON COLUMN data.import_chunk.created_ids IS 'The customers that it made; forgotten when it can be reverted no more.';

COMMENT ON COLUMN data.import_chunk.added IS 'What it added to customers that were there: kind of row → ids.';

COMMENT ON COLUMN data.import_chunk.kept IS 'What could not be taken back because somebody has used or changed it since: [{customerId, why}].';

CREATE TABLE data.import_error (
    workspace_id uuid NOT NULL,
    import_id uuid NOT NULL,
    row_number bigint NOT NULL,
    field text,
    code text NOT NULL,
    message text NOT NULL,
    cells text[] NOT NULL,
    others jsonb DEFAULT '[]'::jsonb NOT NULL,
    is_taken boolean DEFAULT false NOT NULL
);

COMMENT ON COLUMN data.import_error.others IS 'What else is wrong with the row: [{field, code, message}].';

COMMENT ON COLUMN data.import_error.is_taken IS 'Whether the row was taken in all the same: it only tells of something that nobody understands.';

CREATE TABLE data.import_run (
    workspace_id uuid NOT NULL,
    id uuid NOT NULL,
    kind text NOT NULL,
    status text NOT NULL,
    file_name text NOT NULL,
    file_hash bytea NOT NULL,
    file_key text,
    options jsonb NOT NULL,
    total integer,
    done integer DEFAULT 0 NOT NULL,
    rows_read bigint DEFAULT 0 NOT NULL,
    created integer DEFAULT 0 NOT NULL,
    updated integer DEFAULT 0 NOT NULL,
    unchanged integer DEFAULT 0 NOT NULL,
    failed integer DEFAULT 0 NOT NULL,
    customers_created integer DEFAULT 0 NOT NULL,
    error text,
    actor text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    started_at timestamp with time zone,
    finished_at timestamp with time zone,
    dry_run boolean DEFAULT false NOT NULL,
    preset text,
    ignored_columns text[] DEFAULT '{}'::text[] NOT NULL,
    encoding text,
    format text,
    header text[],
    chunk_rows integer,
    revert_wanted_at timestamp with time zone,
    reverted_at timestamp with time zone,
    doubtful integer DEFAULT 0 NOT NULL,
    CONSTRAINT import_run_kind_check CHECK ((kind = ANY (ARRAY['orders'::text, 'customers'::text, 'rates'::text]))),
    CONSTRAINT import_run_status_check CHECK ((status = ANY (ARRAY['queued'::text, 'running'::text, 'completed'::text, 'completed_with_errors'::text, 'failed'::text, 'cancelled'::text, 'reverted'::text])))
);

COMMENT ON COLUMN data.import_run.rows_read IS 'The checkpoint: rows of the file that are settled, committed with them.';

COMMENT ON COLUMN data.import_run.preset IS 'Whose export the header is, where it could be told.';

COMMENT ON COLUMN data.import_run.header IS 'The file''s own columns, for the list of its refused rows.';

COMMENT ON COLUMN data.import_run.chunk_rows IS 'How many rows a chunk has: a run goes on with the chunks that it began with.';

COMMENT ON COLUMN data.import_run.doubtful IS 'How many rows were taken in with something that nobody understands; of customers the chunks tell.';

CREATE TABLE data.migration (
    version integer NOT NULL,
    name text NOT NULL,
    checksum text NOT NULL,
    applied_at timestamp with time zone DEFAULT now() NOT NULL
);

COMMENT ON TABLE data.migration IS 'local: the migrations that were applied.';

CREATE TABLE data."order" (
    workspace_id uuid NOT NULL,
    id uuid NOT NULL,
    source text NOT NULL,
    shop text DEFAULT ''::text NOT NULL,
    external_id text,
    number text,
    customer_id uuid,
    status text NOT NULL,
    financial_status text,
    on_hold boolean DEFAULT false NOT NULL,
    hold_reason text,
    needs_review boolean DEFAULT false NOT NULL,
    currency text NOT NULL,
    subtotal numeric(19,4),
    shipping numeric(19,4),
    tax numeric(19,4),
    discount numeric(19,4),
    total numeric(19,4) NOT NULL,
    refunded numeric(19,4) DEFAULT 0 NOT NULL,
    exchange_rate numeric(20,10),
    net_value numeric(38,4) GENERATED ALWAYS AS (round(((total - refunded) * exchange_rate), 4)) STORED,
    placed_at timestamp with time zone NOT NULL,
    cancelled_at timestamp with time zone,
    delivered_at timestamp with time zone,
    email text,
    phone text,
    name text,
    shipping_address jsonb,
    billing_address jsonb,
    tags text[] DEFAULT '{}'::text[] NOT NULL,
    note text,
    source_updated_at timestamp with time zone,
    intake_hash bytea,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    version integer DEFAULT 1 NOT NULL,
    erased_at timestamp with time zone,
    CONSTRAINT order_currency_check CHECK ((currency ~ '^[A-Z]{3}$'::text)),
    CONSTRAINT order_exchange_rate_check CHECK ((exchange_rate > (0)::numeric)),
    CONSTRAINT order_status_check CHECK ((status = ANY (ARRAY['pending'::text, 'confirmed'::text, 'processing'::text, 'shipped'::text, 'delivered'::text, 'cancelled'::text, 'returned'::text])))
);

COMMENT ON COLUMN data."order".net_value IS 'Total less refunds in the workspace''s currency; null while the rate is unknown.';

COMMENT ON COLUMN data."order".intake_hash IS 'Of what the source last said: an equal one changes nothing.';

COMMENT ON COLUMN data."order".erased_at IS 'Whose it was is forgotten, and is not filled in again by whatever is told of it later.';

CREATE TABLE data.order_decision (
    workspace_id uuid NOT NULL,
    order_id uuid NOT NULL,
    id uuid NOT NULL,
    customer_id uuid,
    method text NOT NULL,
    evidence jsonb NOT NULL,
    decided_at timestamp with time zone DEFAULT now() NOT NULL
);

COMMENT ON TABLE data.order_decision IS 'Why an order went to its customer; the newest decides.';

CREATE TABLE data.order_line (
    workspace_id uuid NOT NULL,
    order_id uuid NOT NULL,
    "position" integer NOT NULL,
    id uuid NOT NULL,
    sku text,
    title text DEFAULT ''::text NOT NULL,
    quantity integer NOT NULL,
    unit_price numeric(19,4),
    properties jsonb DEFAULT '{}'::jsonb NOT NULL
);

CREATE TABLE data.order_refund (
    workspace_id uuid NOT NULL,
    order_id uuid NOT NULL,
    id uuid NOT NULL,
    external_id text,
    amount numeric(19,4) NOT NULL,
    reason text,
    refunded_at timestamp with time zone NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    recorded_here boolean DEFAULT false NOT NULL,
    CONSTRAINT order_refund_amount_check CHECK ((amount > (0)::numeric))
);

COMMENT ON COLUMN data.order_refund.recorded_here IS 'By staff or a program, not told by the order''s source, whose list of refunds does not end it.';

CREATE TABLE data.prediction_model (
    workspace_id uuid NOT NULL,
    version integer NOT NULL,
    serving text NOT NULL,
    method text NOT NULL,
    as_of date NOT NULL,
    window_from date,
    horizon_days integer NOT NULL,
    customers integer NOT NULL,
    missing text[] DEFAULT '{}'::text[] NOT NULL,
    parameters jsonb NOT NULL,
    backtest jsonb,
    fitted_at timestamp with time zone NOT NULL,
    CONSTRAINT prediction_model_method_check CHECK ((method = ANY (ARRAY['map'::text, 'ml'::text]))),
    CONSTRAINT prediction_model_serving_check CHECK ((serving = ANY (ARRAY['bgnbd'::text, 'logistic'::text, 'repeat_rate'::text, 'nothing'::text])))
);

COMMENT ON TABLE data.prediction_model IS 'What was fitted on which orders, how it was judged, and which of the models serves. Kept as history.';

COMMENT ON COLUMN data.prediction_model.missing IS 'What the workspace lacks for predictions, in words; a repeat rate serves as long as anything is missing.';

CREATE TABLE data.rfm_month (
    workspace_id uuid NOT NULL,
    month date NOT NULL,
    rfm_group text NOT NULL,
    customers integer NOT NULL,
    revenue numeric(38,4) NOT NULL
);

COMMENT ON TABLE data.rfm_month IS 'How large the groups were at the end of a month.';

CREATE TABLE data.rfm_run (
    workspace_id uuid NOT NULL,
    scored_at timestamp with time zone NOT NULL,
    month date NOT NULL,
    customers integer NOT NULL,
    recency_cuts timestamp with time zone[] NOT NULL,
    frequency_cuts integer[] NOT NULL,
    monetary_cuts numeric[] NOT NULL,
    spent_cuts numeric[] NOT NULL
);

COMMENT ON TABLE data.rfm_run IS 'When everybody was scored last, and the greatest value of each fifth but the highest; null where nobody is in or below it.';

COMMENT ON COLUMN data.rfm_run.month IS 'The month, in the workspace''s zone, before which former_group was kept.';

COMMENT ON COLUMN data.rfm_run.spent_cuts IS 'The greatest total spent of each hundredth but the highest: a customer''s percentile without a look at the others.';

CREATE TABLE data.sales_day (
    workspace_id uuid NOT NULL,
    day date NOT NULL,
    channel text NOT NULL,
    country text NOT NULL,
    region text NOT NULL,
    buyers integer NOT NULL,
    newcomers integer NOT NULL,
    orders integer NOT NULL,
    gross numeric(38,4) NOT NULL,
    refunded numeric(38,4) NOT NULL,
    net numeric(38,4) NOT NULL
);

COMMENT ON TABLE data.sales_day IS 'The sums of customer_day over customers.';

COMMENT ON COLUMN data.sales_day.newcomers IS 'Customers whose first order is among them.';

CREATE TABLE data.saved_view (
    workspace_id uuid NOT NULL,
    id uuid NOT NULL,
    name text NOT NULL,
    query text NOT NULL,
    is_shared boolean NOT NULL,
    owner text NOT NULL,
    owner_name text NOT NULL,
    "position" integer DEFAULT 0 NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    version integer DEFAULT 1 NOT NULL,
    CONSTRAINT saved_view_name_check CHECK ((name <> ''::text))
);

COMMENT ON TABLE data.saved_view IS 'What a list of customers is narrowed and sorted by, kept under a name, for its owner or for all.';

CREATE TABLE data.segment_day (
    workspace_id uuid NOT NULL,
    segment_id uuid NOT NULL,
    day date NOT NULL,
    members integer DEFAULT 0 NOT NULL,
    entered integer DEFAULT 0 NOT NULL,
    left_count integer DEFAULT 0 NOT NULL
);

COMMENT ON TABLE data.segment_day IS 'Growth, a row a day of the workspace''s zone: the last count of the day, and who entered and left during it.';

CREATE TABLE data.segment_member (
    workspace_id uuid NOT NULL,
    segment_id uuid NOT NULL,
    customer_id uuid NOT NULL,
    entered_at timestamp with time zone NOT NULL
);

COMMENT ON TABLE data.segment_member IS 'Who is in a segment, by what was known when it was last evaluated for them.';

CREATE TABLE data.segment_pick (
    workspace_id uuid NOT NULL,
    segment_id uuid NOT NULL,
    customer_id uuid NOT NULL,
    picked_by text NOT NULL,
    picked_at timestamp with time zone DEFAULT now() NOT NULL
);

COMMENT ON TABLE data.segment_pick IS 'Whom somebody put into a manual segment; a deleted customer stays picked and is a member again once restored.';

ALTER TABLE data.segment_stale ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME data.segment_stale_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE data.suppression (
    workspace_id uuid NOT NULL,
    id uuid NOT NULL,
    contact_hash bytea NOT NULL,
    contact text,
    channel text NOT NULL,
    topic text,
    reason text NOT NULL,
    at timestamp with time zone NOT NULL,
    lifted_at timestamp with time zone,
    is_active boolean GENERATED ALWAYS AS (((lifted_at IS NULL) OR (lifted_at <= at))) STORED NOT NULL,
    actor text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT suppression_channel_check CHECK ((channel = ANY (ARRAY['email'::text, 'sms'::text, 'whatsapp'::text, 'phone'::text]))),
    CONSTRAINT suppression_check CHECK (((reason = 'unsubscribed'::text) = (topic IS NOT NULL))),
    CONSTRAINT suppression_reason_check CHECK ((reason = ANY (ARRAY['unsubscribed'::text, 'bounced'::text, 'complained'::text, 'manual'::text]))),
    CONSTRAINT suppression_topic_check CHECK ((topic = ANY (ARRAY['marketing'::text, 'transactional'::text, 'review_requests'::text, 'surveys'::text])))
);

COMMENT ON TABLE data.suppression IS 'Contacts that are not written to, whoever has them. A lifted one stays, so that what is older cannot bring it back.';

COMMENT ON COLUMN data.suppression.contact IS 'Null once its person is forgotten; the hash goes on.';

COMMENT ON COLUMN data.suppression.topic IS 'Null: everything.';

COMMENT ON COLUMN data.suppression.at IS 'When it was last said; lifted_at, when it was last taken back.';

CREATE TABLE data.suppression_key (
    workspace_id uuid NOT NULL,
    sealed bytea NOT NULL
);

COMMENT ON TABLE data.suppression_key IS 'What contacts are hashed with, sealed with the installation''s key: that one may change, hashes may not.';

CREATE TABLE data.tag_change (
    workspace_id uuid NOT NULL,
    id uuid NOT NULL,
    tags text[] NOT NULL,
    into_tag text,
    actor text NOT NULL,
    actor_name text NOT NULL,
    state text DEFAULT 'waiting'::text NOT NULL,
    job_id uuid,
    done bigint DEFAULT 0 NOT NULL,
    total bigint NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    ended_at timestamp with time zone,
    CONSTRAINT tag_change_check CHECK (((ended_at IS NULL) = (state = ANY (ARRAY['waiting'::text, 'running'::text])))),
    CONSTRAINT tag_change_state_check CHECK ((state = ANY (ARRAY['waiting'::text, 'running'::text, 'done'::text, 'cancelled'::text])))
);

COMMENT ON TABLE data.tag_change IS 'A change of tags in all customers that have them, which a job makes: a workspace''s one after the other.';

COMMENT ON COLUMN data.tag_change.into_tag IS 'What they become; null when they are removed.';

CREATE TABLE data.tag_count (
    workspace_id uuid NOT NULL,
    tag text NOT NULL,
    customers bigint NOT NULL,
    counted_at timestamp with time zone NOT NULL,
    CONSTRAINT tag_count_customers_check CHECK ((customers > 0))
);

COMMENT ON TABLE data.tag_count IS 'How many living customers have a tag, in workspaces that are too big to count when asked.';

CREATE TABLE data.web_preference (
    workspace_id uuid NOT NULL,
    staff_id uuid NOT NULL,
    language text,
    timezone text,
    columns text[],
    seen_at timestamp with time zone,
    CONSTRAINT web_preference_language_check CHECK ((language = ANY (ARRAY['en'::text, 'vi'::text])))
);

COMMENT ON TABLE data.web_preference IS 'How a member of staff wants the screens to be; null is what the browser or the workspace says.';

COMMENT ON COLUMN data.web_preference.columns IS 'Which columns the list of customers shows, in their order.';

COMMENT ON COLUMN data.web_preference.seen_at IS 'Notifications up to then were seen.';

CREATE TABLE data.web_recent (
    workspace_id uuid NOT NULL,
    staff_id uuid NOT NULL,
    customer_id uuid NOT NULL,
    seen_at timestamp with time zone NOT NULL
);

COMMENT ON TABLE data.web_recent IS 'Whose profiles a member of staff has looked at, the last ones.';

CREATE VIEW fence.address WITH (security_barrier='false') AS
 SELECT workspace_id,
    id,
    customer_id,
    type,
    is_default,
    line1,
    line2,
    city,
    state,
    postal_code,
    country,
    recipient_name,
    phone,
    validated_at,
    validation_skipped,
    match_key,
    created_at,
    updated_at,
    version
   FROM data.address
  WHERE (workspace_id = ( SELECT fence.current_workspace() AS current_workspace))
  WITH CASCADED CHECK OPTION;

CREATE VIEW fence.api_key WITH (security_barrier='false') AS
 SELECT workspace_id,
    id,
    name,
    prefix,
    token_hash,
    scopes,
    rate_limit,
    created_by,
    created_at,
    expires_at,
    revoked_at,
    last_used_at
   FROM data.api_key
  WHERE (workspace_id = ( SELECT fence.current_workspace() AS current_workspace))
  WITH CASCADED CHECK OPTION;

CREATE VIEW fence.audit_log WITH (security_barrier='false') AS
 SELECT workspace_id,
    id,
    at,
    actor,
    action,
    subject_id,
    request_id,
    ip,
    changes
   FROM data.audit_log
  WHERE (workspace_id = ( SELECT fence.current_workspace() AS current_workspace))
  WITH CASCADED CHECK OPTION;

CREATE VIEW fence.bulk_action WITH (security_barrier='false') AS
 SELECT workspace_id,
    id,
    action,
    deed,
    selection,
    dry_run,
    on_error,
    status,
    total,
    is_checked,
    next_chunk,
    done,
    changed,
    unchanged,
    failed,
    undone,
    kept,
    error,
    actor,
    actor_name,
    created_at,
    started_at,
    ended_at
   FROM data.bulk_action
  WHERE (workspace_id = ( SELECT fence.current_workspace() AS current_workspace))
  WITH CASCADED CHECK OPTION;

CREATE VIEW fence.bulk_chunk WITH (security_barrier='false') AS
 SELECT workspace_id,
    bulk_id,
    number,
    first_id,
    customer_ids
   FROM data.bulk_chunk
  WHERE (workspace_id = ( SELECT fence.current_workspace() AS current_workspace))
  WITH CASCADED CHECK OPTION;

CREATE VIEW fence.bulk_result WITH (security_barrier='false') AS
 SELECT workspace_id,
    bulk_id,
    customer_id,
    outcome,
    field,
    code,
    message
   FROM data.bulk_result
  WHERE (workspace_id = ( SELECT fence.current_workspace() AS current_workspace))
  WITH CASCADED CHECK OPTION;

CREATE VIEW fence.channel_connection WITH (security_barrier='false') AS
 SELECT workspace_id,
    id,
    platform,
    shop,
    name,
    secret,
    former_secret,
    former_secret_until,
    last_received_at,
    created_at,
    updated_at,
    disconnected_at,
    version
   FROM data.channel_connection
  WHERE (workspace_id = ( SELECT fence.current_workspace() AS current_workspace))
  WITH CASCADED CHECK OPTION;

CREATE VIEW fence.cohort_cell WITH (security_barrier='false') AS
 SELECT workspace_id,
    grain,
    dimension,
    value,
    cohort,
    period,
    customers,
    orders,
    net,
    last_customers
   FROM data.cohort_cell
  WHERE (workspace_id = ( SELECT fence.current_workspace() AS current_workspace))
  WITH CASCADED CHECK OPTION;

CREATE VIEW fence.communication_preference WITH (security_barrier='false') AS
 SELECT workspace_id,
    customer_id,
    language,
    preferred_channel,
    quiet_from,
    quiet_to,
    quiet_timezone,
    version
   FROM data.communication_preference
  WHERE (workspace_id = ( SELECT fence.current_workspace() AS current_workspace))
  WITH CASCADED CHECK OPTION;

CREATE VIEW fence.consent WITH (security_barrier='false') AS
 SELECT workspace_id,
    customer_id,
    channel,
    topic,
    state,
    opt_in_level,
    source,
    at,
    policy_version,
    contact_hash,
    version
   FROM data.consent
  WHERE (workspace_id = ( SELECT fence.current_workspace() AS current_workspace))
  WITH CASCADED CHECK OPTION;

CREATE VIEW fence.consent_entry WITH (security_barrier='false') AS
 SELECT workspace_id,
    id,
    customer_id,
    channel,
    topic,
    state,
    opt_in_level,
    source,
    at,
    received_at,
    proof,
    policy_version,
    fingerprint,
    contact,
    contact_hash,
    actor,
    origin
   FROM data.consent_entry
  WHERE (workspace_id = ( SELECT fence.current_workspace() AS current_workspace))
  WITH CASCADED CHECK OPTION;

CREATE VIEW fence.custom_field WITH (security_barrier='false') AS
 SELECT workspace_id,
    id,
    key,
    label,
    type,
    choices,
    pattern,
    description,
    "position",
    is_required,
    is_unique,
    is_indexed,
    index_id,
    index_state,
    index_reason,
    index_through,
    index_done,
    index_total,
    created_at,
    updated_at,
    version
   FROM data.custom_field
  WHERE (workspace_id = ( SELECT fence.current_workspace() AS current_workspace))
  WITH CASCADED CHECK OPTION;

CREATE VIEW fence.custom_field_stamp WITH (security_barrier='false') AS
 SELECT workspace_id,
    stamp
   FROM data.custom_field_stamp
  WHERE (workspace_id = ( SELECT fence.current_workspace() AS current_workspace))
  WITH CASCADED CHECK OPTION;

CREATE VIEW fence.custom_field_value WITH (security_barrier='false') AS
 SELECT workspace_id,
    index_id,
    customer_id,
    text_key,
    number,
    day,
    holds
   FROM data.custom_field_value
  WHERE (workspace_id = ( SELECT fence.current_workspace() AS current_workspace))
  WITH CASCADED CHECK OPTION;

CREATE VIEW fence.customer WITH (security_barrier='false') AS
 SELECT workspace_id,
    id,
    source,
    external_id,
    email,
    name,
    phone,
    phone_e164,
    date_of_birth,
    gender,
    avatar_key,
    status,
    status_before_block,
    country,
    tags,
    custom_fields,
    created_at,
    updated_at,
    deleted_at,
    merged_into_id,
    version,
    search,
    erased_at
   FROM data.customer
  WHERE (workspace_id = ( SELECT fence.current_workspace() AS current_workspace))
  WITH CASCADED CHECK OPTION;

CREATE VIEW fence.customer_day WITH (security_barrier='false') AS
 SELECT workspace_id,
    customer_id,
    day,
    channel,
    country,
    region,
    orders,
    gross,
    refunded,
    net,
    is_first
   FROM data.customer_day
  WHERE (workspace_id = ( SELECT fence.current_workspace() AS current_workspace))
  WITH CASCADED CHECK OPTION;

CREATE VIEW fence.customer_identity WITH (security_barrier='false') AS
 SELECT workspace_id,
    id,
    customer_id,
    kind,
    source,
    shop,
    value,
    key,
    quality,
    matched_by,
    other_names,
    is_hub,
    created_at,
    released_at,
    version
   FROM data.customer_identity
  WHERE (workspace_id = ( SELECT fence.current_workspace() AS current_workspace))
  WITH CASCADED CHECK OPTION;

CREATE VIEW fence.customer_journal WITH (security_barrier='false') AS
 SELECT workspace_id,
    act_id,
    customer_id,
    changes,
    kept,
    undone_at
   FROM data.customer_journal
  WHERE (workspace_id = ( SELECT fence.current_workspace() AS current_workspace))
  WITH CASCADED CHECK OPTION;

CREATE VIEW fence.customer_merge WITH (security_barrier='false') AS
 SELECT workspace_id,
    id,
    primary_id,
    duplicate_ids,
    fields,
    moved,
    joined,
    actor,
    actor_name,
    merged_at,
    primary_created_at,
    undone_at,
    undone_by,
    undone_by_name,
    put_back,
    kept,
    kept_count,
    forgotten_at
   FROM data.customer_merge
  WHERE (workspace_id = ( SELECT fence.current_workspace() AS current_workspace))
  WITH CASCADED CHECK OPTION;

CREATE VIEW fence.customer_merge_row WITH (security_barrier='false') AS
 SELECT workspace_id,
    merge_id,
    kind,
    former_id,
    row_id,
    deed,
    before,
    stayed
   FROM data.customer_merge_row
  WHERE (workspace_id = ( SELECT fence.current_workspace() AS current_workspace))
  WITH CASCADED CHECK OPTION;

CREATE VIEW fence.customer_metrics WITH (security_barrier='false') AS
 SELECT workspace_id,
    customer_id,
    order_count,
    total_spent,
    average_order_value,
    first_order_at,
    last_order_at,
    lifetime_value,
    total_orders,
    orders_count,
    by_currency,
    refreshed_at
   FROM data.customer_metrics
  WHERE (workspace_id = ( SELECT fence.current_workspace() AS current_workspace))
  WITH CASCADED CHECK OPTION;

CREATE VIEW fence.customer_note WITH (security_barrier='false') AS
 SELECT workspace_id,
    id,
    customer_id,
    note,
    pinned,
    author,
    author_name,
    created_at,
    updated_at,
    version
   FROM data.customer_note
  WHERE (workspace_id = ( SELECT fence.current_workspace() AS current_workspace))
  WITH CASCADED CHECK OPTION;

CREATE VIEW fence.customer_prediction WITH (security_barrier='false') AS
 SELECT workspace_id,
    customer_id,
    version,
    churn_probability,
    churn_risk,
    expected_orders,
    predicted_value,
    next_order_on,
    value_at_stake
   FROM data.customer_prediction
  WHERE (workspace_id = ( SELECT fence.current_workspace() AS current_workspace))
  WITH CASCADED CHECK OPTION;

CREATE VIEW fence.customer_rfm WITH (security_barrier='false') AS
 SELECT workspace_id,
    customer_id,
    recency,
    frequency,
    monetary,
    rfm_group,
    former_group
   FROM data.customer_rfm
  WHERE (workspace_id = ( SELECT fence.current_workspace() AS current_workspace))
  WITH CASCADED CHECK OPTION;

CREATE VIEW fence.customer_stale WITH (security_barrier='false') AS
 SELECT workspace_id,
    id,
    customer_id,
    marked_at,
    origin
   FROM data.customer_stale
  WHERE (workspace_id = ( SELECT fence.current_workspace() AS current_workspace))
  WITH CASCADED CHECK OPTION;

CREATE VIEW fence.customer_told WITH (security_barrier='false') AS
 SELECT workspace_id,
    source,
    shop,
    external_id,
    source_updated_at,
    profile
   FROM data.customer_told
  WHERE (workspace_id = ( SELECT fence.current_workspace() AS current_workspace))
  WITH CASCADED CHECK OPTION;

CREATE VIEW fence.duplicate_due WITH (security_barrier='false') AS
 SELECT workspace_id,
    first_id,
    last_id
   FROM data.duplicate_due
  WHERE (workspace_id = ( SELECT fence.current_workspace() AS current_workspace))
  WITH CASCADED CHECK OPTION;

CREATE VIEW fence.duplicate_pair WITH (security_barrier='false') AS
 SELECT workspace_id,
    id,
    a_id,
    b_id,
    score,
    level,
    reasons,
    status,
    created_at,
    evidence,
    own_level,
    is_told,
    cluster_id,
    scan_id,
    note,
    merge_id,
    decided_at,
    decided_by,
    decided_by_name,
    updated_at,
    version
   FROM data.duplicate_pair
  WHERE (workspace_id = ( SELECT fence.current_workspace() AS current_workspace))
  WITH CASCADED CHECK OPTION;

CREATE VIEW fence.duplicate_profile WITH (security_barrier='false') AS
 SELECT workspace_id,
    customer_id,
    source_hash,
    profile,
    terms,
    blocks,
    scan_id
   FROM data.duplicate_profile
  WHERE (workspace_id = ( SELECT fence.current_workspace() AS current_workspace))
  WITH CASCADED CHECK OPTION;

CREATE VIEW fence.duplicate_scan WITH (security_barrier='false') AS
 SELECT workspace_id,
    id,
    is_full,
    status,
    phase,
    customers,
    changed,
    compared,
    automatic,
    suggested,
    review,
    clusters,
    error,
    job_id,
    actor,
    actor_name,
    created_at,
    started_at,
    finished_at
   FROM data.duplicate_scan
  WHERE (workspace_id = ( SELECT fence.current_workspace() AS current_workspace))
  WITH CASCADED CHECK OPTION;

CREATE VIEW fence.duplicate_setting WITH (security_barrier='false') AS
 SELECT workspace_id,
    automatic_merging,
    nightly_scan,
    updated_at,
    version
   FROM data.duplicate_setting
  WHERE (workspace_id = ( SELECT fence.current_workspace() AS current_workspace))
  WITH CASCADED CHECK OPTION;

CREATE VIEW fence.duplicate_term WITH (security_barrier='false') AS
 SELECT workspace_id,
    term,
    customers
   FROM data.duplicate_term
  WHERE (workspace_id = ( SELECT fence.current_workspace() AS current_workspace))
  WITH CASCADED CHECK OPTION;

CREATE VIEW fence.erased_contact WITH (security_barrier='false') AS
 SELECT workspace_id,
    contact_hash,
    customer_id,
    request_id,
    erased_at
   FROM data.erased_contact
  WHERE (workspace_id = ( SELECT fence.current_workspace() AS current_workspace))
  WITH CASCADED CHECK OPTION;

CREATE VIEW fence.event_log WITH (security_barrier='false') AS
 SELECT workspace_id,
    tx,
    id,
    kind,
    at,
    customer_id,
    order_id,
    actor,
    origin,
    data
   FROM data.event_log
  WHERE (workspace_id = ( SELECT fence.current_workspace() AS current_workspace))
  WITH CASCADED CHECK OPTION;

CREATE VIEW fence.exchange_rate WITH (security_barrier='false') AS
 SELECT workspace_id,
    currency,
    on_date,
    rate,
    created_at
   FROM data.exchange_rate
  WHERE (workspace_id = ( SELECT fence.current_workspace() AS current_workspace))
  WITH CASCADED CHECK OPTION;

CREATE VIEW fence.export_run WITH (security_barrier='false') AS
 SELECT workspace_id,
    id,
    kind,
    format,
    status,
    asked,
    file_name,
    file_key,
    rows,
    bytes,
    error,
    actor,
    created_at,
    started_at,
    finished_at,
    deleted_at
   FROM data.export_run
  WHERE (workspace_id = ( SELECT fence.current_workspace() AS current_workspace))
  WITH CASCADED CHECK OPTION;

CREATE VIEW fence.idempotency WITH (security_barrier='false') AS
 SELECT workspace_id,
    caller,
    key,
    request_hash,
    status,
    headers,
    body,
    created_at
   FROM data.idempotency
  WHERE (workspace_id = ( SELECT fence.current_workspace() AS current_workspace))
  WITH CASCADED CHECK OPTION;

CREATE VIEW fence.import_change WITH (security_barrier='false') AS
 SELECT workspace_id,
    import_id,
    customer_id,
    changes
   FROM data.import_change
  WHERE (workspace_id = ( SELECT fence.current_workspace() AS current_workspace))
  WITH CASCADED CHECK OPTION;

CREATE VIEW fence.import_chunk WITH (security_barrier='false') AS
 SELECT workspace_id,
    import_id,
    number,
    first_row,
    last_row,
    rows,
    created,
    updated,
    skipped,
    failed,
    consents_refused,
    first_id,
    last_id,
    created_ids,
    added,
    committed_at,
    reverted_at,
    removed,
    kept,
    doubtful
   FROM data.import_chunk
  WHERE (workspace_id = ( SELECT fence.current_workspace() AS current_workspace))
  WITH CASCADED CHECK OPTION;

CREATE VIEW fence.import_error WITH (security_barrier='false') AS
 SELECT workspace_id,
    import_id,
    row_number,
    field,
    code,
    message,
    cells,
    others,
    is_taken
   FROM data.import_error
  WHERE (workspace_id = ( SELECT fence.current_workspace() AS current_workspace))
  WITH CASCADED CHECK OPTION;

CREATE VIEW fence.import_run WITH (security_barrier='false') AS
 SELECT workspace_id,
    id,
    kind,
    status,
    file_name,
    file_hash,
    file_key,
    options,
    total,
    done,
    rows_read,
    created,
    updated,
    unchanged,
    failed,
    customers_created,
    error,
    actor,
    created_at,
    started_at,
    finished_at,
    dry_run,
    preset,
    ignored_columns,
    encoding,
    format,
    header,
    chunk_rows,
    revert_wanted_at,
    reverted_at,
    doubtful
   FROM data.import_run
  WHERE (workspace_id = ( SELECT fence.current_workspace() AS current_workspace))
  WITH CASCADED CHECK OPTION;

CREATE VIEW fence.inbox_message WITH (security_barrier='false') AS
 SELECT workspace_id,
    id,
    connection_id,
    topic,
    delivery_id,
    event_id,
    api_version,
    triggered_at,
    body,
    body_hash,
    size,
    status,
    attempts,
    due_at,
    waits_for,
    reason,
    order_id,
    customer_id,
    received_at,
    settled_at
   FROM data.inbox_message
  WHERE (workspace_id = ( SELECT fence.current_workspace() AS current_workspace))
  WITH CASCADED CHECK OPTION;

CREATE VIEW fence.invitation WITH (security_barrier='false') AS
 SELECT workspace_id,
    id,
    email,
    name,
    role,
    code_hash,
    created_at,
    expires_at
   FROM data.invitation
  WHERE (workspace_id = ( SELECT fence.current_workspace() AS current_workspace))
  WITH CASCADED CHECK OPTION;

CREATE VIEW fence.job WITH (security_barrier='false') AS
 SELECT workspace_id,
    id,
    kind,
    args,
    state,
    singleton,
    run_at,
    waiting,
    attempts,
    max_attempts,
    lost,
    cancelling,
    worker,
    lease_until,
    progress,
    error,
    created_at,
    finished_at
   FROM data.job
  WHERE (workspace_id = ( SELECT fence.current_workspace() AS current_workspace))
  WITH CASCADED CHECK OPTION;

CREATE VIEW fence.membership WITH (security_barrier='false') AS
 SELECT workspace_id,
    staff_id,
    role,
    created_at,
    last_used_at
   FROM data.membership
  WHERE (workspace_id = ( SELECT fence.current_workspace() AS current_workspace))
  WITH CASCADED CHECK OPTION;

CREATE VIEW fence."order" WITH (security_barrier='false') AS
 SELECT workspace_id,
    id,
    source,
    shop,
    external_id,
    number,
    customer_id,
    status,
    financial_status,
    on_hold,
    hold_reason,
    needs_review,
    currency,
    subtotal,
    shipping,
    tax,
    discount,
    total,
    refunded,
    exchange_rate,
    net_value,
    placed_at,
    cancelled_at,
    delivered_at,
    email,
    phone,
    name,
    shipping_address,
    billing_address,
    tags,
    note,
    source_updated_at,
    intake_hash,
    created_at,
    updated_at,
    version,
    erased_at
   FROM data."order"
  WHERE (workspace_id = ( SELECT fence.current_workspace() AS current_workspace))
  WITH CASCADED CHECK OPTION;

CREATE VIEW fence.order_decision WITH (security_barrier='false') AS
 SELECT workspace_id,
    order_id,
    id,
    customer_id,
    method,
    evidence,
    decided_at
   FROM data.order_decision
  WHERE (workspace_id = ( SELECT fence.current_workspace() AS current_workspace))
  WITH CASCADED CHECK OPTION;

CREATE VIEW fence.order_line WITH (security_barrier='false') AS
 SELECT workspace_id,
    order_id,
    "position",
    id,
    sku,
    title,
    quantity,
    unit_price,
    properties
   FROM data.order_line
  WHERE (workspace_id = ( SELECT fence.current_workspace() AS current_workspace))
  WITH CASCADED CHECK OPTION;

CREATE VIEW fence.order_refund WITH (security_barrier='false') AS
 SELECT workspace_id,
    order_id,
    id,
    external_id,
    amount,
    reason,
    refunded_at,
    created_at,
    recorded_here
   FROM data.order_refund
  WHERE (workspace_id = ( SELECT fence.current_workspace() AS current_workspace))
  WITH CASCADED CHECK OPTION;

CREATE VIEW fence.prediction_model WITH (security_barrier='false') AS
 SELECT workspace_id,
    version,
    serving,
    method,
    as_of,
    window_from,
    horizon_days,
    customers,
    missing,
    parameters,
    backtest,
    fitted_at
   FROM data.prediction_model
  WHERE (workspace_id = ( SELECT fence.current_workspace() AS current_workspace))
  WITH CASCADED CHECK OPTION;

CREATE VIEW fence.privacy_request WITH (security_barrier='false') AS
 SELECT workspace_id,
    id,
    kind,
    status,
    customer_id,
    origin,
    connection_id,
    message_id,
    order_external_ids,
    reason,
    actor,
    actor_name,
    run_at,
    due_at,
    created_at,
    started_at,
    finished_at,
    cancelled_by,
    error,
    file_key,
    page_key,
    certificate,
    version
   FROM data.privacy_request
  WHERE (workspace_id = ( SELECT fence.current_workspace() AS current_workspace))
  WITH CASCADED CHECK OPTION;

CREATE VIEW fence.privacy_setting WITH (security_barrier='false') AS
 SELECT workspace_id,
    erase_delay_days,
    raw_webhook_days,
    import_file_days,
    export_file_days,
    idempotency_hours,
    audit_days,
    inactive_customer_months,
    updated_at,
    version
   FROM data.privacy_setting
  WHERE (workspace_id = ( SELECT fence.current_workspace() AS current_workspace))
  WITH CASCADED CHECK OPTION;

CREATE VIEW fence.rfm_month WITH (security_barrier='false') AS
 SELECT workspace_id,
    month,
    rfm_group,
    customers,
    revenue
   FROM data.rfm_month
  WHERE (workspace_id = ( SELECT fence.current_workspace() AS current_workspace))
  WITH CASCADED CHECK OPTION;

CREATE VIEW fence.rfm_run WITH (security_barrier='false') AS
 SELECT workspace_id,
    scored_at,
    month,
    customers,
    recency_cuts,
    frequency_cuts,
    monetary_cuts,
    spent_cuts
   FROM data.rfm_run
  WHERE (workspace_id = ( SELECT fence.current_workspace() AS current_workspace))
  WITH CASCADED CHECK OPTION;

CREATE VIEW fence.sales_day WITH (security_barrier='false') AS
 SELECT workspace_id,
    day,
    channel,
    country,
    region,
    buyers,
    newcomers,
    orders,
    gross,
    refunded,
    net
   FROM data.sales_day
  WHERE (workspace_id = ( SELECT fence.current_workspace() AS current_workspace))
  WITH CASCADED CHECK OPTION;

CREATE VIEW fence.saved_view WITH (security_barrier='false') AS
 SELECT workspace_id,
    id,
    name,
    query,
    is_shared,
    owner,
    owner_name,
    "position",
    created_at,
    updated_at,
    version
   FROM data.saved_view
  WHERE (workspace_id = ( SELECT fence.current_workspace() AS current_workspace))
  WITH CASCADED CHECK OPTION;

CREATE VIEW fence.segment WITH (security_barrier='false') AS
 SELECT workspace_id,
    id,
    kind,
    name,
    description,
    filter,
    built_in,
    is_relative,
    complete,
    evaluated_at,
    evaluated_on,
    stale_since,
    wanted_at,
    is_silent,
    members,
    counted_at,
    recount_due,
    error,
    created_by,
    created_by_name,
    created_at,
    updated_at,
    version
   FROM data.segment
  WHERE (workspace_id = ( SELECT fence.current_workspace() AS current_workspace))
  WITH CASCADED CHECK OPTION;

CREATE VIEW fence.segment_day WITH (security_barrier='false') AS
 SELECT workspace_id,
    segment_id,
    day,
    members,
    entered,
    left_count
   FROM data.segment_day
  WHERE (workspace_id = ( SELECT fence.current_workspace() AS current_workspace))
  WITH CASCADED CHECK OPTION;

CREATE VIEW fence.segment_member WITH (security_barrier='false') AS
 SELECT workspace_id,
    segment_id,
    customer_id,
    entered_at
   FROM data.segment_member
  WHERE (workspace_id = ( SELECT fence.current_workspace() AS current_workspace))
  WITH CASCADED CHECK OPTION;

CREATE VIEW fence.segment_pick WITH (security_barrier='false') AS
 SELECT workspace_id,
    segment_id,
    customer_id,
    picked_by,
    picked_at
   FROM data.segment_pick
  WHERE (workspace_id = ( SELECT fence.current_workspace() AS current_workspace))
  WITH CASCADED CHECK OPTION;

CREATE VIEW fence.segment_stale WITH (security_barrier='false') AS
 SELECT workspace_id,
    id,
    customer_id,
    origin,
    marked_at
   FROM data.segment_stale
  WHERE (workspace_id = ( SELECT fence.current_workspace() AS current_workspace))
  WITH CASCADED CHECK OPTION;

CREATE VIEW fence.suppression WITH (security_barrier='false') AS
 SELECT workspace_id,
    id,
    contact_hash,
    contact,
    channel,
    topic,
    reason,
    at,
    lifted_at,
    is_active,
    actor,
    created_at
   FROM data.suppression
  WHERE (workspace_id = ( SELECT fence.current_workspace() AS current_workspace))
  WITH CASCADED CHECK OPTION;

CREATE VIEW fence.suppression_key WITH (security_barrier='false') AS
 SELECT workspace_id,
    sealed
   FROM data.suppression_key
  WHERE (workspace_id = ( SELECT fence.current_workspace() AS current_workspace))
  WITH CASCADED CHECK OPTION;

CREATE VIEW fence.tag_change WITH (security_barrier='false') AS
 SELECT workspace_id,
    id,
    tags,
    into_tag,
    actor,
    actor_name,
    state,
    job_id,
    done,
    total,
    created_at,
    ended_at
   FROM data.tag_change
  WHERE (workspace_id = ( SELECT fence.current_workspace() AS current_workspace))
  WITH CASCADED CHECK OPTION;

CREATE VIEW fence.tag_count WITH (security_barrier='false') AS
 SELECT workspace_id,
    tag,
    customers,
    counted_at
   FROM data.tag_count
  WHERE (workspace_id = ( SELECT fence.current_workspace() AS current_workspace))
  WITH CASCADED CHECK OPTION;

CREATE VIEW fence.web_preference WITH (security_barrier='false') AS
 SELECT workspace_id,
    staff_id,
    language,
    timezone,
    columns,
    seen_at
   FROM data.web_preference
  WHERE (workspace_id = ( SELECT fence.current_workspace() AS current_workspace))
  WITH CASCADED CHECK OPTION;

CREATE VIEW fence.web_recent WITH (security_barrier='false') AS
 SELECT workspace_id,
    staff_id,
    customer_id,
    seen_at
   FROM data.web_recent
  WHERE (workspace_id = ( SELECT fence.current_workspace() AS current_workspace))
  WITH CASCADED CHECK OPTION;

CREATE VIEW fence.workspace WITH (security_barrier='false') AS
 SELECT workspace_id,
    name,
    currency,
    digits,
    timezone,
    counting_statuses,
    created_at,
    version
   FROM data.workspace
  WHERE (workspace_id = ( SELECT fence.current_workspace() AS current_workspace))
  WITH CASCADED CHECK OPTION;

ALTER TABLE ONLY data.throttle
    ADD CONSTRAINT throttle_pkey PRIMARY KEY (subject);

CREATE FUNCTION fence.throttle_count(subjects text[], adds integer[], periods interval[]) RETURNS TABLE(subject text, taken integer, left_s double precision)
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'data', 'ext'
    BEGIN ATOMIC
 INSERT INTO data.throttle AS t (subject, taken, ends_at)  SELECT g.subject,
             GREATEST(g.adds, 0) AS "greatest",
             (now() + g.period)
            FROM UNNEST(throttle_count.subjects, throttle_count.adds, throttle_count.periods) g(subject, adds, period)
           ORDER BY g.subject ON CONFLICT ON CONSTRAINT throttle_pkey DO UPDATE SET taken =
         CASE
             WHEN (t.ends_at <= now()) THEN (excluded.taken)::bigint
             ELSE GREATEST((0)::bigint, (t.taken + ( SELECT sum(g.adds) AS sum
                FROM UNNEST(throttle_count.subjects, throttle_count.adds) g(subject, adds)
               WHERE (g.subject = t.subject))))
         END, ends_at =
         CASE
             WHEN (t.ends_at <= now()) THEN excluded.ends_at
             ELSE t.ends_at
         END
   RETURNING t.subject,
     t.taken,
     (EXTRACT(epoch FROM (t.ends_at - now())))::double precision AS "extract";
END;

ALTER TABLE ONLY data.address
    ADD CONSTRAINT address_pkey PRIMARY KEY (workspace_id, id);

ALTER TABLE ONLY data.api_key
    ADD CONSTRAINT api_key_pkey PRIMARY KEY (workspace_id, id);

ALTER TABLE ONLY data.api_key
    ADD CONSTRAINT api_key_workspace_id_token_hash_key UNIQUE (workspace_id, token_hash);

ALTER TABLE ONLY data.audit_log
    ADD CONSTRAINT audit_log_pkey PRIMARY KEY (workspace_id, id);

ALTER TABLE ONLY data.bulk_action
    ADD CONSTRAINT bulk_action_pkey PRIMARY KEY (workspace_id, id);

ALTER TABLE ONLY data.bulk_chunk
    ADD CONSTRAINT bulk_chunk_pkey PRIMARY KEY (workspace_id, bulk_id, number);

ALTER TABLE ONLY data.bulk_result
    ADD CONSTRAINT bulk_result_pkey PRIMARY KEY (workspace_id, bulk_id, customer_id);

ALTER TABLE ONLY data.channel_connection
    ADD CONSTRAINT channel_connection_pkey PRIMARY KEY (workspace_id, id);

ALTER TABLE ONLY data.cohort_cell
    ADD CONSTRAINT cohort_cell_pkey PRIMARY KEY (workspace_id, grain, dimension, value, cohort, period);

ALTER TABLE ONLY data.communication_preference
    ADD CONSTRAINT communication_preference_pkey PRIMARY KEY (workspace_id, customer_id);

ALTER TABLE ONLY data.consent_entry
    ADD CONSTRAINT consent_entry_pkey PRIMARY KEY (workspace_id, id);

ALTER TABLE ONLY data.consent
    ADD CONSTRAINT consent_pkey PRIMARY KEY (workspace_id, customer_id, channel, topic);

ALTER TABLE ONLY data.custom_field
    ADD CONSTRAINT custom_field_pkey PRIMARY KEY (workspace_id, id);

ALTER TABLE ONLY data.custom_field_stamp
    ADD CONSTRAINT custom_field_stamp_pkey PRIMARY KEY (workspace_id);

ALTER TABLE ONLY data.custom_field_value
    ADD CONSTRAINT custom_field_value_pkey PRIMARY KEY (workspace_id, index_id, customer_id);

ALTER TABLE ONLY data.customer_day
    ADD CONSTRAINT customer_day_pkey PRIMARY KEY (workspace_id, customer_id, day, channel, country, region);

ALTER TABLE ONLY data.customer_identity
    ADD CONSTRAINT customer_identity_pkey PRIMARY KEY (workspace_id, id);

ALTER TABLE ONLY data.customer_journal
    ADD CONSTRAINT customer_journal_pkey PRIMARY KEY (workspace_id, act_id, customer_id);

ALTER TABLE ONLY data.customer_merge
    ADD CONSTRAINT customer_merge_pkey PRIMARY KEY (workspace_id, id);

ALTER TABLE ONLY data.customer_merge_row
    ADD CONSTRAINT customer_merge_row_pkey PRIMARY KEY (workspace_id, merge_id, kind, former_id, row_id);

ALTER TABLE ONLY data.customer_metrics
    ADD CONSTRAINT customer_metrics_pkey PRIMARY KEY (workspace_id, customer_id);

ALTER TABLE ONLY data.customer_note
    ADD CONSTRAINT customer_note_pkey PRIMARY KEY (workspace_id, id);

ALTER TABLE ONLY data.customer
    ADD CONSTRAINT customer_pkey PRIMARY KEY (workspace_id, id);

ALTER TABLE ONLY data.customer_prediction
    ADD CONSTRAINT customer_prediction_pkey PRIMARY KEY (workspace_id, customer_id);

ALTER TABLE ONLY data.customer_rfm
    ADD CONSTRAINT customer_rfm_pkey PRIMARY KEY (workspace_id, customer_id);

ALTER TABLE ONLY data.customer_stale
    ADD CONSTRAINT customer_stale_pkey PRIMARY KEY (workspace_id, id);

ALTER TABLE ONLY data.customer_told
    ADD CONSTRAINT customer_told_pkey PRIMARY KEY (workspace_id, source, shop, external_id);

ALTER TABLE ONLY data.duplicate_due
    ADD CONSTRAINT duplicate_due_pkey PRIMARY KEY (workspace_id, first_id, last_id);

ALTER TABLE ONLY data.duplicate_pair
    ADD CONSTRAINT duplicate_pair_pkey PRIMARY KEY (workspace_id, id);

ALTER TABLE ONLY data.duplicate_pair
    ADD CONSTRAINT duplicate_pair_workspace_id_a_id_b_id_key UNIQUE (workspace_id, a_id, b_id);

ALTER TABLE ONLY data.duplicate_profile
    ADD CONSTRAINT duplicate_profile_pkey PRIMARY KEY (workspace_id, customer_id);

ALTER TABLE ONLY data.duplicate_scan
    ADD CONSTRAINT duplicate_scan_pkey PRIMARY KEY (workspace_id, id);

ALTER TABLE ONLY data.duplicate_setting
    ADD CONSTRAINT duplicate_setting_pkey PRIMARY KEY (workspace_id);

ALTER TABLE ONLY data.duplicate_term
    ADD CONSTRAINT duplicate_term_pkey PRIMARY KEY (workspace_id, term);

ALTER TABLE ONLY data.erased_contact
    ADD CONSTRAINT erased_contact_pkey PRIMARY KEY (workspace_id, contact_hash);

ALTER TABLE ONLY data.event_log
    ADD CONSTRAINT event_log_pkey PRIMARY KEY (workspace_id, tx, id);

ALTER TABLE ONLY data.exchange_rate
    ADD CONSTRAINT exchange_rate_pkey PRIMARY KEY (workspace_id, currency, on_date);

ALTER TABLE ONLY data.export_run
    ADD CONSTRAINT export_run_pkey PRIMARY KEY (workspace_id, id);

ALTER TABLE ONLY data.idempotency
    ADD CONSTRAINT idempotency_pkey PRIMARY KEY (workspace_id, caller, key);

ALTER TABLE ONLY data.import_change
    ADD CONSTRAINT import_change_pkey PRIMARY KEY (workspace_id, import_id, customer_id);

ALTER TABLE ONLY data.import_chunk
    ADD CONSTRAINT import_chunk_pkey PRIMARY KEY (workspace_id, import_id, number);

ALTER TABLE ONLY data.import_error
    ADD CONSTRAINT import_error_pkey PRIMARY KEY (workspace_id, import_id, row_number);

ALTER TABLE ONLY data.import_run
    ADD CONSTRAINT import_run_pkey PRIMARY KEY (workspace_id, id);

ALTER TABLE ONLY data.inbox_message
    ADD CONSTRAINT inbox_message_pkey PRIMARY KEY (workspace_id, id);

ALTER TABLE ONLY data.invitation
    ADD CONSTRAINT invitation_pkey PRIMARY KEY (workspace_id, id);

ALTER TABLE ONLY data.job
    ADD CONSTRAINT job_pkey PRIMARY KEY (id);

ALTER TABLE ONLY data.membership
    ADD CONSTRAINT membership_pkey PRIMARY KEY (workspace_id, staff_id);

ALTER TABLE ONLY data.migration
    ADD CONSTRAINT migration_pkey PRIMARY KEY (version);

ALTER TABLE ONLY data.order_decision
    ADD CONSTRAINT order_decision_pkey PRIMARY KEY (workspace_id, order_id, id);

ALTER TABLE ONLY data.order_line
    ADD CONSTRAINT order_line_pkey PRIMARY KEY (workspace_id, order_id, "position");

ALTER TABLE ONLY data."order"
    ADD CONSTRAINT order_pkey PRIMARY KEY (workspace_id, id);

ALTER TABLE ONLY data.order_refund
    ADD CONSTRAINT order_refund_pkey PRIMARY KEY (workspace_id, order_id, id);

ALTER TABLE ONLY data.prediction_model
    ADD CONSTRAINT prediction_model_pkey PRIMARY KEY (workspace_id, version);

ALTER TABLE ONLY data.privacy_request
    ADD CONSTRAINT privacy_request_pkey PRIMARY KEY (workspace_id, id);

ALTER TABLE ONLY data.privacy_setting
    ADD CONSTRAINT privacy_setting_pkey PRIMARY KEY (workspace_id);

ALTER TABLE ONLY data.rfm_month
    ADD CONSTRAINT rfm_month_pkey PRIMARY KEY (workspace_id, month, rfm_group);

ALTER TABLE ONLY data.rfm_run
    ADD CONSTRAINT rfm_run_pkey PRIMARY KEY (workspace_id);

ALTER TABLE ONLY data.sales_day
    ADD CONSTRAINT sales_day_pkey PRIMARY KEY (workspace_id, day, channel, country, region);

ALTER TABLE ONLY data.saved_view
    ADD CONSTRAINT saved_view_pkey PRIMARY KEY (workspace_id, id);

ALTER TABLE ONLY data.segment_day
    ADD CONSTRAINT segment_day_pkey PRIMARY KEY (workspace_id, segment_id, day);

ALTER TABLE ONLY data.segment_member
    ADD CONSTRAINT segment_member_pkey PRIMARY KEY (workspace_id, segment_id, customer_id);

ALTER TABLE ONLY data.segment_pick
    ADD CONSTRAINT segment_pick_pkey PRIMARY KEY (workspace_id, segment_id, customer_id);

ALTER TABLE ONLY data.segment
    ADD CONSTRAINT segment_pkey PRIMARY KEY (workspace_id, id);

ALTER TABLE ONLY data.segment_stale
    ADD CONSTRAINT segment_stale_pkey PRIMARY KEY (workspace_id, id);

ALTER TABLE ONLY data.session
    ADD CONSTRAINT session_pkey PRIMARY KEY (id);

ALTER TABLE ONLY data.session
    ADD CONSTRAINT session_token_hash_key UNIQUE (token_hash);

ALTER TABLE ONLY data.staff
    ADD CONSTRAINT staff_pkey PRIMARY KEY (id);

ALTER TABLE ONLY data.suppression_key
    ADD CONSTRAINT suppression_key_pkey PRIMARY KEY (workspace_id);

ALTER TABLE ONLY data.suppression
    ADD CONSTRAINT suppression_pkey PRIMARY KEY (workspace_id, id);

ALTER TABLE ONLY data.tag_change
    ADD CONSTRAINT tag_change_pkey PRIMARY KEY (workspace_id, id);

ALTER TABLE ONLY data.tag_count
    ADD CONSTRAINT tag_count_pkey PRIMARY KEY (workspace_id, tag);

ALTER TABLE ONLY data.web_preference
    ADD CONSTRAINT web_preference_pkey PRIMARY KEY (workspace_id, staff_id);

ALTER TABLE ONLY data.web_recent
    ADD CONSTRAINT web_recent_pkey PRIMARY KEY (workspace_id, staff_id, customer_id);

ALTER TABLE ONLY data.workspace
    ADD CONSTRAINT workspace_pkey PRIMARY KEY (workspace_id);

CREATE INDEX address_city ON data.address USING btree (workspace_id, ext.fold(replace(city, ' '::text, ''::text)), customer_id);

CREATE INDEX address_customer ON data.address USING btree (workspace_id, customer_id, id);

CREATE UNIQUE INDEX address_default_billing ON data.address USING btree (workspace_id, customer_id) WHERE (is_default AND (type = ANY (ARRAY['BILLING'::text, 'BOTH'::text])));

CREATE UNIQUE INDEX address_default_shipping ON data.address USING btree (workspace_id, customer_id) WHERE (is_default AND (type = ANY (ARRAY['SHIPPING'::text, 'BOTH'::text])));

CREATE INDEX address_match ON data.address USING btree (workspace_id, match_key);

CREATE INDEX address_region ON data.address USING btree (workspace_id, lower(country), lower(state), customer_id);

CREATE INDEX api_key_token ON data.api_key USING btree (token_hash);

CREATE INDEX audit_log_action ON data.audit_log USING btree (workspace_id, action, id DESC);

CREATE INDEX audit_log_actor ON data.audit_log USING btree (workspace_id, actor, id DESC);

CREATE INDEX audit_log_subject ON data.audit_log USING btree (workspace_id, subject_id, id DESC) WHERE (subject_id IS NOT NULL);

CREATE INDEX bulk_chunk_first ON data.bulk_chunk USING btree (workspace_id, bulk_id, first_id);

CREATE INDEX bulk_result_outcome ON data.bulk_result USING btree (workspace_id, bulk_id, outcome, customer_id);

CREATE INDEX channel_connection_id ON data.channel_connection USING btree (id);

CREATE UNIQUE INDEX channel_connection_living ON data.channel_connection USING btree (workspace_id, platform, shop) WHERE (disconnected_at IS NULL);

CREATE INDEX communication_preference_language ON data.communication_preference USING btree (workspace_id, ((lower(language) || '-'::text)) text_pattern_ops, customer_id) WHERE (language IS NOT NULL);

CREATE INDEX consent_entry_contact ON data.consent_entry USING btree (workspace_id, contact_hash, channel, topic, state, at) WHERE (contact_hash IS NOT NULL);

CREATE INDEX consent_entry_newest ON data.consent_entry USING btree (workspace_id, customer_id, at DESC, id DESC);

CREATE UNIQUE INDEX consent_entry_once ON data.consent_entry USING btree (workspace_id, customer_id, channel, topic, at, fingerprint);

CREATE INDEX consent_state ON data.consent USING btree (workspace_id, channel, topic, state, customer_id);

CREATE UNIQUE INDEX custom_field_key ON data.custom_field USING btree (workspace_id, lower(key));

CREATE INDEX custom_field_value_clash ON data.custom_field_value USING btree (workspace_id, index_id, customer_id) WHERE ((NOT holds) AND (text_key IS NOT NULL));

CREATE INDEX custom_field_value_customer ON data.custom_field_value USING btree (workspace_id, customer_id);

CREATE INDEX custom_field_value_day ON data.custom_field_value USING btree (workspace_id, index_id, day, customer_id) WHERE (day IS NOT NULL);

CREATE INDEX custom_field_value_number ON data.custom_field_value USING btree (workspace_id, index_id, number, customer_id) WHERE (number IS NOT NULL);

CREATE UNIQUE INDEX custom_field_value_once ON data.custom_field_value USING btree (workspace_id, index_id, text_key) WHERE holds;

CREATE INDEX custom_field_value_text ON data.custom_field_value USING btree (workspace_id, index_id, text_key, customer_id);

CREATE INDEX customer_avatar ON data.customer USING btree (workspace_id, avatar_key) WHERE (avatar_key IS NOT NULL);

CREATE INDEX customer_country ON data.customer USING btree (workspace_id, lower(country), id) INCLUDE (country) WHERE ((country IS NOT NULL) AND (deleted_at IS NULL));

COMMENT ON INDEX data.customer_country IS 'Who lives in a country, and how many.';

CREATE INDEX customer_created ON data.customer USING btree (workspace_id, created_at DESC, id DESC);

CREATE INDEX customer_day_day ON data.customer_day USING btree (workspace_id, day) INCLUDE (customer_id, orders, is_first, country, region);

CREATE INDEX customer_day_first ON data.customer_day USING btree (workspace_id, customer_id) INCLUDE (day, channel, country) WHERE is_first;

CREATE INDEX customer_deleted ON data.customer USING btree (workspace_id, id) WHERE (deleted_at IS NOT NULL);

CREATE UNIQUE INDEX customer_email ON data.customer USING btree (workspace_id, lower(email)) WHERE (deleted_at IS NULL);

CREATE INDEX customer_email_order ON data.customer USING btree (workspace_id, COALESCE(lower(email), '􏿿'::text), id);

CREATE UNIQUE INDEX customer_identity_channel ON data.customer_identity USING btree (workspace_id, source, shop, value) WHERE ((kind = 'channel'::text) AND (released_at IS NULL));

CREATE INDEX customer_identity_key ON data.customer_identity USING btree (workspace_id, key) WHERE ((kind <> 'channel'::text) AND (key IS NOT NULL) AND (released_at IS NULL));

CREATE UNIQUE INDEX customer_identity_once ON data.customer_identity USING btree (workspace_id, customer_id, kind, source, shop, value);

CREATE INDEX customer_journal_customer ON data.customer_journal USING btree (workspace_id, customer_id);

CREATE INDEX customer_journal_left ON data.customer_journal USING btree (workspace_id, act_id, customer_id) WHERE (undone_at IS NULL);

CREATE INDEX customer_living ON data.customer USING btree (workspace_id, id) WHERE (deleted_at IS NULL);

COMMENT ON INDEX data.customer_living IS 'Everybody whom a filter is asked of.';

CREATE INDEX customer_merge_duplicates ON data.customer_merge USING gin (workspace_id, duplicate_ids);

CREATE INDEX customer_merge_primary ON data.customer_merge USING btree (workspace_id, primary_id, id DESC);

CREATE INDEX customer_merge_unforgotten ON data.customer_merge USING btree (workspace_id, id) WHERE (forgotten_at IS NULL);

CREATE INDEX customer_merged_into ON data.customer USING btree (workspace_id, merged_into_id) WHERE (merged_into_id IS NOT NULL);

CREATE INDEX customer_metrics_average ON data.customer_metrics USING btree (workspace_id, average_order_value, customer_id);

CREATE INDEX customer_metrics_last ON data.customer_metrics USING btree (workspace_id, COALESCE(last_order_at, '1900-01-01 00:00:00+00'::timestamp with time zone), customer_id);

CREATE INDEX customer_metrics_lifetime ON data.customer_metrics USING btree (workspace_id, lifetime_value, customer_id);

CREATE INDEX customer_metrics_orders ON data.customer_metrics USING btree (workspace_id, order_count, customer_id);

CREATE INDEX customer_metrics_spent ON data.customer_metrics USING btree (workspace_id, total_spent, customer_id);

CREATE INDEX customer_name ON data.customer USING btree (workspace_id, "left"(COALESCE(ext.fold(name), '􏿿'::text), 200), id);

CREATE INDEX customer_note_customer ON data.customer_note USING btree (workspace_id, customer_id, pinned DESC, id DESC);

CREATE INDEX customer_prediction_risk ON data.customer_prediction USING btree (workspace_id, churn_risk, customer_id);

CREATE INDEX customer_prediction_stake ON data.customer_prediction USING btree (workspace_id, value_at_stake DESC, customer_id DESC);

CREATE INDEX customer_rfm_group ON data.customer_rfm USING btree (workspace_id, rfm_group, customer_id);

CREATE INDEX customer_search ON data.customer USING gin (workspace_id, search ext.gin_trgm_ops);

CREATE INDEX customer_stale_customer ON data.customer_stale USING btree (workspace_id, customer_id);

CREATE INDEX customer_state ON data.customer USING btree (workspace_id, status, source) WHERE (deleted_at IS NULL);

COMMENT ON INDEX data.customer_state IS 'How many there are, have a status, or come from a source.';

CREATE INDEX customer_status ON data.customer USING btree (workspace_id, status, created_at DESC, id DESC) WHERE (status <> 'ACTIVE'::text);

CREATE INDEX customer_tagged ON data.customer USING btree (workspace_id, id) WHERE ((deleted_at IS NULL) AND (tags <> '{}'::text[]));

CREATE INDEX customer_tags ON data.customer USING gin (workspace_id, ext.lower_all(tags));

CREATE INDEX customer_updated ON data.customer USING btree (workspace_id, updated_at DESC, id DESC);

CREATE INDEX duplicate_pair_b ON data.duplicate_pair USING btree (workspace_id, b_id);

CREATE INDEX duplicate_pair_decided ON data.duplicate_pair USING btree (workspace_id, status, score DESC, id DESC) WHERE (status <> 'open'::text);

CREATE INDEX duplicate_pair_group ON data.duplicate_pair USING btree (workspace_id, cluster_id, id) WHERE ((cluster_id IS NOT NULL) AND (status = 'open'::text));

CREATE INDEX duplicate_pair_level ON data.duplicate_pair USING btree (workspace_id, level, score DESC, id DESC) WHERE (status = 'open'::text);

CREATE INDEX duplicate_pair_merge ON data.duplicate_pair USING btree (workspace_id, merge_id) WHERE (merge_id IS NOT NULL);

CREATE INDEX duplicate_pair_queue ON data.duplicate_pair USING btree (workspace_id, score DESC, id DESC) WHERE (status = 'open'::text);

CREATE INDEX duplicate_scan_open ON data.duplicate_scan USING btree (workspace_id, id) WHERE (status <> 'completed'::text);

CREATE INDEX erased_contact_request ON data.erased_contact USING btree (workspace_id, request_id);

CREATE INDEX event_log_customer ON data.event_log USING btree (workspace_id, customer_id, at DESC, id DESC) WHERE (customer_id IS NOT NULL);

CREATE INDEX event_log_segment ON data.event_log USING btree (workspace_id, ((data ->> 'segmentId'::text)), at) WHERE (kind = ANY (ARRAY['SegmentEntered'::text, 'SegmentLeft'::text]));

CREATE INDEX exchange_rate_day ON data.exchange_rate USING btree (workspace_id, on_date DESC, currency);

CREATE UNIQUE INDEX export_run_file ON data.export_run USING btree (workspace_id, file_key);

CREATE INDEX idempotency_age ON data.idempotency USING btree (workspace_id, created_at);

CREATE INDEX import_change_customer ON data.import_change USING btree (workspace_id, customer_id);

CREATE INDEX import_chunk_created ON data.import_chunk USING btree (workspace_id, last_id, first_id) WHERE (first_id IS NOT NULL);

CREATE INDEX import_error_taken ON data.import_error USING btree (workspace_id, import_id, row_number) WHERE is_taken;

CREATE INDEX import_run_file ON data.import_run USING btree (workspace_id, kind, file_hash);

CREATE INDEX inbox_message_aside ON data.inbox_message USING btree (workspace_id, status, id) WHERE (status = ANY (ARRAY['dead'::text, 'ignored'::text]));

CREATE INDEX inbox_message_body ON data.inbox_message USING btree (workspace_id, id) WHERE ((body IS NOT NULL) AND (status = ANY (ARRAY['applied'::text, 'ignored'::text])));

CREATE UNIQUE INDEX inbox_message_delivery ON data.inbox_message USING btree (workspace_id, connection_id, topic, delivery_id, body_hash);

CREATE INDEX inbox_message_due ON data.inbox_message USING btree (workspace_id, due_at, id) WHERE (status = 'pending'::text);

CREATE UNIQUE INDEX inbox_message_event ON data.inbox_message USING btree (workspace_id, connection_id, topic, event_id, body_hash) WHERE (event_id IS NOT NULL);

CREATE INDEX inbox_message_waiting ON data.inbox_message USING btree (workspace_id, connection_id, waits_for) WHERE (waits_for IS NOT NULL);

CREATE INDEX invitation_code ON data.invitation USING btree (code_hash);

CREATE UNIQUE INDEX invitation_email ON data.invitation USING btree (workspace_id, lower(email));

CREATE INDEX job_due ON data.job USING btree (COALESCE(workspace_id, '00000000-0000-0000-0000-000000000000'::uuid), run_at, id) WHERE ((state = 'queued'::text) AND (NOT waiting));

CREATE INDEX job_open ON data.job USING btree (workspace_id, state, id) WHERE (state <> 'done'::text);

CREATE INDEX job_recent ON data.job USING btree (workspace_id, id);

CREATE INDEX job_running ON data.job USING btree (lease_until) WHERE (state = 'running'::text);

CREATE UNIQUE INDEX job_singleton ON data.job USING btree (kind, singleton, workspace_id) NULLS NOT DISTINCT WHERE ((state = 'queued'::text) AND (singleton IS NOT NULL));

CREATE INDEX job_waiting ON data.job USING btree (run_at) WHERE ((state = 'queued'::text) AND waiting);

CREATE INDEX membership_staff ON data.membership USING btree (staff_id);

CREATE INDEX order_customer ON data."order" USING btree (workspace_id, customer_id, placed_at DESC, id DESC) INCLUDE (status, net_value);

CREATE UNIQUE INDEX order_external ON data."order" USING btree (workspace_id, source, shop, external_id) WHERE (external_id IS NOT NULL);

CREATE INDEX order_hold ON data."order" USING btree (workspace_id, placed_at DESC, id DESC) WHERE on_hold;

CREATE INDEX order_line_sku ON data.order_line USING btree (workspace_id, sku, order_id) WHERE (sku IS NOT NULL);

CREATE INDEX order_number ON data."order" USING btree (workspace_id, lower(COALESCE(number, external_id)) text_pattern_ops) WHERE (COALESCE(number, external_id) IS NOT NULL);

COMMENT ON INDEX data.order_number IS 'What an order is called: its number, or its id in the shop where it has none.';

CREATE INDEX order_placed ON data."order" USING btree (workspace_id, placed_at DESC, id DESC);

CREATE INDEX order_rate_missing ON data."order" USING btree (workspace_id, placed_at DESC, id DESC) WHERE (exchange_rate IS NULL);

CREATE UNIQUE INDEX order_refund_external ON data.order_refund USING btree (workspace_id, order_id, external_id) WHERE (external_id IS NOT NULL);

CREATE INDEX order_review ON data."order" USING btree (workspace_id, placed_at DESC, id DESC) WHERE needs_review;

CREATE INDEX order_total ON data."order" USING btree (workspace_id, total, id);

CREATE INDEX privacy_request_created ON data.privacy_request USING btree (workspace_id, created_at DESC, id DESC);

CREATE INDEX privacy_request_customer ON data.privacy_request USING btree (workspace_id, customer_id, id DESC) WHERE (customer_id IS NOT NULL);

CREATE INDEX privacy_request_due ON data.privacy_request USING btree (workspace_id, due_at, id);

CREATE UNIQUE INDEX privacy_request_file ON data.privacy_request USING btree (workspace_id, file_key) WHERE (file_key IS NOT NULL);

CREATE INDEX privacy_request_message ON data.privacy_request USING btree (workspace_id, message_id) WHERE (message_id IS NOT NULL);

CREATE UNIQUE INDEX privacy_request_open ON data.privacy_request USING btree (workspace_id, customer_id, kind) WHERE ((status = ANY (ARRAY['pending'::text, 'running'::text])) AND (customer_id IS NOT NULL));

CREATE UNIQUE INDEX privacy_request_page ON data.privacy_request USING btree (workspace_id, page_key) WHERE (page_key IS NOT NULL);

CREATE UNIQUE INDEX saved_view_name ON data.saved_view USING btree (workspace_id, owner, lower(name));

CREATE INDEX saved_view_place ON data.saved_view USING btree (workspace_id, "position", id);

CREATE UNIQUE INDEX segment_built_in ON data.segment USING btree (workspace_id, built_in) WHERE (built_in IS NOT NULL);

CREATE INDEX segment_created ON data.segment USING btree (workspace_id, created_at, id);

CREATE INDEX segment_member_customer ON data.segment_member USING btree (workspace_id, customer_id, segment_id);

CREATE INDEX segment_member_entered ON data.segment_member USING btree (workspace_id, segment_id, entered_at, customer_id);

CREATE INDEX segment_members ON data.segment USING btree (workspace_id, members, id);

CREATE UNIQUE INDEX segment_name ON data.segment USING btree (workspace_id, lower(name));

CREATE INDEX segment_owed ON data.segment USING btree (workspace_id) WHERE ((wanted_at IS NOT NULL) OR recount_due);

CREATE INDEX segment_pick_customer ON data.segment_pick USING btree (workspace_id, customer_id, segment_id);

CREATE INDEX segment_stale_customer ON data.segment_stale USING btree (workspace_id, customer_id);

CREATE INDEX session_staff ON data.session USING btree (staff_id);

CREATE UNIQUE INDEX staff_email ON data.staff USING btree (lower(email));

CREATE INDEX suppression_newest ON data.suppression USING btree (workspace_id, created_at DESC, id DESC) WHERE is_active;

CREATE UNIQUE INDEX suppression_once ON data.suppression USING btree (workspace_id, contact_hash, channel, reason, topic) NULLS NOT DISTINCT;

CREATE INDEX tag_change_open ON data.tag_change USING btree (workspace_id, id) WHERE (ended_at IS NULL);

CREATE INDEX web_recent_customer ON data.web_recent USING btree (workspace_id, customer_id);

CREATE STATISTICS data.customer_country ON lower(country) FROM data.customer;

ALTER TABLE ONLY data.address
    ADD CONSTRAINT address_workspace_id_customer_id_fkey FOREIGN KEY (workspace_id, customer_id) REFERENCES data.customer(workspace_id, id);

ALTER TABLE ONLY data.api_key
    ADD CONSTRAINT api_key_workspace_id_fkey FOREIGN KEY (workspace_id) REFERENCES data.workspace(workspace_id);

ALTER TABLE ONLY data.audit_log
    ADD CONSTRAINT audit_log_workspace_id_fkey FOREIGN KEY (workspace_id) REFERENCES data.workspace(workspace_id);

ALTER TABLE ONLY data.bulk_action
    ADD CONSTRAINT bulk_action_workspace_id_fkey FOREIGN KEY (workspace_id) REFERENCES data.workspace(workspace_id);

ALTER TABLE ONLY data.bulk_chunk
    ADD CONSTRAINT bulk_chunk_workspace_id_bulk_id_fkey FOREIGN KEY (workspace_id, bulk_id) REFERENCES data.bulk_action(workspace_id, id) ON DELETE CASCADE;

ALTER TABLE ONLY data.bulk_result
    ADD CONSTRAINT bulk_result_workspace_id_bulk_id_fkey FOREIGN KEY (workspace_id, bulk_id) REFERENCES data.bulk_action(workspace_id, id) ON DELETE CASCADE;

ALTER TABLE ONLY data.channel_connection
    ADD CONSTRAINT channel_connection_workspace_id_fkey FOREIGN KEY (workspace_id) REFERENCES data.workspace(workspace_id);

ALTER TABLE ONLY data.communication_preference
    ADD CONSTRAINT communication_preference_workspace_id_customer_id_fkey FOREIGN KEY (workspace_id, customer_id) REFERENCES data.customer(workspace_id, id);

ALTER TABLE ONLY data.consent_entry
    ADD CONSTRAINT consent_entry_workspace_id_customer_id_fkey FOREIGN KEY (workspace_id, customer_id) REFERENCES data.customer(workspace_id, id);

ALTER TABLE ONLY data.consent
    ADD CONSTRAINT consent_workspace_id_customer_id_fkey FOREIGN KEY (workspace_id, customer_id) REFERENCES data.customer(workspace_id, id);

ALTER TABLE ONLY data.custom_field_stamp
    ADD CONSTRAINT custom_field_stamp_workspace_id_fkey FOREIGN KEY (workspace_id) REFERENCES data.workspace(workspace_id);

ALTER TABLE ONLY data.custom_field_value
    ADD CONSTRAINT custom_field_value_workspace_id_customer_id_fkey FOREIGN KEY (workspace_id, customer_id) REFERENCES data.customer(workspace_id, id) ON DELETE CASCADE;

ALTER TABLE ONLY data.custom_field
    ADD CONSTRAINT custom_field_workspace_id_fkey FOREIGN KEY (workspace_id) REFERENCES data.workspace(workspace_id);

ALTER TABLE ONLY data.customer_identity
    ADD CONSTRAINT customer_identity_workspace_id_customer_id_fkey FOREIGN KEY (workspace_id, customer_id) REFERENCES data.customer(workspace_id, id);

ALTER TABLE ONLY data.customer_journal
    ADD CONSTRAINT customer_journal_workspace_id_customer_id_fkey FOREIGN KEY (workspace_id, customer_id) REFERENCES data.customer(workspace_id, id);

ALTER TABLE ONLY data.customer_merge_row
    ADD CONSTRAINT customer_merge_row_workspace_id_merge_id_fkey FOREIGN KEY (workspace_id, merge_id) REFERENCES data.customer_merge(workspace_id, id) ON DELETE CASCADE;

ALTER TABLE ONLY data.customer_merge
    ADD CONSTRAINT customer_merge_workspace_id_fkey FOREIGN KEY (workspace_id) REFERENCES data.workspace(workspace_id);

ALTER TABLE ONLY data.customer_metrics
    ADD CONSTRAINT customer_metrics_workspace_id_customer_id_fkey FOREIGN KEY (workspace_id, customer_id) REFERENCES data.customer(workspace_id, id);

ALTER TABLE ONLY data.customer_note
    ADD CONSTRAINT customer_note_workspace_id_customer_id_fkey FOREIGN KEY (workspace_id, customer_id) REFERENCES data.customer(workspace_id, id);

ALTER TABLE ONLY data.customer
    ADD CONSTRAINT customer_workspace_id_fkey FOREIGN KEY (workspace_id) REFERENCES data.workspace(workspace_id);

ALTER TABLE ONLY data.customer
    ADD CONSTRAINT customer_workspace_id_merged_into_id_fkey FOREIGN KEY (workspace_id, merged_into_id) REFERENCES data.customer(workspace_id, id);

ALTER TABLE ONLY data.duplicate_due
    ADD CONSTRAINT duplicate_due_workspace_id_fkey FOREIGN KEY (workspace_id) REFERENCES data.workspace(workspace_id);

ALTER TABLE ONLY data.duplicate_scan
    ADD CONSTRAINT duplicate_scan_workspace_id_fkey FOREIGN KEY (workspace_id) REFERENCES data.workspace(workspace_id);

ALTER TABLE ONLY data.duplicate_setting
    ADD CONSTRAINT duplicate_setting_workspace_id_fkey FOREIGN KEY (workspace_id) REFERENCES data.workspace(workspace_id);

ALTER TABLE ONLY data.erased_contact
    ADD CONSTRAINT erased_contact_workspace_id_fkey FOREIGN KEY (workspace_id) REFERENCES data.workspace(workspace_id);

ALTER TABLE ONLY data.exchange_rate
    ADD CONSTRAINT exchange_rate_workspace_id_fkey FOREIGN KEY (workspace_id) REFERENCES data.workspace(workspace_id);

ALTER TABLE ONLY data.export_run
    ADD CONSTRAINT export_run_workspace_id_fkey FOREIGN KEY (workspace_id) REFERENCES data.workspace(workspace_id);

ALTER TABLE ONLY data.idempotency
    ADD CONSTRAINT idempotency_workspace_id_fkey FOREIGN KEY (workspace_id) REFERENCES data.workspace(workspace_id);

ALTER TABLE ONLY data.import_change
    ADD CONSTRAINT import_change_workspace_id_import_id_fkey FOREIGN KEY (workspace_id, import_id) REFERENCES data.import_run(workspace_id, id) ON DELETE CASCADE;

ALTER TABLE ONLY data.import_chunk
    ADD CONSTRAINT import_chunk_workspace_id_import_id_fkey FOREIGN KEY (workspace_id, import_id) REFERENCES data.import_run(workspace_id, id) ON DELETE CASCADE;

ALTER TABLE ONLY data.import_error
    ADD CONSTRAINT import_error_workspace_id_import_id_fkey FOREIGN KEY (workspace_id, import_id) REFERENCES data.import_run(workspace_id, id) ON DELETE CASCADE;

ALTER TABLE ONLY data.import_run
    ADD CONSTRAINT import_run_workspace_id_fkey FOREIGN KEY (workspace_id) REFERENCES data.workspace(workspace_id);

ALTER TABLE ONLY data.inbox_message
    ADD CONSTRAINT inbox_message_workspace_id_connection_id_fkey FOREIGN KEY (workspace_id, connection_id) REFERENCES data.channel_connection(workspace_id, id);

ALTER TABLE ONLY data.invitation
    ADD CONSTRAINT invitation_workspace_id_fkey FOREIGN KEY (workspace_id) REFERENCES data.workspace(workspace_id);

ALTER TABLE ONLY data.job
    ADD CONSTRAINT job_workspace_id_fkey FOREIGN KEY (workspace_id) REFERENCES data.workspace(workspace_id);

ALTER TABLE ONLY data.membership
    ADD CONSTRAINT membership_staff_id_fkey FOREIGN KEY (staff_id) REFERENCES data.staff(id);

ALTER TABLE ONLY data.membership
    ADD CONSTRAINT membership_workspace_id_fkey FOREIGN KEY (workspace_id) REFERENCES data.workspace(workspace_id);

ALTER TABLE ONLY data.order_decision
    ADD CONSTRAINT order_decision_workspace_id_order_id_fkey FOREIGN KEY (workspace_id, order_id) REFERENCES data."order"(workspace_id, id) ON DELETE CASCADE;

ALTER TABLE ONLY data.order_line
    ADD CONSTRAINT order_line_workspace_id_order_id_fkey FOREIGN KEY (workspace_id, order_id) REFERENCES data."order"(workspace_id, id) ON DELETE CASCADE;

ALTER TABLE ONLY data.order_refund
    ADD CONSTRAINT order_refund_workspace_id_order_id_fkey FOREIGN KEY (workspace_id, order_id) REFERENCES data."order"(workspace_id, id) ON DELETE CASCADE;

ALTER TABLE ONLY data."order"
    ADD CONSTRAINT order_workspace_id_customer_id_fkey FOREIGN KEY (workspace_id, customer_id) REFERENCES data.customer(workspace_id, id);

ALTER TABLE ONLY data.prediction_model
    ADD CONSTRAINT prediction_model_workspace_id_fkey FOREIGN KEY (workspace_id) REFERENCES data.workspace(workspace_id);

ALTER TABLE ONLY data.privacy_request
    ADD CONSTRAINT privacy_request_workspace_id_fkey FOREIGN KEY (workspace_id) REFERENCES data.workspace(workspace_id);

ALTER TABLE ONLY data.privacy_setting
    ADD CONSTRAINT privacy_setting_workspace_id_fkey FOREIGN KEY (workspace_id) REFERENCES data.workspace(workspace_id);

ALTER TABLE ONLY data.rfm_run
    ADD CONSTRAINT rfm_run_workspace_id_fkey FOREIGN KEY (workspace_id) REFERENCES data.workspace(workspace_id);

ALTER TABLE ONLY data.saved_view
    ADD CONSTRAINT saved_view_workspace_id_fkey FOREIGN KEY (workspace_id) REFERENCES data.workspace(workspace_id);

ALTER TABLE ONLY data.segment_pick
    ADD CONSTRAINT segment_pick_workspace_id_customer_id_fkey FOREIGN KEY (workspace_id, customer_id) REFERENCES data.customer(workspace_id, id);

ALTER TABLE ONLY data.segment
    ADD CONSTRAINT segment_workspace_id_fkey FOREIGN KEY (workspace_id) REFERENCES data.workspace(workspace_id);

ALTER TABLE ONLY data.session
    ADD CONSTRAINT session_staff_id_fkey FOREIGN KEY (staff_id) REFERENCES data.staff(id);

ALTER TABLE ONLY data.session
    ADD CONSTRAINT session_workspace_id_fkey FOREIGN KEY (workspace_id) REFERENCES data.workspace(workspace_id);

ALTER TABLE ONLY data.suppression_key
    ADD CONSTRAINT suppression_key_workspace_id_fkey FOREIGN KEY (workspace_id) REFERENCES data.workspace(workspace_id);

ALTER TABLE ONLY data.suppression
    ADD CONSTRAINT suppression_workspace_id_fkey FOREIGN KEY (workspace_id) REFERENCES data.workspace(workspace_id);

ALTER TABLE ONLY data.tag_change
    ADD CONSTRAINT tag_change_workspace_id_fkey FOREIGN KEY (workspace_id) REFERENCES data.workspace(workspace_id);

ALTER TABLE ONLY data.tag_count
    ADD CONSTRAINT tag_count_workspace_id_fkey FOREIGN KEY (workspace_id) REFERENCES data.workspace(workspace_id);

ALTER TABLE ONLY data.web_preference
    ADD CONSTRAINT web_preference_workspace_id_fkey FOREIGN KEY (workspace_id) REFERENCES data.workspace(workspace_id);

ALTER TABLE ONLY data.web_recent
    ADD CONSTRAINT web_recent_workspace_id_customer_id_fkey FOREIGN KEY (workspace_id, customer_id) REFERENCES data.customer(workspace_id, id) ON DELETE CASCADE;

GRANT USAGE ON SCHEMA ext TO supover_app;

GRANT USAGE ON SCHEMA fence TO supover_app;

REVOKE ALL ON FUNCTION fence.all_workspaces() FROM PUBLIC;
GRANT ALL ON FUNCTION fence.all_workspaces() TO supover_app;

REVOKE ALL ON FUNCTION fence.current_workspace() FROM PUBLIC;
GRANT ALL ON FUNCTION fence.current_workspace() TO supover_app;

REVOKE ALL ON FUNCTION fence.audit_forget(before uuid, how_many integer) FROM PUBLIC;
GRANT ALL ON FUNCTION fence.audit_forget(before uuid, how_many integer) TO supover_app;

REVOKE ALL ON FUNCTION fence.channel_by_id(wanted uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION fence.channel_by_id(wanted uuid) TO supover_app;

REVOKE ALL ON FUNCTION fence.check_references() FROM PUBLIC;
GRANT ALL ON FUNCTION fence.check_references() TO supover_app;

REVOKE ALL ON FUNCTION fence.consent_unmake(customer_ids uuid[]) FROM PUBLIC;
GRANT ALL ON FUNCTION fence.consent_unmake(customer_ids uuid[]) TO supover_app;

REVOKE ALL ON FUNCTION fence.consent_unmerge(merge_id uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION fence.consent_unmerge(merge_id uuid) TO supover_app;

REVOKE ALL ON FUNCTION fence.consent_unsay(entry_ids uuid[]) FROM PUBLIC;
GRANT ALL ON FUNCTION fence.consent_unsay(entry_ids uuid[]) TO supover_app;

REVOKE ALL ON FUNCTION fence.currency_digits(currency text) FROM PUBLIC;
GRANT ALL ON FUNCTION fence.currency_digits(currency text) TO supover_app;

REVOKE ALL ON FUNCTION fence.event_log_rebase() FROM PUBLIC;
GRANT ALL ON FUNCTION fence.event_log_rebase() TO supover_app;

REVOKE ALL ON FUNCTION fence.export_of_file(wanted text) FROM PUBLIC;
GRANT ALL ON FUNCTION fence.export_of_file(wanted text) TO supover_app;

REVOKE ALL ON FUNCTION fence.idempotency_forget(older_than interval, how_many integer) FROM PUBLIC;
GRANT ALL ON FUNCTION fence.idempotency_forget(older_than interval, how_many integer) TO supover_app;

REVOKE ALL ON FUNCTION fence.invitation_by_code(code_hash bytea, wanted text) FROM PUBLIC;
GRANT ALL ON FUNCTION fence.invitation_by_code(code_hash bytea, wanted text) TO supover_app;

REVOKE ALL ON FUNCTION fence.job_beat(by_worker text, running uuid[], new_leases interval[], new_progress jsonb[]) FROM PUBLIC;
GRANT ALL ON FUNCTION fence.job_beat(by_worker text, running uuid[], new_leases interval[], new_progress jsonb[]) TO supover_app;

REVOKE ALL ON FUNCTION fence.job_claim(by_worker text, kinds text[], leases interval[], how_many integer, most_each integer, served uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION fence.job_claim(by_worker text, kinds text[], leases interval[], how_many integer, most_each integer, served uuid) TO supover_app;

REVOKE ALL ON FUNCTION fence.job_claimed(by_worker text, wanted uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION fence.job_claimed(by_worker text, wanted uuid) TO supover_app;

REVOKE ALL ON FUNCTION fence.job_counts() FROM PUBLIC;
GRANT ALL ON FUNCTION fence.job_counts() TO supover_app;

REVOKE ALL ON FUNCTION fence.job_defer_house(new_id uuid, new_kind text, at timestamp with time zone, attempts_at_most integer) FROM PUBLIC;
GRANT ALL ON FUNCTION fence.job_defer_house(new_id uuid, new_kind text, at timestamp with time zone, attempts_at_most integer) TO supover_app;

REVOKE ALL ON FUNCTION fence.job_end(by_worker text, ended uuid[], outcomes text[], whys text[], retry_ins interval[], new_progress jsonb[]) FROM PUBLIC;
GRANT ALL ON FUNCTION fence.job_end(by_worker text, ended uuid[], outcomes text[], whys text[], retry_ins interval[], new_progress jsonb[]) TO supover_app;

REVOKE ALL ON FUNCTION fence.job_pending(kinds text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION fence.job_pending(kinds text[]) TO supover_app;

REVOKE ALL ON FUNCTION fence.job_recover(gone text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION fence.job_recover(gone text[]) TO supover_app;

REVOKE ALL ON FUNCTION fence.job_workers() FROM PUBLIC;
GRANT ALL ON FUNCTION fence.job_workers() TO supover_app;

REVOKE ALL ON FUNCTION fence.jobs_forget(older_than interval, how_many integer) FROM PUBLIC;
GRANT ALL ON FUNCTION fence.jobs_forget(older_than interval, how_many integer) TO supover_app;

REVOKE ALL ON FUNCTION fence.key_by_token(token_hash bytea) FROM PUBLIC;
GRANT ALL ON FUNCTION fence.key_by_token(token_hash bytea) TO supover_app;

REVOKE ALL ON FUNCTION fence.key_used(workspace uuid, key uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION fence.key_used(workspace uuid, key uuid) TO supover_app;

REVOKE ALL ON FUNCTION fence.learn_duplicates() FROM PUBLIC;
GRANT ALL ON FUNCTION fence.learn_duplicates() TO supover_app;

REVOKE ALL ON FUNCTION fence.learn_sizes() FROM PUBLIC;
GRANT ALL ON FUNCTION fence.learn_sizes() TO supover_app;

REVOKE ALL ON FUNCTION fence.members(workspace uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION fence.members(workspace uuid) TO supover_app;

REVOKE ALL ON FUNCTION fence.personal_erase(wanted text, key_column text, keys uuid[], treatments jsonb, needles text[], harmless text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION fence.personal_erase(wanted text, key_column text, keys uuid[], treatments jsonb, needles text[], harmless text[]) TO supover_app;

REVOKE ALL ON FUNCTION fence.personal_exports_end() FROM PUBLIC;
GRANT ALL ON FUNCTION fence.personal_exports_end() TO supover_app;

REVOKE ALL ON FUNCTION fence.personal_facts(customers uuid[], orders uuid[], needles text[], bare text[], harmless text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION fence.personal_facts(customers uuid[], orders uuid[], needles text[], bare text[], harmless text[]) TO supover_app;

REVOKE ALL ON FUNCTION fence.personal_may_go(wanted text) FROM PUBLIC;
GRANT ALL ON FUNCTION fence.personal_may_go(wanted text) TO supover_app;

REVOKE ALL ON FUNCTION fence.personal_mentions(wanted text, columns text[], treatments jsonb, needles text[], bare text[], harmless text[], of_nobody boolean) FROM PUBLIC;
GRANT ALL ON FUNCTION fence.personal_mentions(wanted text, columns text[], treatments jsonb, needles text[], bare text[], harmless text[], of_nobody boolean) TO supover_app;

REVOKE ALL ON FUNCTION fence.personal_messages(customers uuid[], orders uuid[], needles text[], bare text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION fence.personal_messages(customers uuid[], orders uuid[], needles text[], bare text[]) TO supover_app;

REVOKE ALL ON FUNCTION fence.personal_messages_of(connection uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION fence.personal_messages_of(connection uuid) TO supover_app;

REVOKE ALL ON FUNCTION fence.personal_rows(wanted text, key_column text, keys uuid[], columns text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION fence.personal_rows(wanted text, key_column text, keys uuid[], columns text[]) TO supover_app;

REVOKE ALL ON FUNCTION fence.personal_set(wanted text, treatments jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION fence.personal_set(wanted text, treatments jsonb) TO supover_app;

REVOKE ALL ON FUNCTION fence.recovery_code_use(staff uuid, code_hash bytea) FROM PUBLIC;
GRANT ALL ON FUNCTION fence.recovery_code_use(staff uuid, code_hash bytea) TO supover_app;

REVOKE ALL ON FUNCTION fence.recovery_codes_renew(workspace uuid, staff uuid, new_hashes bytea[]) FROM PUBLIC;
GRANT ALL ON FUNCTION fence.recovery_codes_renew(workspace uuid, staff uuid, new_hashes bytea[]) TO supover_app;

REVOKE ALL ON FUNCTION fence.search_catch_up() FROM PUBLIC;
GRANT ALL ON FUNCTION fence.search_catch_up() TO supover_app;

REVOKE ALL ON FUNCTION fence.second_step(staff uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION fence.second_step(staff uuid) TO supover_app;

REVOKE ALL ON FUNCTION fence.second_step_begin(workspace uuid, staff uuid, new_secret bytea) FROM PUBLIC;
GRANT ALL ON FUNCTION fence.second_step_begin(workspace uuid, staff uuid, new_secret bytea) TO supover_app;

REVOKE ALL ON FUNCTION fence.second_step_confirm(workspace uuid, staff uuid, of_secret bytea, used bigint, new_hashes bytea[]) FROM PUBLIC;
GRANT ALL ON FUNCTION fence.second_step_confirm(workspace uuid, staff uuid, of_secret bytea, used bigint, new_hashes bytea[]) TO supover_app;

REVOKE ALL ON FUNCTION fence.second_step_end(workspace uuid, staff uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION fence.second_step_end(workspace uuid, staff uuid) TO supover_app;

REVOKE ALL ON FUNCTION fence.second_step_use(staff uuid, step bigint) FROM PUBLIC;
GRANT ALL ON FUNCTION fence.second_step_use(staff uuid, step bigint) TO supover_app;

REVOKE ALL ON FUNCTION fence.session_by_token(token_hash bytea) FROM PUBLIC;
GRANT ALL ON FUNCTION fence.session_by_token(token_hash bytea) TO supover_app;

REVOKE ALL ON FUNCTION fence.session_close(workspace uuid, session uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION fence.session_close(workspace uuid, session uuid) TO supover_app;

REVOKE ALL ON FUNCTION fence.session_end(workspace uuid, staff uuid, session uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION fence.session_end(workspace uuid, staff uuid, session uuid) TO supover_app;

REVOKE ALL ON FUNCTION fence.session_open(session uuid, token_hash bytea, csrf_hash bytea, staff uuid, workspace uuid, expires_at timestamp with time zone, ip text, user_agent text) FROM PUBLIC;
GRANT ALL ON FUNCTION fence.session_open(session uuid, token_hash bytea, csrf_hash bytea, staff uuid, workspace uuid, expires_at timestamp with time zone, ip text, user_agent text) TO supover_app;

REVOKE ALL ON FUNCTION fence.session_switch(workspace uuid, session uuid, to_workspace uuid, new_token_hash bytea, new_csrf_hash bytea) FROM PUBLIC;
GRANT ALL ON FUNCTION fence.session_switch(workspace uuid, session uuid, to_workspace uuid, new_token_hash bytea, new_csrf_hash bytea) TO supover_app;

REVOKE ALL ON FUNCTION fence.sessions_close(workspace uuid, staff uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION fence.sessions_close(workspace uuid, staff uuid) TO supover_app;

REVOKE ALL ON FUNCTION fence.sessions_expire() FROM PUBLIC;
GRANT ALL ON FUNCTION fence.sessions_expire() TO supover_app;

REVOKE ALL ON FUNCTION fence.sessions_of(workspace uuid, staff uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION fence.sessions_of(workspace uuid, staff uuid) TO supover_app;

REVOKE ALL ON FUNCTION fence.staff_add(workspace uuid, staff uuid, new_email text, new_name text, new_password_hash text, new_role text) FROM PUBLIC;
GRANT ALL ON FUNCTION fence.staff_add(workspace uuid, staff uuid, new_email text, new_name text, new_password_hash text, new_role text) TO supover_app;

REVOKE ALL ON FUNCTION fence.staff_by_email(wanted text) FROM PUBLIC;
GRANT ALL ON FUNCTION fence.staff_by_email(wanted text) TO supover_app;

REVOKE ALL ON FUNCTION fence.staff_disable(staff uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION fence.staff_disable(staff uuid) TO supover_app;

REVOKE ALL ON FUNCTION fence.staff_enable(staff uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION fence.staff_enable(staff uuid) TO supover_app;

REVOKE ALL ON FUNCTION fence.staff_password(workspace uuid, staff uuid, new_password_hash text) FROM PUBLIC;
GRANT ALL ON FUNCTION fence.staff_password(workspace uuid, staff uuid, new_password_hash text) TO supover_app;

REVOKE ALL ON FUNCTION fence.staff_workspaces(staff uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION fence.staff_workspaces(staff uuid) TO supover_app;

REVOKE ALL ON FUNCTION fence.throttle_forget(how_many integer) FROM PUBLIC;
GRANT ALL ON FUNCTION fence.throttle_forget(how_many integer) TO supover_app;

REVOKE ALL ON FUNCTION fence.trust_references() FROM PUBLIC;
GRANT ALL ON FUNCTION fence.trust_references() TO supover_app;

REVOKE ALL ON FUNCTION fence.workspace_add(workspace uuid, new_name text, new_currency text, new_digits smallint, new_timezone text, new_counting_statuses text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION fence.workspace_add(workspace uuid, new_name text, new_currency text, new_digits smallint, new_timezone text, new_counting_statuses text[]) TO supover_app;

REVOKE ALL ON FUNCTION fence.workspace_list() FROM PUBLIC;
GRANT ALL ON FUNCTION fence.workspace_list() TO supover_app;

REVOKE ALL ON FUNCTION fence.workspaces_with_aged_segments(moment timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION fence.workspaces_with_aged_segments(moment timestamp with time zone) TO supover_app;

REVOKE ALL ON FUNCTION fence.workspaces_with_messages() FROM PUBLIC;
GRANT ALL ON FUNCTION fence.workspaces_with_messages() TO supover_app;

REVOKE ALL ON FUNCTION fence.workspaces_with_stale_customers() FROM PUBLIC;
GRANT ALL ON FUNCTION fence.workspaces_with_stale_customers() TO supover_app;

REVOKE ALL ON FUNCTION fence.workspaces_with_stale_segments() FROM PUBLIC;
GRANT ALL ON FUNCTION fence.workspaces_with_stale_segments() TO supover_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE fence.address TO supover_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE fence.api_key TO supover_app;

GRANT SELECT,INSERT ON TABLE fence.audit_log TO supover_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE fence.bulk_action TO supover_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE fence.bulk_chunk TO supover_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE fence.bulk_result TO supover_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE fence.channel_connection TO supover_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE fence.cohort_cell TO supover_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE fence.communication_preference TO supover_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE fence.consent TO supover_app;

GRANT SELECT,INSERT ON TABLE fence.consent_entry TO supover_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE fence.custom_field TO supover_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE fence.custom_field_stamp TO supover_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE fence.custom_field_value TO supover_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE fence.customer TO supover_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE fence.customer_day TO supover_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE fence.customer_identity TO supover_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE fence.customer_journal TO supover_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE fence.customer_merge TO supover_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE fence.customer_merge_row TO supover_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE fence.customer_metrics TO supover_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE fence.customer_note TO supover_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE fence.customer_prediction TO supover_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE fence.customer_rfm TO supover_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE fence.customer_stale TO supover_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE fence.customer_told TO supover_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE fence.duplicate_due TO supover_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE fence.duplicate_pair TO supover_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE fence.duplicate_profile TO supover_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE fence.duplicate_scan TO supover_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE fence.duplicate_setting TO supover_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE fence.duplicate_term TO supover_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE fence.erased_contact TO supover_app;

GRANT SELECT,INSERT ON TABLE fence.event_log TO supover_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE fence.exchange_rate TO supover_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE fence.export_run TO supover_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE fence.idempotency TO supover_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE fence.import_change TO supover_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE fence.import_chunk TO supover_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE fence.import_error TO supover_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE fence.import_run TO supover_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE fence.inbox_message TO supover_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE fence.invitation TO supover_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE fence.job TO supover_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE fence.membership TO supover_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE fence."order" TO supover_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE fence.order_decision TO supover_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE fence.order_line TO supover_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE fence.order_refund TO supover_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE fence.prediction_model TO supover_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE fence.privacy_request TO supover_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE fence.privacy_setting TO supover_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE fence.rfm_month TO supover_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE fence.rfm_run TO supover_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE fence.sales_day TO supover_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE fence.saved_view TO supover_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE fence.segment TO supover_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE fence.segment_day TO supover_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE fence.segment_member TO supover_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE fence.segment_pick TO supover_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE fence.segment_stale TO supover_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE fence.suppression TO supover_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE fence.suppression_key TO supover_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE fence.tag_change TO supover_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE fence.tag_count TO supover_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE fence.web_preference TO supover_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE fence.web_recent TO supover_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE fence.workspace TO supover_app;

REVOKE ALL ON FUNCTION fence.throttle_count(subjects text[], adds integer[], periods interval[]) FROM PUBLIC;
GRANT ALL ON FUNCTION fence.throttle_count(subjects text[], adds integer[], periods interval[]) TO supover_app;
