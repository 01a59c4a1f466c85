"""The condition that a list of customers is narrowed by, as its parts, of which some have a name and a form of their own."""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from supover.kit import filters
from supover.kit.filters.model import Asked
from supover.web import segment_rows
from supover.web.segment_rows import Fixed, Group, Looked, Row

Part = Row | Looked | Fixed | Group

FORMS: Final[Mapping[str, tuple[str, str]]] = {
    "rfmGroup": ("rfm_group", "IN"),
    "churnRisk": ("churn_risk", "IN"),
    "lastOrderFrom": ("last_order_date", ">="),
    "lastOrderTo": ("last_order_date", "<="),
}
"""What has a form: its field, and how that is compared."""


class Condition(msgspec.Struct, frozen=True):
    """What must hold together, over what can be asked."""

    parts: Sequence[Part]
    asked: Mapping[str, Asked]

    @classmethod
    def read(cls, written: str, scope: filters.Scope) -> "Condition":
        """The parts of a text. Raises FilterInvalid."""
        filters.parse(written, scope)
        rows = segment_rows.from_text(written, scope.asked)
        return cls(rows.parts if rows.by == "and" else [rows], scope.asked)

    def told(self, part: Part) -> tuple[str, list[str]]:
        """The name of a part and its values; one without a form is a 'filter', and its text the value."""
        if isinstance(part, Row):
            op = "IN" if part.op == "=" else part.op
            is_shown = op == "IN" or all(segment_rows.DAY.fullmatch(value) for value in part.values)
            for name, form in FORMS.items():
                if form == (part.field, op) and is_shown:
                    return name, part.values
        return "filter", [self._written([part])]

    def without(self, part: Part) -> str:
        """The text without one of the parts."""
        return self._written([one for one in self.parts if one is not part])

    def replaced(self, name: str, row: Row | None) -> str:
        """The text with this row in place of those that have the form of this name."""
        others = [one for one in self.parts if self.told(one)[0] != name]
        return self._written([*others, row] if row else others)

    def _written(self, parts: Sequence[Part]) -> str:
        alone = parts[0] if len(parts) == 1 else None
        return segment_rows.to_text(alone if isinstance(alone, Group) else Group(parts=list(parts)), self.asked)


def replaced(written: str, scope: filters.Scope, name: str, values: Sequence[str]) -> str:
    """A condition with these values in the form of this name, or without that part where there are none."""
    field, op = FORMS[name]
    row = Row(field=field, op=op, values=list(values)) if values else None
    try:
        return (Condition.read(written, scope) if written.strip() else Condition((), scope.asked)).replaced(name, row)
    except filters.FilterInvalid:
        # What cannot be read stays, so that the list says why.
        return written
