"""What the segment language can ask, for whoever builds filters."""

from collections.abc import Sequence

import msgspec

from supover.customers import filtering
from supover.kit import filters
from supover.kit.api import Routes
from supover.kit.db import Reader

routes = Routes("segments")


class Askable(msgspec.Struct, frozen=True, rename="camel"):
    """A field of the segment language, or something of which one is looked for that fits all conditions.

    `kind` is how its values are written: text, choice, whole, number, moment (a date, by whole days), day, flag, list; or
    matches, which is asked as `name MATCHES (field = …)` by its `fields`. `operators` are what it is compared by.
    """

    name: str
    kind: str
    words: str
    operators: Sequence[str]
    choices: Sequence[str]
    example: str
    fields: Sequence["Askable"] = ()


class Language(msgspec.Struct, frozen=True, rename="camel"):
    """Everything that a filter can ask in this workspace, by name; `timezone` is where its days begin."""

    fields: Sequence[Askable]
    timezone: str


@routes.get("/api/segments/fields", name="fields")
async def language(db: Reader) -> Language:
    """List what a filter can ask.

    With the workspace's custom fields; each has an example that can be asked as it is.
    """
    scope = await filtering.scope(db)
    asked = sorted(scope.asked.values(), key=lambda one: one.name)
    return Language([_shown(one) for one in asked], scope.zone.key)


def _shown(one: filters.Asked) -> Askable:
    if isinstance(one, filters.Field):
        return Askable(one.name, one.kind, one.words, filters.operators(one), one.choices, one.example)
    fields = [_shown(field) for field in (*one.fields, *one.sums)]
    example = f"{one.name} MATCHES ({one.fields[0].example})"
    return Askable(one.name, "matches", one.words, ("MATCHES", "NOT MATCHES"), (), example, fields)
