"""Who may do what: workspaces, staff and their roles, API keys, sessions, the audit log.

Owns the tables workspace, staff, membership, invitation, session, api_key, throttle and audit_log, and /api/session,
/api/sessions, /api/workspace, /api/staff, /api/keys and /api/audit.
"""
