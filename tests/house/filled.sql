-- Two sellers of equal size, so that a plan which reads a whole workspace costs something. Every table stays below 30,000
-- rows, of which `analyze` then looks at each: the plans are the same in every run.
create function pg_temp.key(shop integer, what text, n integer) returns uuid language sql immutable
    return md5(shop || what || n)::uuid;
create function pg_temp.at(n integer) returns timestamptz language sql immutable
    return timestamptz '2025-01-01 00:00:00+00' + n * interval '37 minutes';

create temporary table shop as
    select n, ('00000000-0000-7000-8000-00000000000' || n)::uuid as workspace_id from generate_series(1, 2) as n;

insert into data.workspace (workspace_id, name, currency, digits, timezone, counting_statuses)
select workspace_id, 'Shop ' || n, 'EUR', 2, 'Europe/Berlin', '{confirmed,processing,shipped,delivered,returned}' from shop;

insert into data.staff (id, email, name, password_hash)
select pg_temp.key(0, 'staff', i), 'staff' || i || '@house.example', 'Staff ' || i, 'none' from generate_series(1, 40) i;

insert into data.membership (workspace_id, staff_id, role)
select s.workspace_id, pg_temp.key(0, 'staff', i), (array['owner', 'admin', 'agent', 'viewer'])[1 + i % 4]
  from shop s, generate_series(1, 40) i where i % 2 = s.n - 1 or i < 5;

insert into data.invitation (workspace_id, id, email, name, role, code_hash, expires_at)
select s.workspace_id, pg_temp.key(s.n, 'invitation', i), 'invited' || i || '@house.example', 'Invited ' || i, 'agent',
       sha256((s.n || 'invitation' || i)::bytea), 'infinity'
  from shop s, generate_series(1, 100) i;

insert into data.session (id, token_hash, csrf_hash, staff_id, workspace_id, expires_at)
select pg_temp.key(s.n, 'session', i), sha256((s.n || 'session' || i)::bytea), 'x', pg_temp.key(0, 'staff', i), s.workspace_id, 'infinity'
  from shop s, generate_series(1, 4) i;

insert into data.api_key (workspace_id, id, name, prefix, token_hash, scopes, created_by)
-- The first key of each shop is known: sk_000…001 and sk_000…002.
select s.workspace_id, pg_temp.key(s.n, 'key', i), 'Key ' || i, 'sk_' || i,
       sha256(case when i = 1 then 'sk_' || repeat('0', 47) || s.n else s.n || 'key' || i end::bytea), '{admin}', 'cli'
  from shop s, generate_series(1, 200) i;

insert into data.customer (workspace_id, id, source, external_id, email, name, phone, phone_e164, status, country, tags, custom_fields,
                           created_at, updated_at, deleted_at, merged_into_id)
select s.workspace_id, pg_temp.key(s.n, 'customer', i), (array['SHOPIFY', 'ETSY', 'MANUAL', 'IMPORT'])[1 + i % 4], 'buyer-' || i,
       case when i % 10 > 0 then 'buyer' || i || '@mail.example' end,
       (array['Anna', 'José', 'Li', 'Zoë', 'Max', 'Ida'])[1 + i % 6] || ' ' || md5(i::text),
       '+49 151 ' || 1000000 + i, '+49151' || 1000000 + i, (array['ACTIVE', 'ACTIVE', 'ACTIVE', 'VIP', 'BLOCKED', 'INACTIVE'])[1 + i % 6],
       (array['DE', 'FR', 'GB', 'US'])[1 + i % 4], case when i % 20 = 0 then array['tag' || i % 7, 'rare' || i] else '{}' end,
       jsonb_build_object('size', i % 5), pg_temp.at(i), pg_temp.at(i + 3),
       case when i % 50 = 0 then pg_temp.at(i + 9) end, null
  from shop s, generate_series(1, 2000) i;
update data.customer set merged_into_id = pg_temp.key(s.n, 'customer', 1)
  from shop s where customer.workspace_id = s.workspace_id and customer.deleted_at is not null and customer.external_id like '%00';

-- The file that is kept under this key: tests/house/asking.py writes it.
update data.customer set avatar_key = 'avatars/' || repeat('0', 31) || '1' where id in (select pg_temp.key(n, 'customer', 6) from shop);

