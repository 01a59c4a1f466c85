# polars names numpy in its types, which is not installed.
# pyright: reportUnknownMemberType=false
"""Many addresses at once, as files bring them: each kept as given, none twice, none in the place of a default that is there."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final
from uuid import UUID

from supover.addresses import rules
from supover.kit.db import Tx

if TYPE_CHECKING:
    import polars as pl

ADDRESS: Final = (
    "id", "customer_id", "type", "is_default", "line1", "line2", "city", "state", "postal_code", "country", "recipient_name",
    "phone", "match_key",
)  # fmt: skip
"""The columns of a frame of addresses, in the order of the statements."""

_FOUND: Final = """unnest($2::uuid[], $3::uuid[], $4::text[], $5::boolean[], $6::text[], $7::text[], $8::text[], $9::text[],
                  $10::text[], $11::text[], $12::text[], $13::text[], $14::text[])
           as n (id, customer_id, type, is_default, line1, line2, city, state, postal_code, country, recipient_name, phone,
                 match_key)"""
ADD: Final = f"""
    insert into address (workspace_id, id, customer_id, type, is_default, line1, line2, city, state, postal_code, country,
           recipient_name, phone, match_key)
    select $1, n.id, n.customer_id, n.type, n.is_default, coalesce(n.line1, ''), n.line2, coalesce(n.city, ''), coalesce(n.state, ''),
           coalesce(n.postal_code, ''), coalesce(n.country, ''), coalesce(n.recipient_name, ''), n.phone, n.match_key
      from {_FOUND}"""


async def add(tx: Tx, found: "pl.DataFrame") -> None:
    """Adds the addresses of customers who have none: a frame with the columns ADDRESS, at most one default a type."""
    await tx.load(ADD, found.select(ADDRESS).write_csv(include_header=False).encode())


# What is there is read once, before the first row is added. A default is one where the customer has none of its type yet.
ADD_NEW: Final = """
    with held as materialized (
        select a.customer_id, a.match_key, a.is_default and a.type <> 'BILLING' as ships, a.is_default and a.type <> 'SHIPPING' as bills
          from address a
         where a.workspace_id = $1 and a.customer_id = any($3::uuid[])),
    sums as materialized (
        select h.customer_id, count(*) as addresses, bool_or(h.ships) as ships, bool_or(h.bills) as bills
          from held h group by h.customer_id),
    fresh as (
        select n.*, row_number() over (partition by n.customer_id order by n.place) as number,
               bool_or(n.is_default) over (partition by n.customer_id order by n.place rows between unbounded preceding and 1 preceding)
               as had_default
          from unnest($2::uuid[], $3::uuid[], $4::text[], $5::boolean[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[],
                      $11::text[], $12::text[], $13::text[], $14::text[])
               with ordinality as n (id, customer_id, type, is_default, line1, line2, city, state, postal_code, country,
                                     recipient_name, phone, match_key, place)
          left join held h on h.customer_id = n.customer_id and h.match_key = n.match_key and not (n.place = any($16::bigint[]))
         where h.customer_id is null)
    insert into address (workspace_id, id, customer_id, type, is_default, line1, line2, city, state, postal_code, country,
           recipient_name, phone, match_key)
    select $1, f.id, f.customer_id, f.type,
           f.is_default and not coalesce(f.had_default, false) and not coalesce(s.ships and f.type <> 'BILLING', false)
           and not coalesce(s.bills and f.type <> 'SHIPPING', false),
           coalesce(f.line1, ''), f.line2, coalesce(f.city, ''), coalesce(f.state, ''), coalesce(f.postal_code, ''),
           coalesce(f.country, ''), coalesce(f.recipient_name, c.name, ''), f.phone, f.match_key
      from fresh f
      join customer c on c.workspace_id = $1 and c.id = f.customer_id
      left join sums s on s.customer_id = f.customer_id
     where coalesce(s.addresses, 0) + f.number <= $15
    returning id, customer_id"""


async def add_new(tx: Tx, found: "pl.DataFrame", anyway: Sequence[int] = ()) -> list[tuple[UUID, UUID]]:
    """Adds what the customers do not have yet: the id of each address that was added, and whose it is.

    A frame with the columns ADDRESS, each place of a customer once; the rows at the places `anyway` are added even where the
    customer has the place. What exceeds a customer's 200 is left out.
    """
    columns = [found[name].to_list() for name in ADDRESS]
    places = [n + 1 for n in anyway]
    return [(row[0], row[1]) for row in await tx.rows(ADD_NEW, *columns, rules.MAX_ADDRESSES, places)]


# An address that somebody changed since is theirs.
REMOVE: Final = "delete from address where workspace_id = $1 and id = any($2::uuid[]) and version = 1"


async def remove(tx: Tx, address_ids: Sequence[UUID]) -> int:
    """Removes addresses that a file added, unless somebody changed them; how many."""
    return await tx.run(REMOVE, list(address_ids))


REMOVE_OF: Final = "delete from address where workspace_id = $1 and customer_id = any($2::uuid[])"


async def remove_of(tx: Tx, customer_ids: Sequence[UUID]) -> None:
    """Removes all addresses of customers who are unmade."""
    await tx.run(REMOVE_OF, list(customer_ids))
