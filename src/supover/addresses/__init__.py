"""Addresses: the places of customers, checked by the rules of their countries.

Owns the table address, the events of events.py and /api/customers/{id}/addresses.
"""
