"""The nouns of the demo."""

from uuid import UUID

import msgspec


class FirstRun(msgspec.Struct, frozen=True, rename="camel"):
    """How to get into an installation. `email` and `password` are empty where somebody else has set it up."""

    workspace_id: UUID
    api_key: str
    email: str
    password: str


class Filled(msgspec.Struct, frozen=True, rename="camel"):
    """What a fill did: orders by outcome, and the customers that were made for them."""

    orders: int
    created: int
    updated: int
    unchanged: int
    customers_created: int
