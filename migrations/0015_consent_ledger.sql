-- What people said about being written to: every word of it for good, where that leaves them, and whom nobody writes to.
create table data.consent_entry (
    workspace_id uuid not null,
    id uuid not null,
    customer_id uuid not null,
    channel text not null check (channel in ('email', 'sms', 'whatsapp', 'phone', 'post')),
    topic text not null check (topic in ('marketing', 'transactional', 'review_requests', 'surveys')),
    state text not null check (state in ('SUBSCRIBED', 'PENDING', 'UNSUBSCRIBED', 'INVALID', 'REDACTED')),
    opt_in_level text not null check (opt_in_level in ('SINGLE_OPT_IN', 'CONFIRMED_OPT_IN', 'UNKNOWN')),
    source text,
    at timestamptz not null,
    received_at timestamptz not null,
    proof jsonb,
    policy_version text,
    fingerprint bytea not null,
    contact text,
    contact_hash bytea,
    actor text not null,
    origin text not null check (origin in ('live', 'import')),
    primary key (workspace_id, id),
    foreign key (workspace_id, customer_id) references data.customer
);
comment on table data.consent_entry is 'append only: of one customer, channel and topic the entry with the latest time says what holds.';
comment on column data.consent_entry.fingerprint is 'SHA-256 of all that was said but when, a no also of which contact: the same said twice is one entry, and decides between two of one time.';
comment on column data.consent_entry.contact is 'What would have been written to, as it was then.';
comment on column data.consent_entry.contact_hash is 'The contact under the workspace''s key of suppression_key; it stays when the contact is forgotten.';
create unique index consent_entry_once on data.consent_entry (workspace_id, customer_id, channel, topic, at, fingerprint);
create index consent_entry_newest on data.consent_entry (workspace_id, customer_id, at desc, id desc);
create index consent_entry_contact on data.consent_entry (workspace_id, contact_hash, channel, topic, state, at)
    where contact_hash is not null;

create table data.consent (
    workspace_id uuid not null,
    customer_id uuid not null,
    channel text not null,
    topic text not null,
    state text not null,
    opt_in_level text not null,
    source text,
    at timestamptz not null,
    policy_version text,
    contact_hash bytea,
    version integer not null default 1,
    primary key (workspace_id, customer_id, channel, topic),
    foreign key (workspace_id, customer_id) references data.customer
);
comment on table data.consent is 'What the ledger amounts to; who is not here was never asked.';
comment on column data.consent.contact_hash is 'Of the entry that decides: a yes for one contact is none for another.';
create index consent_state on data.consent (workspace_id, channel, topic, state, customer_id);

create table data.communication_preference (
    workspace_id uuid not null,
    customer_id uuid not null,
    language text,
    preferred_channel text check (preferred_channel in ('email', 'sms', 'whatsapp', 'phone', 'post')),
    quiet_from text check (quiet_from ~ '^([01][0-9]|2[0-3]):[0-5][0-9]$'),
    quiet_to text check (quiet_to ~ '^([01][0-9]|2[0-3]):[0-5][0-9]$'),
    quiet_timezone text,
    version integer not null default 1,
    primary key (workspace_id, customer_id),
    foreign key (workspace_id, customer_id) references data.customer,
    check ((quiet_from is null) = (quiet_to is null) and (quiet_timezone is null or quiet_from is not null))
);
comment on column data.communication_preference.quiet_timezone is 'Null: the workspace''s, whatever that is at the time.';
create index communication_preference_language
    on data.communication_preference (workspace_id, (lower(language) || '-') text_pattern_ops, customer_id)
    where language is not null;

create table data.suppression_key (
    workspace_id uuid primary key references data.workspace,
    sealed bytea not null
);
comment on table data.suppression_key is 'What contacts are hashed with, sealed with the installation''s key: that one may change, hashes may not.';

create table data.suppression (
    workspace_id uuid not null references data.workspace,
    id uuid not null,
    contact_hash bytea not null,
    contact text,
    channel text not null check (channel in ('email', 'sms', 'whatsapp', 'phone')),
    topic text check (topic in ('marketing', 'transactional', 'review_requests', 'surveys')),
    reason text not null check (reason in ('unsubscribed', 'bounced', 'complained', 'manual')),
    at timestamptz not null,
    lifted_at timestamptz,
    is_active boolean not null generated always as (lifted_at is null or lifted_at <= at) stored,
    actor text not null,
    created_at timestamptz not null default now(),
    primary key (workspace_id, id),
    check ((reason = 'unsubscribed') = (topic is not null))
);
comment on table data.suppression is 'Contacts that are not written to, whoever has them. A lifted one stays, so that what is older cannot bring it back.';
comment on column data.suppression.topic is 'Null: everything.';
comment on column data.suppression.contact is 'Null once its person is forgotten; the hash goes on.';
comment on column data.suppression.at is 'When it was last said; lifted_at, when it was last taken back.';
create unique index suppression_once on data.suppression (workspace_id, contact_hash, channel, reason, topic) nulls not distinct;
create index suppression_newest on data.suppression (workspace_id, created_at desc, id desc) where is_active;