insert into data.tag_count (workspace_id, tag, customers, counted_at)
select s.workspace_id, 'tag' || i, 1 + i % 300, pg_temp.at(i) from shop s, generate_series(1, 1000) i;

-- `size` stands in all customers, and is indexed; the second field is unique, and two customers have the same value.
insert into data.custom_field (workspace_id, id, key, label, type, is_unique, is_indexed, index_id, index_state, position)
select s.workspace_id, pg_temp.key(s.n, 'field', i), case i when 1 then 'size' else 'card' || i end, 'Field ' || i,
       case i when 1 then 'number' else 'text' end, i = 2, i = 1, case when i < 3 then pg_temp.key(s.n, 'index', i) end,
       case i when 1 then 'building' when 2 then 'conflicting' else 'none' end, i
  from shop s, generate_series(1, 100) i;
insert into data.custom_field_stamp (workspace_id, stamp) select workspace_id, pg_temp.key(n, 'stamp', 1) from shop;
insert into data.custom_field_value (workspace_id, index_id, customer_id, text_key, number, holds)
select s.workspace_id, pg_temp.key(s.n, 'index', f), pg_temp.key(s.n, 'customer', i),
       case f when 1 then (i % 5)::text else 'card' || greatest(i, 3) end, case f when 1 then i % 5 end, f = 2 and i > 3
  from shop s, generate_series(1, 2) f, generate_series(1, 2000) i;

insert into data.tag_change (workspace_id, id, tags, into_tag, actor, actor_name, total, state, ended_at)
select s.workspace_id, pg_temp.key(s.n, 'tag change', i), array['tag' || i], 'other', 'cli', 'cli', i,
       case when i < 5 then 'waiting' else 'done' end, case when i >= 5 then timestamptz '2025-01-20' end
  from shop s, generate_series(1, 1000) i;

insert into data.customer_identity (workspace_id, id, customer_id, kind, source, shop, value, key, quality, matched_by, is_hub)
select s.workspace_id, pg_temp.key(s.n, 'identity' || k.kind, i), pg_temp.key(s.n, 'customer', i), k.kind, k.source, '', k.value || i,
       k.value || i, 'real', 'given', i % 600 = 0
  from shop s, generate_series(1, 1200) i,
       (values ('channel', 'SHOPIFY', 'buyer-'), ('email', '', 'buyer@mail.example'), ('phone', '', '+49151100')) as k (kind, source, value);

insert into data.address (workspace_id, id, customer_id, type, is_default, line1, city, postal_code, country, recipient_name, match_key)
select s.workspace_id, pg_temp.key(s.n, 'address', i), pg_temp.key(s.n, 'customer', 1 + i % 2000), 'BOTH', i <= 2000,
       'Street ' || i, 'Berlin', lpad(i::text, 5, '0'), 'DE', 'Buyer ' || i, 'street' || i / 2 || lpad((i / 2)::text, 5, '0') || 'DE'
  from shop s, generate_series(1, 3000) i;

insert into data.customer_note (workspace_id, id, customer_id, note, pinned, author, author_name)
select s.workspace_id, pg_temp.key(s.n, 'note', i), pg_temp.key(s.n, 'customer', 1 + i % 750), 'Note ' || i, i % 10 = 0, 'cli', 'cli'
  from shop s, generate_series(1, 1500) i;

-- Of three customers one was asked, about several things, and some of them often.
insert into data.consent_entry (workspace_id, id, customer_id, channel, topic, state, opt_in_level, source, at, received_at, fingerprint,
                                contact, contact_hash, actor, origin)
select s.workspace_id, pg_temp.key(s.n, 'entry', i), pg_temp.key(s.n, 'customer', 1 + i % 700), (array['email', 'email', 'sms'])[1 + i % 3],
       (array['marketing', 'marketing', 'surveys', 'transactional'])[1 + i % 4], (array['SUBSCRIBED', 'UNSUBSCRIBED', 'PENDING'])[1 + i % 3],
       'UNKNOWN', 'checkout', pg_temp.at(i), pg_temp.at(i), sha256(i::text::bytea), 'buyer' || 1 + i % 700 || '@mail.example',
       sha256(('buyer' || 1 + i % 700)::bytea), 'cli', 'live'
  from shop s, generate_series(1, 2800) i;
