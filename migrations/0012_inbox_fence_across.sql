-- What may see across workspaces of what channels send: the signature is checked before any workspace is known.

-- A delivery names its connection before any workspace is known.
create function fence.channel_by_id(wanted uuid)
    returns table (workspace_id uuid, platform text, shop text, secret bytea, former_secret bytea, former_secret_until timestamptz)
    language sql stable security definer set search_path = data, ext
    begin atomic
        select c.workspace_id, c.platform, c.shop, c.secret, c.former_secret, c.former_secret_until
          from data.channel_connection c where c.id = wanted and c.disconnected_at is null;
    end;

create function fence.workspaces_with_messages() returns setof uuid
    language sql stable security definer set search_path = data, ext
    set enable_seqscan = off set enable_bitmapscan = off
    begin atomic
        with recursive found as (
            (select m.workspace_id from data.inbox_message m where m.status = 'pending' order by m.workspace_id limit 1)
            union all
            select (select m.workspace_id from data.inbox_message m
                     where m.status = 'pending' and m.workspace_id > f.workspace_id order by m.workspace_id limit 1)
              from found f where f.workspace_id is not null)
        select f.workspace_id from found f
         where f.workspace_id is not null
           and exists (select 1 from data.inbox_message m
                        where m.workspace_id = f.workspace_id and m.status = 'pending' and m.due_at <= now());
    end;

revoke all on all functions in schema fence from public;
grant execute on all functions in schema fence to supover_app;
