"""Addresses over HTTP: checked by their country's rules, one default a type."""

import asyncio
from typing import Any
from uuid import UUID

import httpx
import pytest

from supover.addresses import commands
from supover.channels.model import PostalAddress
from supover.kit import ids
from supover.kit.db import Database
from tests.makers import (
    Json,
    Workspace,
    client,
    make_address,
    make_customer,
    make_order,
    make_workspace,
    pointers,
    told,
)


@pytest.fixture
async def ann(api: httpx.AsyncClient) -> Json:
    return await make_customer(api, name="Ann Lee")


def path_of(customer: Json, address: Json | None = None) -> str:
    return f"/api/customers/{customer['id']}/addresses" + (f"/{address['id']}" if address else "")


async def defaults(api: httpx.AsyncClient, customer: Json) -> set[str]:
    """The first lines of the default addresses."""
    return {a["line1"] for a in told(await api.get(path_of(customer)))["data"] if a["isDefault"]}


async def test_an_address_is_checked_and_kept(api: httpx.AsyncClient, ann: Json) -> None:
    body = {
        "type": "BOTH", "line1": " 1600  Amphitheatre Pkwy", "line2": "", "city": "Mountain View", "state": "california",
        "postalCode": "94043", "country": "USA", "phone": "650-253-0000",
    }  # fmt: skip
    answer = await api.post(path_of(ann), json=body)
    address = told(answer, 201)
    assert address == {
        "id": address["id"],
        "customerId": ann["id"],
        "type": "BOTH",
        "isDefault": True,
        "line1": "1600 Amphitheatre Pkwy",
        "line2": None,
        "city": "Mountain View",
        "state": "CA",
        "postalCode": "94043",
        "country": "US",
        "recipientName": "Ann Lee",
        "phone": "650-253-0000",
        "validatedAt": address["validatedAt"],
        "validationSkipped": False,
        "createdAt": address["createdAt"],
        "updatedAt": address["createdAt"],
        "version": 1,
    }
    assert address["validatedAt"] is not None
    assert answer.headers["location"] == path_of(ann, address)
    assert answer.headers["etag"] == '"1"'
    read = await api.get(path_of(ann, address))
    assert (told(read), read.headers["etag"]) == (address, '"1"')
    assert told(await api.get(path_of(ann), params={"count": "true"})) == {
        "data": [address],
        "nextCursor": None,
        "total": 1,
    }


@pytest.mark.parametrize(
    ("place", "wrong"),
    [
        ({}, ["/country"]),
        ({"country": "Atlantis", "line1": "1", "city": "x"}, ["/country"]),
        ({"country": "US"}, ["/line1", "/city", "/state", "/postalCode"]),
        ({"country": "US", "line1": "1 A St", "city": "LA", "state": "Quebec", "postalCode": "90001"}, ["/state"]),
        ({"country": "US", "line1": "1 A St", "city": "LA", "state": "CA", "postalCode": "10001"}, ["/postalCode"]),
        ({"country": "US", "line1": "1 A St", "city": "LA", "state": "CA", "postalCode": "9000"}, ["/postalCode"]),
        ({"country": "GB", "line1": "1 A St", "city": "London", "postalCode": "12345"}, ["/postalCode"]),
        ({"country": "DE", "line1": "Torstr. 1", "city": "Berlin"}, ["/postalCode"]),
        ({"country": "DE", "line1": "Torstr. 1", "city": "Berlin", "postalCode": "1011"}, ["/postalCode"]),
        ({"country": "IN", "line1": "1", "city": "Mumbai", "state": "Bavaria", "postalCode": "400001"}, ["/state"]),
        (
            {"country": "BR", "line1": "Rua A 1", "city": "Springfield", "state": "SP", "postalCode": "01310-100"},
            ["/city"],
        ),
    ],
)
async def test_what_does_not_fit_its_country_is_named(
    api: httpx.AsyncClient, ann: Json, place: Json, wrong: list[str]
) -> None:
    assert pointers(await api.post(path_of(ann), json=place)) == wrong
    assert told(await api.get(path_of(ann)))["data"] == []
    kept = told(await api.post(path_of(ann), json=place | {"validationSkipped": True}), 201)
    assert (kept["validatedAt"], kept["validationSkipped"]) == (None, True)
    assert {k: kept[k] for k in place} == place, "as given"