insert into data.consent (workspace_id, customer_id, channel, topic, state, opt_in_level, source, at, contact_hash)
select distinct on (e.workspace_id, e.customer_id, e.channel, e.topic)
       e.workspace_id, e.customer_id, e.channel, e.topic, e.state, e.opt_in_level, e.source, e.at, e.contact_hash
  from data.consent_entry e
 order by e.workspace_id, e.customer_id, e.channel, e.topic, e.at desc;
insert into data.communication_preference (workspace_id, customer_id, language, preferred_channel, quiet_from, quiet_to)
select s.workspace_id, pg_temp.key(s.n, 'customer', i), (array['de', 'en-GB', 'fr'])[1 + i % 3], 'email', '22:00', '08:00'
  from shop s, generate_series(1, 700) i;
insert into data.suppression (workspace_id, id, contact_hash, contact, channel, topic, reason, at, lifted_at, actor, created_at)
select s.workspace_id, pg_temp.key(s.n, 'suppression', i), sha256(('buyer' || i)::bytea), 'buyer' || i || '@mail.example', 'email',
       case when i % 3 = 0 then 'marketing' end, case when i % 3 = 0 then 'unsubscribed' else 'bounced' end, pg_temp.at(i),
       case when i % 5 = 0 then pg_temp.at(i + 1) end, 'cli', pg_temp.at(i)
  from shop s, generate_series(1, 1500) i;
-- The first shop's is sealed with the secret that tests/house/asking.py gives the application.
insert into data.suppression_key (workspace_id, sealed)
select workspace_id, case n when 1 then '\x0157da7e7e1c782fd07a48e7e548145e648d2d8040fd5437ae468769c8d7666d565161057c768ede328a7d63f76352d51077bb5be7f6eed1fdc6a75e38d6df3084'::bytea
                            else 'sealed' end
  from shop;

insert into data.exchange_rate (workspace_id, currency, on_date, rate)
select s.workspace_id, c, date '2025-01-01' + i, 1.1 from shop s, unnest('{USD,GBP,JPY}'::text[]) c, generate_series(1, 400) i;

insert into data."order" (workspace_id, id, source, external_id, number, customer_id, status, on_hold, hold_reason, needs_review, currency,
                          total, refunded, exchange_rate, placed_at, delivered_at, email, intake_hash)
select s.workspace_id, pg_temp.key(s.n, 'order', i), (array['SHOPIFY', 'ETSY', 'MANUAL'])[1 + i % 3], 'order-' || i, '#' || 1000 + i,
       case when i % 40 > 0 then pg_temp.key(s.n, 'customer', 1 + i % 1500) end,
       (array['delivered', 'delivered', 'confirmed', 'shipped', 'pending', 'cancelled'])[1 + i % 6],
       i % 100 = 0, case when i % 100 = 0 then 'Held.' end, i % 40 = 0, (array['EUR', 'EUR', 'USD'])[1 + i % 3], 10 + i % 500,
       case when i % 10 = 0 then 1 else 0 end, case when i % 300 = 2 then null else 1 end, pg_temp.at(i), pg_temp.at(i + 90),
       'buyer' || i || '@mail.example', sha256(i::text::bytea)
  from shop s, generate_series(1, 3000) i;

insert into data.order_line (workspace_id, order_id, position, id, sku, title, quantity, unit_price)
select s.workspace_id, pg_temp.key(s.n, 'order', i), 0, pg_temp.key(s.n, 'line', i), 'SKU-' || i % 400, 'A thing', 1, 10
  from shop s, generate_series(1, 3000) i;

insert into data.order_refund (workspace_id, order_id, id, external_id, amount, refunded_at)
select s.workspace_id, pg_temp.key(s.n, 'order', i), pg_temp.key(s.n, 'refund', i), 'refund-' || i, 1, pg_temp.at(i + 200)
  from shop s, generate_series(10, 3000, 10) i;

insert into data.order_decision (workspace_id, order_id, id, customer_id, method, evidence)
select s.workspace_id, pg_temp.key(s.n, 'order', i), pg_temp.key(s.n, 'decision', i),
       case when i % 40 > 0 then pg_temp.key(s.n, 'customer', 1 + i % 1500) end, 'email', '{}'
  from shop s, generate_series(1, 3000) i;

insert into data.customer_metrics (workspace_id, customer_id, order_count, total_spent, average_order_value, last_order_at, lifetime_value,
                                   total_orders, orders_count, by_currency)
