create table data.staff (
    id uuid primary key,
    email text not null,
    name text not null,
    password_hash text not null,
    created_at timestamptz not null default now(),
    disabled_at timestamptz
);
comment on table data.staff is 'global: a person who signs in; what they may do is a membership.';
create unique index staff_email on data.staff (lower(email));

create table data.membership (
    workspace_id uuid not null references data.workspace,
    staff_id uuid not null references data.staff,
    role text not null check (role in ('owner', 'admin', 'agent', 'viewer')),
    created_at timestamptz not null default now(),
    last_used_at timestamptz,
    primary key (workspace_id, staff_id)
);
create index membership_staff on data.membership (staff_id);

create table data.invitation (
    workspace_id uuid not null references data.workspace,
    id uuid not null,
    email text not null,
    name text not null,
    role text not null check (role in ('owner', 'admin', 'agent', 'viewer')),
    code_hash bytea not null,
    created_at timestamptz not null default now(),
    expires_at timestamptz not null,
    primary key (workspace_id, id)
);
comment on table data.invitation is 'becomes a membership when its person accepts it; knows nothing of whether they have an account.';
create unique index invitation_email on data.invitation (workspace_id, lower(email));
create index invitation_code on data.invitation (code_hash);

create table data.session (
    id uuid primary key,
    token_hash bytea not null unique,
    csrf_hash bytea not null,
    staff_id uuid not null references data.staff,
    workspace_id uuid not null references data.workspace,
    created_at timestamptz not null default now(),
    expires_at timestamptz not null,
    ip text,
    user_agent text
);
comment on table data.session is 'global: a signed-in browser; found by the hash of its cookie before any workspace is known.';
create index session_staff on data.session (staff_id);

create table data.api_key (
    workspace_id uuid not null references data.workspace,
    id uuid not null,
    name text not null check (name <> ''),
    prefix text not null,
    token_hash bytea not null,
    scopes text[] not null,
    rate_limit integer check (rate_limit > 0),
    created_by text not null,
    created_at timestamptz not null default now(),
    expires_at timestamptz,
    revoked_at timestamptz,
    last_used_at timestamptz,
    primary key (workspace_id, id),
    unique (workspace_id, token_hash)
);
create index api_key_token on data.api_key (token_hash);

create table data.audit_log (
    workspace_id uuid not null references data.workspace,
    id uuid not null,
    at timestamptz not null default now(),
    actor text not null,
    action text not null,
    subject_id uuid,
    request_id text,
    ip text,
    changes jsonb not null default '[]',
    primary key (workspace_id, id)
);
comment on table data.audit_log is 'append only: every write, by whom, with old and new values.';
create index audit_log_subject on data.audit_log (workspace_id, subject_id, id desc) where subject_id is not null;
create index audit_log_actor on data.audit_log (workspace_id, actor, id desc);
