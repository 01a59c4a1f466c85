"""Privacy: what is kept of a person is told, or erased; and nothing is kept for longer than the workspace wants.

Owns the tables privacy_request, erased_contact and privacy_setting, the event CustomersErased, which it publishes,
/api/customers/{id}/privacy and /api/privacy. `personal.py` is the map of all personal data in all tables: exports and erasing
are made of it, and a new column that it does not know fails a test.

Personal data: privacy_request.reason, as somebody typed it; a completed erasure keeps none of its person's.
"""