@pytest.mark.parametrize(
    ("place", "state", "postal_code"),
    [
        ({"country": "IE", "line1": "1 Main St", "city": "Dublin"}, "", ""),
        (
            {"country": "EIRE", "line1": "1 Main St", "city": "Cork", "state": "Anywhere", "postalCode": "T12 X70A"},
            "Anywhere",
            "T12 X70A",
        ),
        ({"country": "HK", "line1": "1 Queen's Road", "state": "Kowloon"}, "Kowloon", ""),
        ({"country": "AE", "line1": "Villa 1", "state": "Dubai"}, "Dubai", ""),
        ({"country": "SG", "line1": "1 Orchard Rd", "postalCode": "238823"}, "", "238823"),
        ({"country": "Panama", "line1": "Calle 1", "city": "Panamá"}, "", ""),
        (
            {
                "country": "UK",
                "line1": "10 Downing St",
                "city": "London",
                "state": "Greater London",
                "postalCode": "sw1a 2aa",
            },
            "Greater London",
            "SW1A 2AA",
        ),
        (
            {"country": "CA", "line1": "1 Rue A", "city": "Montréal", "state": "Quebec", "postalCode": "h2x 1y4"},
            "QC",
            "H2X 1Y4",
        ),
        (
            {
                "country": "Brasil",
                "line1": "Rua A 1",
                "city": "sao paulo",
                "state": "São Paulo",
                "postalCode": "01310-100",
            },
            "SP",
            "01310-100",
        ),
        ({"country": "JP", "line1": "1-1 Chiyoda", "state": "Tokyo", "postalCode": "100-0001"}, "Tokyo", "100-0001"),
        (
            {"country": "IN", "line1": "1 MG Road", "city": "Bengaluru", "state": "karnataka", "postalCode": "560001"},
            "Karnataka",
            "560001",
        ),
        (
            {"country": "MX", "line1": "Calle 1", "city": "Guadalajara", "state": "jalisco", "postalCode": "44100"},
            "Jalisco",
            "44100",
        ),
        (
            {"country": "ES", "line1": "Calle 1", "city": "Alicante", "state": "Alicante", "postalCode": "03001"},
            "A",
            "03001",
        ),
        ({"country": "XK", "line1": "Rruga 1", "city": "Prishtina", "postalCode": "10000"}, "", "10000"),
    ],
)
async def test_countries_have_their_own_rules(
    api: httpx.AsyncClient, ann: Json, place: Json, state: str, postal_code: str
) -> None:
    address = told(await api.post(path_of(ann), json=place), 201)
    assert (address["state"], address["postalCode"]) == (state, postal_code)
    assert address["validatedAt"] is not None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("line1", "x" * 201),
        ("line2", "x" * 201),
        ("city", "x" * 101),
        ("state", "x" * 101),
        ("postalCode", "1" * 21),
        ("country", "x" * 101),
        ("recipientName", "x" * 201),
        ("phone", "1" * 65),
        ("type", "HOME"),
        ("isDefault", 1),
        ("id", "x"),
        ("matchKey", "x"),
        ("validatedAt", "2026-01-01T00:00:00Z"),
        ("line1", None),
    ],
)
async def test_what_cannot_be_taken_is_named(api: httpx.AsyncClient, ann: Json, field: str, value: Any) -> None:
    body = {"line1": "x", "validationSkipped": True, field: value}
    [pointer] = pointers(await api.post(path_of(ann), json=body))
    assert pointer in (f"/{field}", "")
    assert told(await api.get(path_of(ann)))["data"] == []


# --- defaults --------------------------------------------------------------------------------------------------------


async def test_the_first_of_a_type_is_its_default(api: httpx.AsyncClient, ann: Json) -> None:
    made = [
        await make_address(api, ann, line1=f"{n}", type=t)
        for n, t in enumerate(("SHIPPING", "SHIPPING", "BILLING", "BOTH"))
    ]
    assert [a["isDefault"] for a in made] == [True, False, True, False]


async def test_both_is_the_default_of_both(api: httpx.AsyncClient, ann: Json) -> None:
    for n, type in enumerate(("SHIPPING", "BILLING")):
        await make_address(api, ann, line1=f"{n}", type=type)
    both = await make_address(api, ann, line1="2", type="BOTH", is_default=True)
    assert await defaults(api, ann) == {"2"}
    billing = await make_address(api, ann, line1="3", type="BILLING")
    assert billing["isDefault"] is False, "the address of both types stands for billing too"
    await api.post(path_of(ann, billing) + "/default")
    assert await defaults(api, ann) == {"3"}
    assert told(await api.post(path_of(ann, both) + "/default"))["isDefault"] is True
    assert await defaults(api, ann) == {"2"}


async def test_making_a_default_is_idempotent(api: httpx.AsyncClient, ann: Json) -> None:
    await make_address(api, ann, line1="1")
    second = await make_address(api, ann, line1="2")
    made = told(await api.post(path_of(ann, second) + "/default"))
    assert (made["isDefault"], made["version"]) == (True, 2)
    assert told(await api.post(path_of(ann, second) + "/default")) == made
    assert await defaults(api, ann) == {"2"}


