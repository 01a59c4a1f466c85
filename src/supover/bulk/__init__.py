"""Bulk actions: one thing done to many customers, row by row accounted for, and undone for a month.

Owns the tables bulk_action, bulk_chunk and bulk_result, /api/bulk and POST /api/customers/bulk. What an action did to profiles
stands in the customers' journal, by which it is undone.

Personal data: value in deed of bulk_action, as it was asked for; message of bulk_result never holds any.
"""