select s.workspace_id, pg_temp.key(s.n, 'customer', i), i % 9, i % 977, i % 311, pg_temp.at(i), i % 503, i % 5, i % 11,
       '{"EUR": {"orders": 1, "spent": "1.00", "lifetimeValue": "1.00"}}'
  from shop s, generate_series(1, 2000) i;

insert into data.customer_rfm (workspace_id, customer_id, recency, frequency, monetary, rfm_group, former_group)
select s.workspace_id, pg_temp.key(s.n, 'customer', i), 1 + i % 5, 1 + i % 4, 1 + i % 3, (array['CHAMPIONS', 'LOYAL', 'ACTIVE', 'DORMANT'])[1 + i % 4],
       case when i % 3 > 0 then 'ACTIVE' end
  from shop s, generate_series(1, 2000) i
 where i % 9 > 0;

insert into data.rfm_run (workspace_id, scored_at, month, customers, recency_cuts, frequency_cuts, monetary_cuts, spent_cuts)
select s.workspace_id, pg_temp.at(0), '2025-01-01', 1777, array_agg(pg_temp.at(i * 400)), '{1,2,4,6}', '{100,300,500,700}',
       (select array_agg(n * 9.5) from generate_series(1, 99) n)
  from shop s, generate_series(1, 4) i
 group by s.workspace_id;

insert into data.rfm_month (workspace_id, month, rfm_group, customers, revenue)
select s.workspace_id, (date '2020-01-01' + i * interval '1 month')::date, g, i, i
  from shop s, generate_series(1, 300) i, unnest('{CHAMPIONS,LOYAL,ACTIVE,DORMANT,PROSPECTS}'::text[]) g;

insert into data.web_preference (workspace_id, staff_id, language, timezone, columns, seen_at)
select s.workspace_id, pg_temp.key(s.n, 'staff', i), 'vi', 'Asia/Ho_Chi_Minh', '{orders,country}', pg_temp.at(i)
  from shop s, generate_series(1, 300) i;

insert into data.web_recent (workspace_id, staff_id, customer_id, seen_at)
select s.workspace_id, pg_temp.key(s.n, 'staff', i % 40), pg_temp.key(s.n, 'customer', i), pg_temp.at(i)
  from shop s, generate_series(1, 2000) i;

insert into data.customer_stale (workspace_id, customer_id)
select s.workspace_id, pg_temp.key(s.n, 'customer', i) from shop s, generate_series(1, 200) i;

insert into data.customer_day (workspace_id, customer_id, day, channel, country, region, orders, gross, refunded, net, is_first)
select s.workspace_id, pg_temp.key(s.n, 'customer', 1 + i % 1500), date '2024-01-01' + i / 4, (array['SHOPIFY', 'ETSY', 'MANUAL'])[1 + i % 3],
       (array['DE', 'FR', 'GB', 'US'])[1 + i % 4], (array['BE', 'BY', '', 'HH'])[1 + i % 4], 1, 10 + i % 500, 0, 10 + i % 500, i < 1500
  from shop s, generate_series(0, 4499) i;
insert into data.sales_day (workspace_id, day, channel, country, region, buyers, newcomers, orders, gross, refunded, net)
select d.workspace_id, d.day, d.channel, d.country, d.region, count(*), count(*) filter (where d.is_first), sum(d.orders), sum(d.gross), 0,
       sum(d.net)
  from data.customer_day d group by 1, 2, 3, 4, 5;
insert into data.cohort_cell (workspace_id, grain, dimension, value, cohort, period, customers, orders, net, last_customers)
select d.workspace_id, g.grain, v.dimension, v.value, date_trunc(g.grain, f.day::timestamp), date_trunc(g.grain, d.day::timestamp),
       count(distinct d.customer_id), sum(d.orders), sum(d.net), 0
  from data.customer_day d
  join data.customer_day f on f.workspace_id = d.workspace_id and f.customer_id = d.customer_id and f.is_first
 cross join (values ('week'), ('month'), ('quarter')) as g (grain)
 cross join lateral (values ('all', ''), ('channel', f.channel), ('country', f.country)) as v (dimension, value)
 group by 1, 2, 3, 4, 5, 6;

