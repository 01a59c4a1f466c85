"""What several tests of customers look at."""

from typing import Any

import asyncpg

from tests.makers import Workspace


async def dump(owner: "asyncpg.Connection[asyncpg.Record]", shop: Workspace) -> list[Any]:
    """All customers with their contacts and indexed values, but for what counts and times changes."""
    rows = await owner.fetch(
        """select to_jsonb(c) - '{version,updated_at}'::text[],
                  (select jsonb_agg(to_jsonb(i) - '{id,created_at}'::text[] order by i.kind, i.value) from data.customer_identity i
                    where i.workspace_id = $1 and i.customer_id = c.id),
                  (select jsonb_agg(to_jsonb(v) order by v.index_id) from data.custom_field_value v
                    where v.workspace_id = $1 and v.customer_id = c.id and v.text_key is not null)
             from data.customer c where c.workspace_id = $1 order by c.id""",
        shop.id,
    )
    return [tuple(row) for row in rows]
