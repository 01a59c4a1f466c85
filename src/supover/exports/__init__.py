"""Exports: customers, addresses and orders as files, at once or in the background.

Owns the table export_run, /api/exports, /files and POST /api/{customers,addresses,orders}/export. A CSV streams from COPY;
everything else is a file that a job makes, kept for a week and fetched by a link that expires.
"""
