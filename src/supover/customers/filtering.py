"""The segment language as a workspace speaks it: everything registered, its custom fields, its zone and its day."""

import asyncio
from collections.abc import Sequence
from typing import Final

from supover.customers import custom_field_filters, custom_fields, queries
from supover.kit import clock, filters
from supover.kit.db import Reader
from supover.kit.sql import Sort

SHORT: Final = 1_000
"""Up to so many characters are read in a few milliseconds."""


async def scope(db: Reader) -> filters.Scope:
    """What a filter is read in."""
    zone = await queries.zone(db)
    custom = custom_field_filters.fields(await custom_fields.definitions(db))
    asked = {**filters.registered(), **{field.name.lower(): field for field in custom}}
    return filters.Scope(zone, clock.now().astimezone(zone).date(), asked)


async def sorts(db: Reader, wanted: str | None) -> Sequence[Sort]:
    """How the list of customers can be sorted: by a declared custom field, too, where that is asked."""
    if not (wanted or "").removeprefix("-").startswith(custom_field_filters.PREFIX):
        return queries.SORTS
    declared = (await custom_fields.definitions(db)).by_key.values()
    return [*queries.SORTS, *filter(None, map(custom_field_filters.sort, declared))]


async def read(db: Reader, text: str, pointer: str = "/filter") -> filters.Tree:
    """What a filter asks in this workspace. Raises FilterInvalid."""
    return await parsed(text, await scope(db), pointer)


async def parsed(text: str, asked: filters.Scope, pointer: str = "/filter") -> filters.Tree:
    """What a filter asks. A long one is read beside the event loop, which has others to answer. Raises FilterInvalid."""
    if len(text) <= SHORT:
        return filters.parse(text, asked, pointer)
    return await asyncio.to_thread(filters.parse, text, asked, pointer)
