"""Merging: customers who turn out to be one become one, and by themselves again; a part of one becomes a customer.

Owns the table customer_merge, /api/customers/merge, /api/merges and /api/customers/{id}/split. What a merge did stands row by
row in customer_merge_row, which every room writes through customers/merge_rows. Each room moves its own rows when it hears
CustomersMerged, MergeUndone and CustomerSplit; `rules.TABLES` says of every table with a customer's id how.

Personal data: customer_merge_row.before and stayed, and customer_merge.kept; customer_merge else holds ids, names of fields and sums.

A merge never changes a login. Whoever gives buyers accounts must keep that so: an account is of the identity that its owner
has proved, and goes with that identity; merging adds no email, phone or order to what a signed-in buyer may see.
"""
