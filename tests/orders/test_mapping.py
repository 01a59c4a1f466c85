"""Which customer an order belongs to."""

from uuid import UUID

import pytest

from supover.channels.model import PostalAddress
from supover.customers.contacts import HUB_CUSTOMERS, HUB_NAMES
from supover.kit import ids
from supover.kit.db import Database
from tests.makers import Workspace
from tests.orders.arrange import an_order, take

METHOD = "select method from order_decision where workspace_id = $1 and order_id = $2 order by id desc limit 1"
CUSTOMERS = "select count(*) from customer where workspace_id = $1"
PAIRS = "select level, reasons from duplicate_pair where workspace_id = $1"


async def method(db: Database, shop: Workspace, order: UUID | None) -> str:
    async with db.reader(shop.id) as reader:
        return await reader.value(METHOD, order)


async def customers(db: Database, shop: Workspace) -> int:
    async with db.reader(shop.id) as reader:
        return await reader.value(CUSTOMERS)


async def pairs(db: Database, shop: Workspace) -> list[tuple[str, list[str]]]:
    async with db.reader(shop.id) as reader:
        return [(level, reasons) for level, reasons in await reader.rows(PAIRS)]


async def test_the_channels_buyer_id_leads_to_one_customer_whatever_the_email(db: Database, shop: Workspace) -> None:
    [first] = await take(db, shop, an_order("1", external_id_of_buyer="b1", email="ann@one.com"))
    [second] = await take(db, shop, an_order("2", external_id_of_buyer="b1", email="ann@two.com"))
    assert first.customer_created and not second.customer_created
    assert second.customer_id == first.customer_id
    assert await method(db, shop, second.order_id) == "channel_identity"


async def test_the_same_buyer_id_of_another_shop_is_somebody_else(db: Database, shop: Workspace) -> None:
    [first] = await take(db, shop, an_order("1", external_id_of_buyer="b1", shop="a"))
    [second] = await take(db, shop, an_order("1", external_id_of_buyer="b1", shop="b"))
    assert second.customer_id != first.customer_id


async def test_a_real_email_leads_to_its_customer_in_any_spelling_of_the_same_mailbox(
    db: Database, shop: Workspace
) -> None:
    [first] = await take(db, shop, an_order("1", email="Ann.Lee@gmail.com", name="Ann Lee"))
    [second] = await take(db, shop, an_order("2", source="ETSY", email="annlee+shop@googlemail.com", name="Ann Lee"))
    assert second.customer_id == first.customer_id
    assert await method(db, shop, second.order_id) == "email"


async def test_a_real_phone_leads_to_its_customer_only_with_a_compatible_first_name(
    db: Database, shop: Workspace
) -> None:
    [first] = await take(db, shop, an_order("1", phone="+1 212 555 0123", name="Ann Lee", country="US"))
    [same] = await take(db, shop, an_order("2", phone="(212) 555-0123", name="Anna Lee", country="US"))
    [other] = await take(db, shop, an_order("3", phone="212-555-0123", name="Robert Lee", country="US"))
    [nameless] = await take(db, shop, an_order("4", phone="212-555-0123", country="US"))
    assert same.customer_id == first.customer_id
    assert await method(db, shop, same.order_id) == "phone"
    assert other.customer_id not in (first.customer_id, None)
    assert nameless.customer_id not in (first.customer_id, other.customer_id, None)


@pytest.mark.parametrize(
    "contact",
    [
        {"email": "abc123@marketplace.amazon.com"},
        {"email": "a***@gmail.com"},
        {"email": "noreply@shop.com"},
        {"phone": "(+1)415*****78"},
        {"phone": "0000000000"},
    ],
)
async def test_relay_masked_and_placeholder_contacts_never_match(
    db: Database, shop: Workspace, contact: dict[str, str]
) -> None:
    place = PostalAddress(line1="1 Main St", postal_code="62701", country="US")
    [first] = await take(db, shop, an_order("1", name="Ann Lee", address=place, **contact))
    [second] = await take(db, shop, an_order("2", name="Ann Lee", address=place, **contact))
    assert first.customer_id is not None and second.customer_id is not None
    assert first.customer_id != second.customer_id


async def test_an_order_without_any_identity_has_no_customer_and_waits_for_review(
    db: Database, shop: Workspace
) -> None:
    [taken] = await take(db, shop, an_order("1", name="J***", phone="*****", email="j***@x.com"))
    assert taken.customer_id is None
    assert await method(db, shop, taken.order_id) == "none"
    async with db.reader(shop.id) as reader:
        assert await reader.value(
            'select needs_review from "order" where workspace_id = $1 and id = $2', taken.order_id
        )
    assert await customers(db, shop) == 0


async def test_an_order_of_nobody_finds_its_customer_when_its_source_says_more(db: Database, shop: Workspace) -> None:
    [first] = await take(db, shop, an_order("1"))
    [again] = await take(db, shop, an_order("1", email="ann@one.com"))
    assert (first.customer_id, again.outcome) == (None, "updated")
    assert again.customer_id is not None
    async with db.reader(shop.id) as reader:
        assert not await reader.value(
            'select needs_review from "order" where workspace_id = $1 and id = $2', first.order_id
        )


