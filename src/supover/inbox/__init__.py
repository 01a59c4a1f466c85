"""What the world sends us: kept byte for byte once its signature holds, worked off by a drain, replayed when asked.

Owns the table inbox_message, the events of events.py, /hooks/channels and /api/inbox.
"""
