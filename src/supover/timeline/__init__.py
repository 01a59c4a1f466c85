"""The timeline: everything that happened, from the event log.

Owns no table (kit/events writes event_log), but /api/customers/{id}/timeline and /api/events.
"""