async def test_of_many_made_the_default_at_once_one_is(api: httpx.AsyncClient, ann: Json) -> None:
    made = [await make_address(api, ann, line1=f"{n}") for n in range(5)]
    answers = await asyncio.gather(*(api.post(path_of(ann, a) + "/default") for a in made))
    assert {a.status_code for a in answers} == {200}
    assert len(await defaults(api, ann)) == 1
    bo = await make_customer(api)
    answers = await asyncio.gather(
        *(api.post(path_of(bo), json={"line1": f"{n}", "validationSkipped": True}) for n in range(5))
    )
    assert {a.status_code for a in answers} == {201}
    assert len(await defaults(api, bo)) == 1


async def test_put_replaces_an_address_and_leaves_the_default_unless_told(api: httpx.AsyncClient, ann: Json) -> None:
    first, second = await make_address(api, ann, line1="1"), await make_address(api, ann, line1="2")
    place = {"line1": "1a", "city": "Berlin", "postalCode": "10119", "country": "DE"}
    new = told(await api.put(path_of(ann, first), json=place, headers={"If-Match": '"1"'}))
    assert new == first | {
        "line1": "1a",
        "updatedAt": new["updatedAt"],
        "validatedAt": new["validatedAt"],
        "version": 2,
    }
    assert (await api.put(path_of(ann, first), json=place, headers={"If-Match": '"1"'})).status_code == 412
    assert pointers(await api.put(path_of(ann, first), json=place | {"postalCode": "1"})) == ["/postalCode"]
    told(await api.put(path_of(ann, second), json=place | {"line1": "2", "isDefault": True}))
    assert await defaults(api, ann) == {"2"}
    told(await api.put(path_of(ann, second), json=place | {"line1": "2", "isDefault": False}))
    assert await defaults(api, ann) == set()


async def test_a_default_that_changes_its_type_takes_its_place_there(api: httpx.AsyncClient, ann: Json) -> None:
    shipping = await make_address(api, ann, line1="1")
    await make_address(api, ann, line1="2", type="BILLING")
    place = {"line1": "1", "city": "Berlin", "postalCode": "10119", "country": "DE", "type": "BOTH"}
    assert told(await api.put(path_of(ann, shipping), json=place))["isDefault"] is True
    assert await defaults(api, ann) == {"1"}


async def test_a_removed_default_leaves_none_and_the_next_new_one_is(api: httpx.AsyncClient, ann: Json) -> None:
    first = await make_address(api, ann, line1="1")
    await make_address(api, ann, line1="2")
    assert (await api.delete(path_of(ann, first), headers={"If-Match": '"9"'})).status_code == 412
    assert (await api.delete(path_of(ann, first))).status_code == 204
    assert (await api.get(path_of(ann, first))).status_code == 404
    assert (await api.delete(path_of(ann, first))).status_code == 404
    assert await defaults(api, ann) == set()
    assert (await make_address(api, ann, line1="3"))["isDefault"] is True


async def test_an_address_belongs_to_its_customer(api: httpx.AsyncClient, db: Database, ann: Json) -> None:
    bo, address = await make_customer(api, name="Bo"), await make_address(api, ann)
    place = {"line1": "1", "validationSkipped": True}
    other = await make_workspace(db)
    async with client(db, other.key) as stranger:
        for who, owner in ((api, bo), (stranger, ann)):
            for method, below, body in (
                ("GET", "", None),
                ("PUT", "", place),
                ("DELETE", "", None),
                ("POST", "/default", None),
            ):
                answer = await who.request(method, path_of(owner, address) + below, json=body)
                assert answer.status_code == 404, (method, below)
        assert (await stranger.get(path_of(ann))).status_code == 404
        assert (await stranger.post(path_of(ann), json=place)).status_code == 404
    assert told(await api.get(path_of(ann, address))) == address
    assert (await api.get(f"/api/customers/{ids.new()}/addresses")).status_code == 404
    await api.delete(f"/api/customers/{ann['id']}")
    assert (await api.get(path_of(ann, address))).status_code == 404


async def test_addresses_are_paged_newest_first_and_bounded(
    api: httpx.AsyncClient, db: Database, shop: Workspace, ann: Json
) -> None:
    async with db.tx(shop.id) as tx:
        many = [(UUID(ann["id"]), PostalAddress(line1=f"{n} Main St", country="US")) for n in range(205)]
        assert await commands.keep_many(tx, many) == 200
    problem = told(await api.post(path_of(ann), json={"line1": "x", "validationSkipped": True}), 409)
    assert problem["type"].endswith("/too-many-addresses")
    seen: list[str] = []
    cursor: str | None = None
    while True:
        page = told(await api.get(path_of(ann), params={"limit": 60} | ({"cursor": cursor} if cursor else {})))
        seen += [a["id"] for a in page["data"]]
        if (cursor := page["nextCursor"]) is None:
            break
    assert len(seen) == len(set(seen)) == 200
    assert seen == sorted(seen, reverse=True)


