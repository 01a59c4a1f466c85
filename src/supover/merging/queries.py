"""The queue of possible duplicates."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import msgspec

from supover.kit.db import Reader
from supover.kit.sql import Page, Sort, Where


class PairSide(msgspec.Struct, frozen=True, rename="camel"):
    """One of the two customers."""

    id: UUID
    name: str | None
    email: str | None
    phone: str | None


class DuplicatePair(msgspec.Struct, frozen=True, rename="camel"):
    """Two customers that may be one person; `score` in bits of evidence, `reasons` in words."""

    id: UUID
    a: PairSide
    b: PairSide
    score: Decimal
    reasons: Sequence[str]
    level: str
    status: str
    created_at: datetime


SORTS: Final = (Sort("score", "p.score", "p.id", Decimal, descending_first=True),)
LIST: Final = """
    select p.id, a.id, a.name, a.email, a.phone, b.id, b.name, b.email, b.phone, p.score, p.reasons, p.level, p.status, p.created_at
      from duplicate_pair p
      join customer a on a.workspace_id = $1 and a.id = p.a_id and a.deleted_at is null
      join customer b on b.workspace_id = $1 and b.id = p.b_id and b.deleted_at is null
     where {where}
     order by {order}
     limit {limit}"""
SUGGESTED: Final = ("automatic", "suggested")


async def search(
    db: Reader, page: Page, *, suggested: bool, customer_id: UUID | None
) -> tuple[list[DuplicatePair], str | None]:
    """A page of open pairs, the best first; only those of the two upper levels where `suggested`."""
    where = Where("p.workspace_id = $1", "p.status = 'open'")
    if suggested:
        where.add("p.level = any({}::text[])", list(SUGGESTED))
    if customer_id is not None:
        asked = where.arg(customer_id)
        where.add(f"(p.a_id = {asked} or p.b_id = {asked})")
    page.seek(where)
    limit = where.arg(page.limit + 1 + page.skip)
    rows: list[Any] = await db.rows(LIST.format(where=where.text(), order=page.order(), limit=limit), *where.values)
    found = [DuplicatePair(r[0], PairSide(*r[1:5]), PairSide(*r[5:9]), *r[9:]) for r in rows[page.skip :]]
    if len(found) <= page.limit:
        return found, None
    last = found[page.limit - 1]
    return found[: page.limit], page.cursor(last.score, last.id)
