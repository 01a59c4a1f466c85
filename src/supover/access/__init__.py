"""Who may do what: workspaces, staff and their roles, API keys, sessions, the audit log.

Owns the tables workspace, staff, membership, session, api_key and audit_log, and /api/session, /api/workspace,
/api/staff, /api/keys and /api/audit.
"""