async def test_orders_of_one_batch_see_each_others_new_customers(db: Database, shop: Workspace) -> None:
    taken = await take(
        db,
        shop,
        an_order("1", external_id_of_buyer="b1", email="ann@one.com", name="Ann"),
        an_order("2", source="ETSY", email="ann@one.com", name="Ann"),
        an_order("3", external_id_of_buyer="b1"),
        an_order("4", email="bob@one.com", name="Bob"),
    )
    assert taken[0].customer_id == taken[1].customer_id == taken[2].customer_id != taken[3].customer_id
    assert await customers(db, shop) == 2


async def test_when_contacts_point_at_two_customers_the_buyer_id_wins_and_the_pair_is_suggested(
    db: Database, shop: Workspace
) -> None:
    [ann] = await take(db, shop, an_order("1", external_id_of_buyer="b1", name="Ann Lee"))
    [by_email] = await take(db, shop, an_order("2", source="ETSY", email="ann@one.com", name="Ann Lee"))
    [both] = await take(db, shop, an_order("3", external_id_of_buyer="b1", email="ann@one.com", name="Ann Lee"))
    assert both.customer_id == ann.customer_id != by_email.customer_id
    assert await pairs(db, shop) == [("automatic", ["same email", "first names go together"])]


async def test_the_same_name_and_address_without_a_contact_in_common_is_suggested_not_matched(
    db: Database, shop: Workspace
) -> None:
    place = PostalAddress(line1="12 Elm Street", city="Springfield", state="IL", postal_code="62701", country="US")
    [first] = await take(
        db, shop, an_order("1", email="ann@one.com", name="Ann Lee", address=place, shipping_address=place)
    )
    [second] = await take(
        db, shop, an_order("2", email="ann@two.com", name="Ann Lee", address=place, shipping_address=place)
    )
    assert first.customer_id != second.customer_id
    assert await pairs(db, shop) == [("suggested", ["same address", "first names go together"])]


async def test_a_shops_own_email_on_everybodys_orders_becomes_a_hub_and_stops_matching(
    db: Database, shop: Workspace
) -> None:
    names = [f"{first} Smith" for first in NAMES]
    taken = [
        (await take(db, shop, an_order(str(n), email="orders@myshop.com", name=name)))[0]
        for n, name in enumerate(names)
    ]
    [last] = await take(db, shop, an_order("last", email="orders@myshop.com", name="Zebulon Smith"))
    [after] = await take(db, shop, an_order("after", email="orders@myshop.com", name="Quentin Smith"))
    assert len({t.customer_id for t in taken[:HUB_NAMES]}) == 1
    assert len({taken[0].customer_id, last.customer_id, after.customer_id}) == 3
    assert await pairs(db, shop) == []


NAMES = (
    "Alice Boris Carla Dmitri Elena Farid Greta Hugo Ingrid Jorge Katya Liam Mona Nadia Oscar Petra Rosa Stefan Tamara "
    "Umberto Viola Wanda Xavier Yusuf"
).split()


async def test_a_phone_that_many_customers_hold_is_no_key(db: Database, shop: Workspace) -> None:
    phone = "+12125550123"
    for n in range(HUB_CUSTOMERS + 1):
        await take(db, shop, an_order(str(n), phone=phone, name=f"{NAMES[n]} X", external_id_of_buyer=f"b{n}"))
    [taken] = await take(db, shop, an_order("last", phone=phone, name=f"{NAMES[0]} X"))
    assert taken.customer_created


async def test_an_unknown_customer_id_refuses_that_order_alone(db: Database, shop: Workspace) -> None:
    refused, kept = await take(db, shop, an_order("1", customer_id=ids.new()), an_order("2", email="ann@one.com"))
    assert (refused.outcome, refused.order_id) == ("failed", None)
    assert refused.error == "There is no customer with this customerId."
    assert kept.outcome == "created"


async def test_blank_fields_of_a_known_customer_are_filled_and_others_kept(db: Database, shop: Workspace) -> None:
    [first] = await take(db, shop, an_order("1", external_id_of_buyer="b1", name="Ann Lee"))
    await take(
        db,
        shop,
        an_order(
            "2", external_id_of_buyer="b1", name="A. Lee", email="ann@one.com", phone="+12125550123", country="US"
        ),
    )
    async with db.reader(shop.id) as reader:
        [row] = await reader.rows(
            "select name, email, phone_e164, country from customer where workspace_id = $1 and id = $2",
            first.customer_id,
        )
    assert tuple(row) == ("Ann Lee", "ann@one.com", "+12125550123", "US")


async def test_two_orders_of_a_new_buyer_at_the_same_time_make_one_customer(db: Database, shop: Workspace) -> None:
    import asyncio

    found = await asyncio.gather(*(take(db, shop, an_order(str(n), email="ann@one.com", name="Ann")) for n in range(8)))
    assert len({t.customer_id for [t] in found}) == 1
    assert await customers(db, shop) == 1
