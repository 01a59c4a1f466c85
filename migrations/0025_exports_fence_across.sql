-- A link to a file names no workspace: the file's key, which its signature covers, does.
create function fence.export_of_file(wanted text)
    returns table (workspace_id uuid, id uuid, format text, file_name text)
    language sql stable security definer set search_path = data, ext
    set enable_seqscan = off
    begin atomic
        select r.workspace_id, r.id, r.format, r.file_name
          from data.workspace w
          join data.export_run r on r.workspace_id = w.workspace_id and r.file_key = wanted
         where r.deleted_at is null;
    end;

revoke all on all functions in schema fence from public;
grant execute on all functions in schema fence to supover_app;
