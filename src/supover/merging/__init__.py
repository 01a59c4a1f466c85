"""Duplicates: pairs of customers that may be one person.

Owns the table duplicate_pair and /api/duplicates.
"""
