-- A second step at signing in: codes of an app (TOTP, RFC 6238), or recovery codes where the app is lost.

alter table data.staff
    add column second_step_secret bytea,
    add column second_step_at timestamptz,
    add column second_step_used bigint,
    add column recovery_hashes bytea[] not null default '{}';
comment on column data.staff.second_step_secret is 'Sealed. Without second_step_at it waits for its first code and asks nobody for any.';
comment on column data.staff.second_step_used is 'The thirty seconds, counted from 1970, of the newest code that was taken: none before it is taken again.';
comment on column data.staff.recovery_hashes is 'Those that are left; each is taken once.';