async def test_what_happens_to_addresses_is_told_without_what_they_say(api: httpx.AsyncClient, ann: Json) -> None:
    address = await make_address(api, ann)
    await api.put(path_of(ann, address), json={"line1": "Torstr. 2", "validationSkipped": True})
    await api.delete(path_of(ann, address))
    entries = told(await api.get(f"/api/customers/{ann['id']}/timeline"))["data"]
    told_of = [(e["type"], e["data"]) for e in entries if e["type"].startswith("Address")]
    assert told_of == [(k, {"addressId": address["id"]}) for k in ("AddressRemoved", "AddressChanged", "AddressAdded")]
    [audit] = [
        row
        for row in told(await api.get("/api/audit", params={"subjectId": address["id"]}))["data"]
        if row["action"] == "addresses.replace"
    ]
    assert ("line1", "Torstr. 1", "Torstr. 2") in [(c["field"], c["old"], c["new"]) for c in audit["changes"]]


# --- what comes with orders ------------------------------------------------------------------------------------------


async def test_a_place_that_comes_with_an_order_is_kept_once(api: httpx.AsyncClient) -> None:
    place = {
        "line1": "1600 Amphitheatre Pkwy.",
        "city": "Mountain View",
        "state": "CA",
        "postalCode": "94043",
        "country": "US",
    }
    order = await make_order(api, email="ann@x.org", name="Ann Lee", shipping_address=place)
    customer = {"id": order["customerId"]}
    same = place | {"line1": "1600 AMPHITHEATRE pkwy", "postalCode": "94043 "}
    await make_order(api, email="ann@x.org", shipping_address=same)
    await make_order(api, email="ann@x.org", shipping_address=place | {"line1": "1 Nowhere", "postalCode": "10001"})
    addresses = told(await api.get(path_of(customer)))["data"]
    assert [(a["line1"], a["isDefault"], a["validatedAt"] is not None, a["recipientName"]) for a in addresses] == [
        ("1 Nowhere", False, False, "Ann Lee"),
        ("1600 Amphitheatre Pkwy.", True, True, "Ann Lee"),
    ]


async def test_keeping_many_sees_its_own_batch_and_what_is_there(
    api: httpx.AsyncClient, db: Database, shop: Workspace, ann: Json
) -> None:
    bo = await make_customer(api, name="Bo")
    await make_address(api, bo, line1="Torstr. 1", type="BILLING")
    a, b = UUID(ann["id"]), UUID(bo["id"])
    berlin = PostalAddress(line1="Torstr. 1", city="Berlin", postal_code="10119", country="DE")
    potsdam = PostalAddress(
        line1="Am Markt 1", city="Potsdam", postal_code="14467", country="DE", recipient_name="Cleo"
    )
    async with db.tx(shop.id) as tx:
        assert (
            await commands.keep_many(
                tx, [(a, berlin), (b, berlin), (a, potsdam), (a, berlin), (b, potsdam), (b, PostalAddress())]
            )
            == 3
        )
        assert await commands.keep_many(tx, [(a, berlin), (b, potsdam)]) == 0
        assert await commands.keep_many(tx, []) == 0
    shown = [
        (x["line1"], x["type"], x["isDefault"], x["recipientName"]) for x in told(await api.get(path_of(ann)))["data"]
    ]
    assert sorted(shown) == [("Am Markt 1", "SHIPPING", False, "Cleo"), ("Torstr. 1", "SHIPPING", True, "Ann Lee")]
    assert await defaults(api, bo) == {"Torstr. 1", "Am Markt 1"}, "one default for billing, one for shipping"


async def test_a_large_batch_is_kept_unchecked(api: httpx.AsyncClient, db: Database, shop: Workspace) -> None:
    people = [UUID((await make_customer(api, name=f"N{n}"))["id"]) for n in range(3)]
    place = {"city": "Berlin", "postal_code": "10119", "country": "DE"}
    async with db.tx(shop.id) as tx:
        many = [(people[n % 3], PostalAddress(line1=f"Torstr. {n}", **place)) for n in range(201)]
        assert await commands.keep_many(tx, many) == 201
    for person in people:
        listed = told(await api.get(path_of({"id": person}), params={"limit": 200}))["data"]
        assert len(listed) == 67
        assert {a["validatedAt"] for a in listed} == {None}
        assert sum(a["isDefault"] for a in listed) == 1
