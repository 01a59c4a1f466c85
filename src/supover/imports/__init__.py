"""Imports: files of history, taken in chunk by chunk.

Owns the tables import_run and import_error, /api/imports and POST /api/orders/import. A chunk is one transaction, its
checkpoint included, so a run that was cut short goes on where it stood.
"""
