-- A source's list of refunds says nothing of those that were recorded here.
alter table data.order_refund add column recorded_here boolean not null default false;
comment on column data.order_refund.recorded_here is 'By staff or a program, not told by the order''s source, whose list of refunds does not end it.';
-- Until now only those without an external id were known to be.
update data.order_refund set recorded_here = true where external_id is null;

-- Every order is taken in through these; nothing was ever found by them.
drop index data.order_decision_customer;
alter table data."order" drop constraint order_workspace_id_fkey;
