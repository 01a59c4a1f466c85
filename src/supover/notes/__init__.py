"""Notes: what staff write about a customer, for staff only.

Owns the table customer_note, the events of events.py and /api/customers/{id}/notes.
"""
