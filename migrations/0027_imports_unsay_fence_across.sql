-- A file that is taken back has subscribed nobody: what it said yes of goes from the ledger, what anybody else said stays.
create function fence.consent_unsay(entry_ids uuid[]) returns table (customer_id uuid, channel text, topic text)
    language sql security definer set search_path = data, ext
    begin atomic
        delete from data.consent_entry e
         where e.workspace_id = fence.current_workspace() and e.id = any (entry_ids)
           and e.state = 'SUBSCRIBED' and e.origin = 'import'
        returning e.customer_id, e.channel, e.topic;
    end;

revoke all on all functions in schema fence from public;
grant execute on all functions in schema fence to supover_app;