insert into data.duplicate_pair (workspace_id, id, a_id, b_id, score, level, own_level, reasons, evidence, status, cluster_id, scan_id, merge_id)
select s.workspace_id, pg_temp.key(s.n, 'pair', i), least(a, b), greatest(a, b), i % 40, (array['automatic', 'suggested', 'review'])[1 + i % 3],
       (array['automatic', 'suggested', 'review'])[1 + i % 3], '{same address}',
       '[{"field": "address", "words": "same address", "bits": 16}]', (array['open', 'open', 'dismissed'])[1 + i % 3],
       case when i % 3 < 2 then least(a, b) end, pg_temp.key(s.n, 'scan', 1), case when i % 3 = 2 then pg_temp.key(s.n, 'merge', i) end
  from shop s, generate_series(1, 900) i,
       lateral (select pg_temp.key(s.n, 'customer', i) as a, pg_temp.key(s.n, 'customer', i + 1000) as b) as two;

insert into data.duplicate_profile (workspace_id, customer_id, source_hash, profile, terms, blocks, scan_id)
select s.workspace_id, pg_temp.key(s.n, 'customer', i), i,
       format('["%s",["ann",[],"lee%s","",["ann","lee%s"]],[],[],[],[],""]', pg_temp.key(s.n, 'customer', i), i % 900, i % 900),
       array['first:ann', 'last:lee' || i % 900], array[i % 900, 10000 + i], pg_temp.key(s.n, 'scan', 1 + i % 3)
  from shop s, generate_series(1, 2000) i;

insert into data.duplicate_term (workspace_id, term, customers)
select s.workspace_id, 'last:lee' || i, 3 from shop s, generate_series(1, 900) i;

insert into data.duplicate_scan (workspace_id, id, is_full, status, actor, actor_name, finished_at)
select s.workspace_id, pg_temp.key(s.n, 'scan', i), i % 7 = 1, (array['completed', 'failed', 'cancelled'])[1 + (i + 2) % 3], 'system', 'system',
       pg_temp.at(i)
  from shop s, generate_series(1, 600) i;

insert into data.duplicate_due (workspace_id, first_id, last_id)
select s.workspace_id, pg_temp.key(s.n, 'customer', i), pg_temp.key(s.n, 'customer', i + 1) from shop s, generate_series(1, 600) i;

insert into data.duplicate_setting (workspace_id, automatic_merging, nightly_scan) select s.workspace_id, true, true from shop s;

insert into data.event_log (workspace_id, id, kind, at, customer_id, order_id, actor, origin, data)
select s.workspace_id, pg_temp.key(s.n, 'event', i), (array['OrderPlaced', 'CustomerCreated', 'NoteAdded'])[1 + i % 3], pg_temp.at(i),
       pg_temp.key(s.n, 'customer', 1 + i % 1500), pg_temp.key(s.n, 'order', i), 'system', 'live', '{}'
  from shop s, generate_series(1, 3000) i;

insert into data.job (workspace_id, id, kind, state, singleton, worker, lease_until, finished_at)
select s.workspace_id, pg_temp.key(s.n, 'job', i), (array['imports.orders', 'analytics.fit'])[1 + i % 2],
       (array['done', 'done', 'done', 'queued', 'dead', 'cancelled', 'running'])[1 + i % 7], 'once-' || i,
       case when i % 7 = 6 then 'somebody' end, case when i % 7 = 6 then 'infinity'::timestamptz end, case when i % 7 < 3 then pg_temp.at(i) end
  from shop s, generate_series(1, 1500) i;

insert into data.idempotency (workspace_id, caller, key, request_hash, status, headers, body, created_at)
select s.workspace_id, 'key:' || i % 50, 'key-' || i, sha256(i::text::bytea), 201, '{}', '{}', pg_temp.at(i)
  from shop s, generate_series(1, 1500) i;

insert into data.audit_log (workspace_id, id, at, actor, action, subject_id, changes)
select s.workspace_id, pg_temp.key(s.n, 'audit', i), pg_temp.at(i), 'key:' || pg_temp.key(s.n, 'key', 1 + i % 200), 'customers.change',
       pg_temp.key(s.n, 'customer', 1 + i % 2000), '[]'
  from shop s, generate_series(1, 2500) i;

-- Every second one is of customers; the first is, too, and was not quite taken back.
insert into data.import_run (workspace_id, id, kind, status, file_name, file_hash, file_key, options, total, done, actor, dry_run, preset,
                             ignored_columns, encoding, format, header, chunk_rows, started_at, finished_at, revert_wanted_at, reverted_at)
