"""The segment language: a condition on customers, written as text.

`amount_spent > 1000 AND NOT (customer_tags CONTAINS 'wholesale') AND last_order_date >= -90d`

Rooms declare what can be asked (`Field`, `Function`), wiring registers it. `grammar` reads text into a tree, `check` binds
it to fields and values, `compile` makes one parameterised condition of it, `words` says it in plain words.

Two-valued: a comparison with a value that is not there is false, and NOT makes it true.
"""

from supover.kit.filters.check import operators, parse
from supover.kit.filters.compile import condition, conditions
from supover.kit.filters.model import (
    Asked,
    Condition,
    Field,
    FilterInvalid,
    Function,
    Kind,
    Scope,
    Tree,
    register,
    registered,
)
from supover.kit.filters.words import Wording, describe

__all__ = [
    "Asked",
    "Condition",
    "Field",
    "FilterInvalid",
    "Function",
    "Kind",
    "Scope",
    "Tree",
    "Wording",
    "condition",
    "conditions",
    "describe",
    "operators",
    "parse",
    "register",
    "registered",
]
