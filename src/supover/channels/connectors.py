"""The platforms that can be connected, and what each can do."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec

from supover.channels.model import Envelope, Said
from supover.channels.shopify import parse, verify


class Connector(msgspec.Struct, frozen=True):
    """A platform: how it names a shop, what its deliveries' headers say, how it signs, and what its messages mean.

    `read(topic, body, shop)` raises Unreadable. `pointers` are its names of the fields of an order.
    """

    shop: Callable[[str], str]
    envelope: Callable[[Mapping[bytes, bytes]], Envelope]
    is_signed: Callable[[Sequence[bytes], bytes, Envelope], bool]
    read: Callable[[str, bytes, str], Said]
    pointers: Mapping[str, str]


CONNECTORS: Final[Mapping[str, Connector]] = {
    "SHOPIFY": Connector(verify.shop, verify.envelope, verify.is_signed, parse.read, parse.POINTERS)
}