select s.workspace_id, pg_temp.key(s.n, 'import', i), k.kind,
       case i when 1 then 'reverted' else (array['completed', 'completed_with_errors', 'failed', 'running'])[1 + i % 4] end,
       k.kind || '.csv', sha256(i::text::bytea), case when i % 10 = 0 then 'imports/' || md5(s.n || 'import' || i) end, '{}', 100,
       case k.kind when 'orders' then 100 else 0 end, 'cli', i % 31 = 0, case when i % 8 = 1 then 'shopify' end,
       case when i % 8 = 1 then '{Total Orders}'::text[] else '{}' end, 'utf-8', 'csv',
       case k.kind when 'customers' then '{name,email}'::text[] end, case k.kind when 'customers' then 5 end, pg_temp.at(i),
       case when i % 4 <> 3 then pg_temp.at(i + 1) end, case i when 1 then pg_temp.at(9) end, case i when 1 then pg_temp.at(10) end
  from shop s, generate_series(1, 300) i
 cross join lateral (select case when i % 2 = 1 then 'customers' else 'orders' end as kind) as k;

insert into data.import_chunk (workspace_id, import_id, number, first_row, last_row, rows, created, updated, skipped, failed, first_id, last_id,
                               created_ids, added, reverted_at, removed, kept)
select s.workspace_id, pg_temp.key(s.n, 'import', i), k, 5 * k + 2, 5 * k + 6, 5, 4, 1, 0, 0, n.ids[1], n.ids[4], n.ids,
       jsonb_build_object('address', array[pg_temp.key(s.n, 'address', 5 * k + 4)], 'identity', array[pg_temp.key(s.n, 'identityemail', 5 * k + 4)]),
       case i when 1 then pg_temp.at(10) end, case i when 1 then 3 else 0 end,
       case i when 1 then jsonb_build_array(jsonb_build_object('customerId', n.ids[1], 'why', 'orders')) else '[]' end
  from shop s, generate_series(1, 300, 2) i, generate_series(0, 19) k
 cross join lateral (select array_agg(u.id order by u.id) as ids
                       from (select pg_temp.key(s.n, 'customer', 1 + (i * 7 + 5 * k + j) % 2000) as id from generate_series(0, 3) j) as u) as n;

insert into data.export_run (workspace_id, id, kind, format, status, asked, file_name, file_key, rows, bytes, actor, finished_at, deleted_at)
select s.workspace_id, pg_temp.key(s.n, 'export', i), (array['customers', 'addresses', 'orders'])[1 + i % 3],
       (array['csv', 'xlsx', 'jsonl', 'parquet'])[1 + i % 4], 'completed', '{}', 'export.csv', 'exports/' || md5(s.n || 'export' || i),
       100, 1000, 'cli', pg_temp.at(i), case when i % 50 = 0 then pg_temp.at(i) end
  from shop s, generate_series(1, 300) i;

insert into data.import_error (workspace_id, import_id, row_number, field, code, message, cells, is_taken)
select s.workspace_id, pg_temp.key(s.n, 'import', 1 + i % 100), i, 'total', 'number', 'is not a number', '{x}', i % 30 = 0
  from shop s, generate_series(1, 1500) i;

insert into data.import_change (workspace_id, import_id, customer_id, changes)
select s.workspace_id, pg_temp.key(s.n, 'import', 1 + i % 100), pg_temp.key(s.n, 'customer', 1 + i % 2000), '{"name": ["Ann", "Anna"]}'
  from shop s, generate_series(1, 1500) i;

insert into data.channel_connection (workspace_id, id, platform, shop, name, secret, disconnected_at)
select s.workspace_id, pg_temp.key(s.n, 'channel', i), 'SHOPIFY', 'shop-' || i || '.myshopify.com', 'Shop ' || i,
       case when i % 50 > 0 then 'sealed'::bytea end, case when i % 50 = 0 then pg_temp.at(i) end
  from shop s, generate_series(1, 300) i;

insert into data.customer_told (workspace_id, source, shop, external_id, source_updated_at, profile)
select s.workspace_id, 'SHOPIFY', 'shop-1.myshopify.com', i::text, pg_temp.at(i), '{"name": "Anna"}'
  from shop s, generate_series(1, 1500) i;

