"""The audit log: one row a write, with what changed."""

from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import msgspec

from supover.kit import ids
from supover.kit.db import Change, Tx, json_bytes

if TYPE_CHECKING:
    # The command line writes here too, and starts without the web framework.
    from litestar import Request

KEEP: Final = """
    insert into audit_log (workspace_id, id, actor, action, subject_id, request_id, ip, changes)
    values ($1, $2, $3, $4, $5, $6, $7, $8)"""

SECRET: Final = frozenset({"password", "password_hash", "token", "token_hash", "csrf_hash", "api_key", "secret"})
"""Fields whose change is noted without its values."""


async def write_audit(tx: Tx, operation: str, subject_id: UUID | None, request: "Request[Any, Any, Any]") -> None:
    """Keeps who did this through the API, from where, and the changes that the transaction noted."""
    scope: Any = request.scope
    await _keep(tx, operation, subject_id, scope.get("request_id"), scope.get("client_ip"))


async def record(tx: Tx, action: str, subject_id: UUID | None = None) -> None:
    """Keeps a write that came from the command line or from a job."""
    await _keep(tx, action, subject_id, None, None)


async def _keep(tx: Tx, action: str, subject_id: UUID | None, request_id: str | None, ip: str | None) -> None:
    if subject_id is None and tx.changes:
        subject_id = tx.changes[0].id
    changes = json_bytes([_shown(change) for change in tx.changes])
    await tx.run(KEEP, ids.new(), tx.actor, action, subject_id, request_id, ip, changes)


def _shown(change: Change) -> Change:
    if change.field not in SECRET:
        return change
    old, new = ("(set)" if value is not None else None for value in (change.old, change.new))
    return msgspec.structs.replace(change, old=old, new=new)
