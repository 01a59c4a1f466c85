-- A row that belongs to a customer is in a workspace because its customer is: only the roots refer to the workspace itself.
-- What LIKE finds a term by in customer.search: any part, with %, _ and \ meaning themselves. A term that begins with a
-- space is found where a word begins.
create function ext.search_pattern(term text) returns text
    language sql immutable parallel safe strict
    return '%' || replace(replace(replace(ext.fold(term), '\', '\\'), '%', '\%'), '_', '\_') || '%';

create table data.customer (
    workspace_id uuid not null references data.workspace,
    id uuid not null,
    source text not null,
    external_id text,
    email text,
    name text,
    phone text,
    phone_e164 text,
    date_of_birth date,
    gender text,
    avatar_key text,
    status text not null default 'ACTIVE' check (status in ('ACTIVE', 'INACTIVE', 'BLOCKED', 'VIP')),
    status_before_block text check (status_before_block in ('ACTIVE', 'INACTIVE', 'VIP')),
    country text,
    tags text[] not null default '{}',
    custom_fields jsonb not null default '{}',
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    deleted_at timestamptz,
    merged_into_id uuid,
    version integer not null default 1,
    -- Begins with a space, so that a word's beginning is found by '% an%' through the same trigram index.
    search text not null generated always as (ext.fold(
        ' ' || coalesce(name, '') || ' ' || coalesce(email, '') || ' '
        || coalesce(regexp_replace(phone, '\D', '', 'g'), '') || ' ' || coalesce(ltrim(phone_e164, '+'), '') || ' '
        || coalesce(external_id, ''))) stored,
    primary key (workspace_id, id),
    foreign key (workspace_id, merged_into_id) references data.customer
);
create unique index customer_email on data.customer (workspace_id, lower(email)) where deleted_at is null;
create index customer_created on data.customer (workspace_id, created_at desc, id desc);
create index customer_updated on data.customer (workspace_id, updated_at desc, id desc);
-- Lists are sorted by these expressions, word for word; who has no name or email comes after all who have.
create index customer_name on data.customer (workspace_id, left(coalesce(ext.fold(name), U&'\+10FFFF'), 200), id);
create index customer_email_order on data.customer (workspace_id, coalesce(lower(email), U&'\+10FFFF'), id);
create index customer_status on data.customer (workspace_id, status, created_at desc, id desc) where status <> 'ACTIVE';
create index customer_search on data.customer using gin (workspace_id, search ext.gin_trgm_ops);
create index customer_tags on data.customer using gin (workspace_id, tags);
create index customer_merged_into on data.customer (workspace_id, merged_into_id) where merged_into_id is not null;

create table data.customer_identity (
    workspace_id uuid not null,
    id uuid not null,
    customer_id uuid not null,
    kind text not null check (kind in ('channel', 'email', 'phone')),
    source text not null default '',
    shop text not null default '',
    value text not null,
    key text,
    quality text not null check (quality in ('real', 'relay', 'masked', 'placeholder')),
    matched_by text not null,
    other_names text[] not null default '{}',
    is_hub boolean not null default false,
    created_at timestamptz not null default now(),
    released_at timestamptz,
    primary key (workspace_id, id),
    foreign key (workspace_id, customer_id) references data.customer
);
comment on column data.customer_identity.key is 'What orders are matched by: the channel''s id, the normalised real email, the E.164 phone; null when it must never match.';
comment on column data.customer_identity.other_names is 'First names, unlike the customer''s own, that came with this contact; many make it a hub.';
create unique index customer_identity_channel on data.customer_identity (workspace_id, source, shop, value)
    where kind = 'channel' and released_at is null;
create unique index customer_identity_once on data.customer_identity (workspace_id, customer_id, kind, source, shop, value);
create index customer_identity_key on data.customer_identity (workspace_id, key)
    where kind <> 'channel' and key is not null and released_at is null;

create table data.address (
    workspace_id uuid not null,
    id uuid not null,
    customer_id uuid not null,
    type text not null check (type in ('SHIPPING', 'BILLING', 'BOTH')),
    is_default boolean not null default false,
    line1 text not null default '',
    line2 text,
    city text not null default '',
    state text not null default '',
    postal_code text not null default '',
    country text not null default '',
    recipient_name text not null default '',
    phone text,
    validated_at timestamptz,
    validation_skipped boolean not null default false,
    match_key text not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    version integer not null default 1,
    primary key (workspace_id, id),
    foreign key (workspace_id, customer_id) references data.customer
);
comment on column data.address.match_key is 'The folded lines, postal code and country: equal keys are one place.';
create unique index address_default_shipping on data.address (workspace_id, customer_id) where is_default and type in ('SHIPPING', 'BOTH');
create unique index address_default_billing on data.address (workspace_id, customer_id) where is_default and type in ('BILLING', 'BOTH');
create index address_customer on data.address (workspace_id, customer_id, id);
create index address_match on data.address (workspace_id, match_key);

create table data.customer_note (
    workspace_id uuid not null,
    id uuid not null,
    customer_id uuid not null,
    note text not null check (note <> ''),
    pinned boolean not null default false,
    author text not null,
    author_name text not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    version integer not null default 1,
    primary key (workspace_id, id),
    foreign key (workspace_id, customer_id) references data.customer
);
create index customer_note_customer on data.customer_note (workspace_id, customer_id, pinned desc, id desc);
