"""What the shop's buyers said about being written to, what else is known of them, and how the staff look at them."""

from collections.abc import Mapping, Sequence
from random import Random
from typing import Final

from supover.consent import commands as consent
from supover.consent.model import Entry, Said
from supover.customers import commands as customers
from supover.customers import custom_fields
from supover.customers.custom_field_model import NewCustomField
from supover.customers.model import CustomerChange
from supover.demo.rules import Told
from supover.kit.db import Tx
from supover.orders.model import Taken
from supover.segments import commands as segments
from supover.segments import views
from supover.segments.model import NewSegment, NewView

FIELDS: Final = (
    NewCustomField(key="shirt_size", label="Shirt size", type="choice", choices=("S", "M", "L", "XL")),
    NewCustomField(key="member_since", label="Club member since", type="date", is_indexed=True),
    NewCustomField(key="favourite_room", label="Favourite room", type="text"),
)
ROOMS: Final = ("kitchen", "bedroom", "study", "balcony")
EMAIL: Final[Mapping[Said, int]] = {"SUBSCRIBED": 55, "PENDING": 4, "UNSUBSCRIBED": 9}
"""How many of a hundred said so; the others were never asked."""
SEGMENTS: Final = (
    NewSegment(name="Germany, more than 200", filter="customer_countries CONTAINS 'DE' AND amount_spent > 200"),
    NewSegment(
        name="Good once, long gone", filter="rfm_group IN ('AT_RISK', 'PREVIOUSLY_LOYAL') AND amount_spent > 100"
    ),
    NewSegment(name="Club members", filter="custom.member_since IS NOT NULL"),
)
VIEWS: Final = (
    NewView(name="VIPs by value", query="status=VIP&sort=-totalSpent", is_shared=True),
    NewView(name="Blocked", query="status=BLOCKED", is_shared=True),
)


async def tell(tx: Tx, seed: object, found: Sequence[tuple[Told, Taken]]) -> None:
    """Consents, custom fields, segments and views, as they would have come to be."""
    dice = Random(f"{seed}/wishes")  # noqa: S311  tells a story, guards nothing
    first = {taken.customer_id: told.order for told, taken in reversed(found) if taken.customer_id is not None}
    people = sorted(first)
    said: list[Entry] = []
    for id in people:
        order = first[id]
        asked: list[Said | None] = [*EMAIL, None]
        state = dice.choices(asked, [*EMAIL.values(), 100 - sum(EMAIL.values())])[0]
        if state is not None and order.contact.email:
            said.append(
                Entry(
                    customer_id=id, channel="email", topic="marketing", state=state, opt_in_level="SINGLE_OPT_IN",
                    source="checkout", at=order.placed_at,
                )
            )  # fmt: skip
        if order.contact.phone and dice.random() < 0.25:
            said.append(
                Entry(
                    customer_id=id, channel="sms", topic="marketing", state="SUBSCRIBED", opt_in_level="CONFIRMED_OPT_IN",
                    source="checkout", at=order.placed_at,
                )
            )  # fmt: skip
    await consent.record(tx, said)
    for field in FIELDS:
        await custom_fields.create(tx, field)
    for id in dice.sample(people, min(80, len(people))):
        known = {"shirt_size": dice.choice("SML"), "favourite_room": dice.choice(ROOMS)}
        if dice.random() < 0.5:
            known["member_since"] = first[id].placed_at.date().isoformat()
        await customers.change(tx, id, CustomerChange(custom_fields=known))
    for segment in SEGMENTS:
        await segments.create(tx, segment)
    group = await segments.create(tx, NewSegment(name="Invited to the open day", kind="manual"))
    await segments.pick(tx, group.id, dice.sample(people, min(40, len(people))))
    for view in VIEWS:
        await views.create(tx, view)