insert into data.inbox_message (workspace_id, id, connection_id, topic, delivery_id, event_id, body, body_hash, size, status, due_at, waits_for,
                                reason, received_at)
select s.workspace_id, pg_temp.key(s.n, 'message', i), pg_temp.key(s.n, 'channel', 1 + i % 290),
       (array['orders/create', 'orders/updated', 'refunds/create'])[1 + i % 3], 'delivery-' || i, 'event-' || i, '{}', sha256('{}'), 2,
       (array['applied', 'applied', 'applied', 'applied', 'pending', 'dead', 'ignored'])[1 + i % 7],
       case when i % 2 = 0 then timestamptz '2999-01-01' else pg_temp.at(i) end, case when i % 28 = 4 then 'order-' || i end,
       case when i % 7 > 4 then 'waits' end, pg_temp.at(i)
  from shop s, generate_series(1, 3000) i;

insert into data.segment (workspace_id, id, kind, name, filter, is_relative, complete, evaluated_at, evaluated_on, wanted_at, members,
                          created_by, created_by_name)
select s.workspace_id, pg_temp.key(s.n, 'segment', i), case when i % 5 = 1 then 'manual' else 'filter' end, 'Segment ' || i,
       case when i % 5 <> 1 then 'number_of_orders >= ' || i end, false, true, pg_temp.at(i), '2025-06-01',
       case when i % 20 = 0 then pg_temp.at(i) end, i, 'cli', 'cli'
  from shop s, generate_series(1, 200) i;

insert into data.segment_member (workspace_id, segment_id, customer_id, entered_at)
select s.workspace_id, pg_temp.key(s.n, 'segment', i), pg_temp.key(s.n, 'customer', k), pg_temp.at(k)
  from shop s, generate_series(1, 40) i, lateral generate_series(1 + i % 7, 2000, i % 11 + 1) k;

insert into data.prediction_model (workspace_id, version, serving, method, as_of, window_from, horizon_days, customers, parameters, fitted_at)
select s.workspace_id, i, 'bgnbd', 'map', date '2025-01-01' + i, date '2024-01-01', 90, 4000, '{"r": 0.5, "repeats": [[4000, 3000]]}',
       pg_temp.at(i)
  from shop s, generate_series(1, 300) i;
insert into data.customer_prediction (workspace_id, customer_id, version, churn_probability, churn_risk, expected_orders, predicted_value,
                                      next_order_on, value_at_stake)
select s.workspace_id, pg_temp.key(s.n, 'customer', i), 300, (i % 100) / 100.0, (array['low', 'medium', 'high'])[1 + i % 3], i % 5, i % 5 * 20,
       date '2026-01-01', i
  from shop s, generate_series(1, 4000) i;

insert into data.segment_pick (workspace_id, segment_id, customer_id, picked_by)
select s.workspace_id, pg_temp.key(s.n, 'segment', 1 + 5 * (i % 40)), pg_temp.key(s.n, 'customer', i), 'cli'
  from shop s, generate_series(1, 2000) i;

insert into data.segment_stale (workspace_id, customer_id, origin)
select s.workspace_id, pg_temp.key(s.n, 'customer', i), 'live' from shop s, generate_series(1, 200) i;

insert into data.segment_day (workspace_id, segment_id, day, members, entered, left_count)
select s.workspace_id, pg_temp.key(s.n, 'segment', i), date '2025-01-01' + d, d, 1, 0
  from shop s, generate_series(1, 50) i, generate_series(1, 40) d;

insert into data.saved_view (workspace_id, id, name, query, is_shared, owner, owner_name, position)
select s.workspace_id, pg_temp.key(s.n, 'view', i), 'View ' || i, 'status=VIP', i % 2 = 1, 'key:' || pg_temp.key(s.n, 'key', 1 + i % 200),
       'Key', i
  from shop s, generate_series(1, 1000) i;

insert into data.bulk_action (workspace_id, id, action, deed, selection, on_error, status, total, is_checked, next_chunk, done, changed, actor,
                              actor_name, started_at)
select s.workspace_id, pg_temp.key(s.n, 'bulk', i), 'tag', '{"action": "tag", "tags": ["VIP"]}', '{}', 'rejectFailed',
       case when i < 5 then 'running' else 'completed' end, 100, true, 1, 100, 90, 'cli', 'cli', pg_temp.at(i)
  from shop s, generate_series(1, 500) i;
