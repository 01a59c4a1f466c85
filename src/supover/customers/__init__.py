"""Customers: profiles, their identities, and which customer an order belongs to.

Owns the tables customer and customer_identity, the events of events.py and /api/customers.
"""
