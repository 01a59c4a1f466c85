"""Imports: orders and customers from files, taken in chunk by chunk.

Owns the tables import_run, import_chunk, import_error and import_change, the events of events.py, /api/imports, POST
/api/orders/import and POST /api/customers/import. A chunk is one transaction, so a run that was cut short goes on where it stood:
of orders behind its checkpoint, of customers with the chunks that have no row in import_chunk. Those tell whom an import made,
what it added to others and what was left when it was taken back; what it changed of profiles stands in the customers' journal,
and of a trial some of what it would change in import_change.

Personal data: cells, message and others of import_error, changes of import_change, file_name and options of import_run, and the
file under file_key, which goes when its import has ended, or a week later. created_ids, added and kept of import_chunk are ids
alone; they and import_change are forgotten after 30 days.
"""
