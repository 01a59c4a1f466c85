-- An order without a number is called by its id in the shop, and found by it as others are by their number.
drop index data.order_number;
create index order_number on data."order" (workspace_id, lower(coalesce(number, external_id)) text_pattern_ops)
 where coalesce(number, external_id) is not null;
comment on index data.order_number is 'What an order is called: its number, or its id in the shop where it has none.';