insert into data.bulk_chunk (workspace_id, bulk_id, number, first_id, customer_ids)
select s.workspace_id, pg_temp.key(s.n, 'bulk', i), k, pg_temp.key(s.n, 'customer', 20 * k + 1),
       (select array_agg(u.id order by u.id) from (select pg_temp.key(s.n, 'customer', 20 * k + j) as id from generate_series(1, 20) j) as u)
  from shop s, generate_series(1, 500) i, generate_series(0, 4) k;
insert into data.bulk_result (workspace_id, bulk_id, customer_id, outcome, code, message)
select s.workspace_id, pg_temp.key(s.n, 'bulk', i), pg_temp.key(s.n, 'customer', j), case when j % 2 = 0 then 'failed' else 'unchanged' end,
       'length', 'can be at most 250 tags'
  from shop s, generate_series(1, 500) i, generate_series(1, 4) j;
insert into data.customer_journal (workspace_id, act_id, customer_id, changes, kept, undone_at)
select s.workspace_id, pg_temp.key(s.n, 'bulk', i), pg_temp.key(s.n, 'customer', j), '{"tags": [[], ["VIP"]]}',
       case when j % 5 = 0 then '["tags"]'::jsonb end, case when i % 2 = 0 then pg_temp.at(i) end
  from shop s, generate_series(1, 100) i, generate_series(1, 40) j;

insert into data.customer_merge (workspace_id, id, primary_id, duplicate_ids, fields, moved, actor, actor_name, merged_at, primary_created_at,
                                 undone_at, forgotten_at)
select s.workspace_id, pg_temp.key(s.n, 'merge', i), pg_temp.key(s.n, 'customer', i), array[pg_temp.key(s.n, 'customer', i + 1000)], '{}',
       '{"orders": 1}', 'cli', 'cli', pg_temp.at(i), pg_temp.at(i), case when i % 3 = 0 then pg_temp.at(i + 1) end,
       case when i % 20 > 0 then pg_temp.at(i + 2) end
  from shop s, generate_series(1, 900) i;
insert into data.customer_merge_row (workspace_id, merge_id, kind, former_id, row_id, deed)
select s.workspace_id, pg_temp.key(s.n, 'merge', 20 * i), k.kind, pg_temp.key(s.n, 'customer', 20 * i + 1000),
       pg_temp.key(s.n, k.what, j + 20 * i), 'moved'
  from shop s, generate_series(1, 45) i, generate_series(1, 10) j,
       (values ('order', 'order'), ('customer_note', 'note'), ('address', 'address'), ('customer_identity', 'identityemail'),
               ('segment_pick', 'segment'), ('tombstone', 'customer')) as k (kind, what);

insert into data.privacy_request (workspace_id, id, kind, status, customer_id, origin, actor, actor_name, run_at, due_at, created_at,
                                  finished_at, file_key, page_key, message_id, certificate)
select s.workspace_id, pg_temp.key(s.n, 'privacy', i), case when i % 3 = 0 then 'erase' else 'export' end,
       case when i % 50 = 7 then 'pending' else 'completed' end, pg_temp.key(s.n, 'customer', i), 'staff', 'cli', 'cli', pg_temp.at(i),
       pg_temp.at(i) + interval '30 days', pg_temp.at(i), case when i % 50 <> 7 then pg_temp.at(i + 1) end,
       case when i % 60 = 1 then 'privacy/' || md5(s.n || 'file' || i) end, case when i % 60 = 1 then 'privacy/' || md5(s.n || 'page' || i) end,
       case when i % 40 = 0 then pg_temp.key(s.n, 'message', i) end, case when i % 3 = 0 then '{"rows": {"customer": 1}}'::jsonb end
  from shop s, generate_series(1, 1500) i;
insert into data.erased_contact (workspace_id, contact_hash, customer_id, request_id, erased_at)
select s.workspace_id, sha256((s.n || 'contact' || i)::bytea), pg_temp.key(s.n, 'customer', i), pg_temp.key(s.n, 'privacy', 3 * (i / 3)), pg_temp.at(i)
  from shop s, generate_series(1, 1500) i;
insert into data.privacy_setting (workspace_id, audit_days) select workspace_id, 3650 from shop;
