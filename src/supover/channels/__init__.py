"""Where orders come from: connections to shops, and what a channel says, in our words.

Owns the table channel_connection, the events of events.py and /api/channels. Connectors (one folder a platform) verify and
parse; they read and write nothing.
"""
