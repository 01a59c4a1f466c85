"""The nouns of customers' imports."""

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

ImportMode = Literal["create", "update", "upsert"]
ImportMatch = Literal["externalId", "email", "phone"]
DateOrder = Literal["DMY", "MDY"]
ConsentMode = Literal["import", "migration"]


class CustomerImportOptions(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """How a file's rows become customers.

    `mode`: create leaves known customers alone, update makes no new ones. `match` is what a row is known by: externalId where
    the file has it, else email, unless told; phone only when told. `map`: field → column, an empty one for a field that is not
    to be read; most headers need none. `set`: field → the same value for every row. `source` and `shop` are for rows that do not
    say; `country` is where their phones are dialled and addresses lie. `dateOrder` reads dates such as 03/04/1990. `tags`
    are added to every row's. `consents`: import takes only a no over a yes that is known, migration takes both.
    """

    mode: ImportMode = "upsert"
    match: ImportMatch | None = None
    map: Mapping[str, str] = {}
    set: Mapping[str, str] = {}
    source: str | None = None
    shop: str | None = None
    country: str | None = None
    date_order: DateOrder | None = None
    tags: Sequence[str] = ()
    consents: ConsentMode = "import"
    dry_run: bool = False
