"""The nouns of addresses; `Address` itself stands with customers, whose lists show it."""

import msgspec
from msgspec import UNSET, UnsetType

from supover.customers.model import Address, AddressType
from supover.kit.problems import Conflict, NotFound, Stale

__all__ = ["Address", "AddressNotFound", "AddressStale", "NewAddress", "TooManyAddresses"]


class NewAddress(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """An address as it is typed in. `country` may be a code or a name, `state` too where the country has some.

    It must fit its country's rules unless `validationSkipped`. `recipientName` is the customer's name unless told. The
    first address of a type is its default; `isDefault` makes another one so, or none with false.
    """

    type: AddressType = "SHIPPING"
    is_default: bool | UnsetType = UNSET
    line1: str = ""
    line2: str | None = None
    city: str = ""
    state: str = ""
    postal_code: str = ""
    country: str = ""
    recipient_name: str | None = None
    phone: str | None = None
    validation_skipped: bool = False


class AddressNotFound(NotFound):
    """No address with this id at this customer."""


class AddressStale(Stale):
    """Somebody else has changed this address since it was read."""


class TooManyAddresses(Conflict):
    """This customer has as many addresses as there can be."""
