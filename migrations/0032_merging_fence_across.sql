-- The ledger of consent is only ever added to; but what a merge concluded for the survivor, which nobody said, goes when the
-- merge is undone. What anybody said stays.
create function fence.consent_unmerge(merge_id uuid) returns table (customer_id uuid, channel text, topic text)
    language sql security definer set search_path = data, ext
    begin atomic
        delete from data.consent_entry e
         using data.customer_merge_row r
         where r.workspace_id = fence.current_workspace() and r.merge_id = consent_unmerge.merge_id
           and r.kind = 'consent_entry' and r.deed = 'added'
           and e.workspace_id = fence.current_workspace() and e.id = r.row_id
        returning e.customer_id, e.channel, e.topic;
    end;

revoke all on all functions in schema fence from public;
grant execute on all functions in schema fence to supover_app;
