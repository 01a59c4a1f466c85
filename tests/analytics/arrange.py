"""What the tests of analytics begin with and look at."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from supover.analytics import rollups, scoring
from supover.kit import clock
from supover.kit.db import Database
from tests.makers import Workspace, settle
from tests.orders.arrange import an_order, take


async def roll_up(db: Database, shop: Workspace) -> None:
    """Makes the roll-ups anew."""
    async with db.tx(shop.id) as tx:
        await rollups.rebuild(tx)


async def score(db: Database, shop: Workspace) -> int:
    """Recounts who waits for it, and scores everybody."""
    await settle(db, shop)
    return await scoring.run(db, shop.id)


SCORES = """
    select c.name, k.recency, k.frequency, k.monetary, k.rfm_group
      from customer_rfm k join customer c on c.workspace_id = $1 and c.id = k.customer_id
     where k.workspace_id = $1"""


async def scores(db: Database, shop: Workspace) -> dict[str, tuple[int, int, int, str]]:
    """Everybody's scores and group, by name."""
    async with db.reader(shop.id) as reader:
        return {row[0]: tuple(row[1:]) for row in await reader.rows(SCORES)}


async def buy(
    db: Database, shop: Workspace, name: str, moments: Sequence[datetime], total: Decimal | str = "10.00", **more: Any
) -> UUID:
    """Somebody orders at these moments; who it is."""
    taken = await take(
        db,
        shop,
        *(
            an_order(
                f"{name}-{at.isoformat()}", str(total), email=f"{name}@mail.example", name=name, placed_at=at, **more
            )
            for at in moments
        ),
    )
    assert taken[0].customer_id is not None
    return taken[0].customer_id


def at(patch: pytest.MonkeyPatch, moment: datetime) -> None:
    """Sets the house's clock."""
    patch.setattr(clock, "now", lambda: moment)
