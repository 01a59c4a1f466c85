"""Customers from files: whose each row is, what it changes, what is told, and that all of it can be taken back."""

import asyncio
import csv
import io
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import httpx
import msgspec
import pytest

from supover import settings as configuration
from supover.imports import customer_commands, customer_trial, queries, routes
from supover.kit.db import Database
from tests.files.hostile import CORPUS
from tests.imports.customer_files import dump, imported, reverted, send, settle, take_in
from tests.makers import Json, Workspace, application, make_customer, make_order, make_workspace, pointers, shop, told

if TYPE_CHECKING:
    import asyncpg

__all__ = ["shop"]


@pytest.fixture(autouse=True)
def folder(db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where files are kept while this test runs."""
    state: Any = application(db).app.state
    here = msgspec.structs.replace(state.settings, storage_url=tmp_path.as_uri())
    monkeypatch.setattr(state, "settings", here)
    monkeypatch.setattr(configuration, "load", lambda: here)
    return tmp_path


Take = Any
EMAIL: Final = "must be an email address such as ann@example.com"


@pytest.fixture
def take(api: httpx.AsyncClient, db: Database, shop: Workspace, folder: Path) -> Take:
    """Imports a file to its end; the run."""
    return partial(imported, api, db, shop, folder)


async def all_customers(api: httpx.AsyncClient, include: str = "addresses") -> list[Json]:
    answer = await api.get(f"/api/customers?limit=200&include={include}&sort=createdAt")
    return sorted(told(answer)["data"], key=lambda c: c["id"])


async def one(api: httpx.AsyncClient, email: str) -> Json:
    [found] = told(await api.get("/api/customers", params={"email": email, "include": "addresses,identities,notes"}))[
        "data"
    ]
    return found


async def refused(api: httpx.AsyncClient, run: Json) -> list[list[str]]:
    answer = await api.get(f"/api/imports/{run['id']}/errors.csv")
    return list(csv.reader(io.StringIO(answer.text, newline="")))


# --- taken in ------------------------------------------------------------------------------------------------------------


async def test_rows_become_customers_with_address_tags_contacts_and_figures(api: httpx.AsyncClient, take: Take) -> None:
    run = await take(
        "email,name,phone,line1,city,state,postalCode,country,tags\n"
        'ann@mail.example,Ann Lee,+14155550123,1 Main St,Springfield,IL,62701,US,"vip; paris"\n'
        "bob@mail.example,Bob,,,,,,,\n"
    )
    assert (run["status"], run["created"], run["total"]) == ("completed", 2, 2)
    ann, bob = await all_customers(api)
    assert (ann["email"], ann["name"], ann["phone"], ann["country"], ann["tags"], ann["source"]) == (
        "ann@mail.example", "Ann Lee", "+14155550123", "US", ["vip", "paris"], "IMPORT",
    )  # fmt: skip
    [address] = ann["addresses"]
    assert (address["line1"], address["city"], address["state"], address["type"], address["isDefault"]) == (
        "1 Main St", "Springfield", "IL", "BOTH", True,
    )  # fmt: skip
    assert (address["recipientName"], address["validatedAt"], bob["addresses"]) == ("Ann Lee", None, [])
    assert {i["kind"] for i in (await one(api, "ann@mail.example"))["identities"]} == {"email", "phone"}
    spent = told(await api.get("/api/customers?sort=-totalSpent"))["data"]
    assert len(spent) == 2  # they have figures


async def test_the_same_file_again_changes_nothing(
    api: httpx.AsyncClient, db: Database, shop: Workspace, take: Take
) -> None:
    content = "email,name,line1,country,tags\nann@mail.example,Ann,1 Main St,US,a\n,Nobody,,,\n"
    await take(content.replace(",Nobody,,,\n", ""))
    before = await dump(db, shop)
    again = await take(content.replace(",Nobody,,,\n", ""))
    assert (again["created"], again["updated"], again["skipped"]) == (0, 0, 1)
    assert await dump(db, shop) == before


async def test_a_known_email_is_updated_in_any_case_and_empty_cells_empty_nothing(
    api: httpx.AsyncClient, take: Take
) -> None:
    ann = await make_customer(api, email="ann@mail.example", name="Ann", phone="+14155550123", tags=["old"])
    run = await take("email,name,phone,tags,line1\nANN@mail.example,Ann Lee,,new,1 Main St\n")
    assert (run["created"], run["updated"]) == (0, 1)
    now = await one(api, "ann@mail.example")
    assert (now["id"], now["name"], now["phone"], now["tags"]) == (ann["id"], "Ann Lee", "+14155550123", ["old", "new"])
    assert [a["line1"] for a in now["addresses"]] == ["1 Main St"]


async def test_a_taken_email_loses_no_row(api: httpx.AsyncClient, take: Take) -> None:
    ann = await make_customer(api, email="ann@mail.example", name="Ann")
    run = await take(
        "externalId,email,name\nC1,ann@mail.example,Anna Other\nC2,new@mail.example,Zoe\nC3,NEW@mail.example,Zoe Two\n"
    )
    assert (run["created"], run["failed"]) == (3, 0)
    others = [c for c in await all_customers(api) if c["id"] != ann["id"]]
    assert [(c["externalId"], c["email"]) for c in others] == [("C1", None), ("C2", "new@mail.example"), ("C3", None)]
    kept = told(await api.get(f"/api/customers/{others[0]['id']}/identities"))["data"]
    assert ("email", "ann@mail.example") in {(i["kind"], i["value"]) for i in kept}
    pairs = {frozenset((p["a"]["id"], p["b"]["id"])) for p in told(await api.get("/api/duplicates"))["data"]}
    assert pairs == {frozenset((ann["id"], others[0]["id"])), frozenset((others[1]["id"], others[2]["id"]))}


async def test_an_email_that_all_rows_share_suggests_a_few_pairs_only(api: httpx.AsyncClient, take: Take) -> None:
    run = await take("externalId,email,name\n" + "".join(f"C{n},shop@mail.example,Buyer {n}\n" for n in range(100)))
    assert (run["created"], run["failed"]) == (100, 0)
    assert len(told(await api.get("/api/duplicates?limit=200"))["data"]) == 20


async def test_a_contact_kept_beside_a_profile_is_moved_and_removed_like_any_other(
    api: httpx.AsyncClient, take: Take
) -> None:
    ann = await make_customer(api, email="ann@mail.example", name="Ann Lee")
    run = await take("externalId,email,name\n7,ann@mail.example,Bea\n8,ANN@mail.example,Cleo\n")
    assert run["created"] == 2
    bea, cleo = [c for c in await all_customers(api, "identities") if c["id"] != ann["id"]]

    async def emails(customer: Json) -> list[tuple[str, str, bool]]:
        found = told(await api.get(f"/api/customers/{customer['id']}/identities"))["data"]
        return [(i["value"], i["matchedBy"], i["isOwn"]) for i in found if i["kind"] == "email"]

    def beside(customer: Json) -> str:
        [found] = [i["id"] for i in customer["identities"] if i["kind"] == "email"]
        return f"/api/customers/{customer['id']}/identities/{found}"

    assert await emails(bea) == [("ann@mail.example", "import", False)]
    assert await emails(cleo) == [("ANN@mail.example", "import", False)]
    # Whose it is has it already, so it becomes one; the profiles that it stood beside say what they said.
    moved = told(await api.post(f"{beside(bea)}/move", json={"customerId": ann["id"]}))
    assert (moved["customerId"], moved["matchedBy"], moved["isOwn"]) == (ann["id"], "profile", True)
    assert (await api.delete(beside(cleo))).status_code == 204
    assert (await emails(bea), await emails(cleo)) == ([], [])
    assert await emails(ann) == [("ann@mail.example", "profile", True)]
    assert [(c["name"], c["email"], c["externalId"]) for c in await all_customers(api) if c["id"] != ann["id"]] == [
        ("Bea", None, "7"),
        ("Cleo", None, "8"),
    ]
    # One that a file adds beside a profile with another email goes to whoever it is moved to.
    await take("externalId,source,email\n7,IMPORT,bea@mail.example\n")
    await take("externalId,source,email\n7,IMPORT,ann@mail.example\n")
    assert ("ann@mail.example", "import", False) in await emails(bea)
    again = (await api.get(f"/api/customers/{bea['id']}/identities")).json()["data"]
    [kept] = [i["id"] for i in again if i["value"] == "ann@mail.example"]
    told(await api.post(f"/api/customers/{bea['id']}/identities/{kept}/move", json={"customerId": cleo["id"]}))
    assert await emails(bea) == [("bea@mail.example", "profile", True)]
    assert [(value, how) for value, how, _ in await emails(cleo)] == [("ann@mail.example", "moved")]


@pytest.mark.parametrize(
    ("mode", "created", "updated", "skipped", "name"),
    [("create", 1, 0, 1, "Ann"), ("update", 0, 1, 1, "New"), ("upsert", 1, 1, 0, "New")],
)
async def test_modes(
    api: httpx.AsyncClient, take: Take, mode: str, created: int, updated: int, skipped: int, name: str
) -> None:
    await make_customer(api, email="ann@mail.example", name="Ann")
    run = await take("email,name\nann@mail.example,New\nbob@mail.example,Bob\n", mode=mode)
    assert (run["created"], run["updated"], run["skipped"]) == (created, updated, skipped)
    assert (await one(api, "ann@mail.example"))["name"] == name


async def test_rows_are_known_by_phone_only_when_asked(api: httpx.AsyncClient, take: Take) -> None:
    await make_customer(api, phone="+14155550123", name="Ann")
    content = "phone,name\n(415) 555-0123,Ann Lee\n"
    assert (await take(content, country="US", dryRun="true"))["created"] == 1
    assert (await take(content, country="US", match="phone"))["updated"] == 1


async def test_commands_of_rows(api: httpx.AsyncClient, take: Take) -> None:
    for name in ("ann", "bob", "cy", "dee"):
        await make_customer(api, email=f"{name}@mail.example", name=name, phone="+14155550123", tags=["x", "y"])
    run = await take(
        "Command,email,name,phone,tags,Tags Command\n"
        "UPDATE,ann@mail.example,Ann,,x,REMOVE\n"
        "REPLACE,bob@mail.example,Bob,,z,\n"
        "DELETE,cy@mail.example,,,,\n"
        "IGNORE,dee@mail.example,Dee,,,\n"
        "NEW,dee@mail.example,Dee,,,\n"
        "NEW,eve@mail.example,Eve,,,\n"
        "UPDATE,nobody@mail.example,Nobody,,,\n"
        "MERGE,fay@mail.example,Fay,,q,\n"
    )
    assert (run["created"], run["updated"], run["skipped"], run["failed"]) == (2, 3, 3, 0)
    now = {c["email"]: c for c in await all_customers(api)}
    assert set(now) == {f"{n}@mail.example" for n in ("ann", "bob", "dee", "eve", "fay")}
    assert (now["ann@mail.example"]["tags"], now["ann@mail.example"]["phone"]) == (["y"], "+14155550123")
    assert (now["bob@mail.example"]["tags"], now["bob@mail.example"]["phone"], now["bob@mail.example"]["name"]) == (
        ["z"],
        None,
        "Bob",
    )
    assert now["dee@mail.example"]["name"] == "dee"


async def test_what_a_file_says_twice_counts_as_it_was_said_last(
    api: httpx.AsyncClient, take: Take, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(customer_commands, "CHUNK", 7)
    rows = [f"b{n % 10}@mail.example,Name {n},{n} Main St,US" for n in range(100)]
    run = await take("\n".join(["email,name,line1,country", *rows]) + "\n")
    assert (run["created"], run["updated"], run["failed"]) == (10, 90, 0)
    found = await all_customers(api)
    assert [(c["email"], c["name"], len(c["addresses"])) for c in found] == [
        (f"b{n}@mail.example", f"Name {90 + n}", 10) for n in range(10)
    ]


async def test_rows_below_a_customer_add_addresses_wherever_a_chunk_ends(
    api: httpx.AsyncClient, take: Take, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(customer_commands, "CHUNK", 4)
    lines = ["email,name,line1,city,addressCountry,isDefault"]
    for n in range(9):
        lines += [f",Nameless {n},{n}a St,X,DE,true", f",,{n}b St,X,DE,false", f",,{n}c St,X,DE,false"]
    lines += ["not-an-email,Z,1 St,X,DE,", ",,2 St,X,DE,"]
    run = await take("\n".join(lines) + "\n")
    assert (run["created"], run["updated"], run["failed"], run["total"]) == (9, 18, 2, 29)
    for n, customer in enumerate(await all_customers(api)):
        assert customer["name"] == f"Nameless {n}"
        assert [(a["line1"], a["isDefault"]) for a in sorted(customer["addresses"], key=lambda a: a["id"])] == [
            (f"{n}a St", True), (f"{n}b St", False), (f"{n}c St", False),
        ]  # fmt: skip
    assert [r[-3:-1] for r in await refused(api, run)][1:] == [
        ["email", "must be an email address such as ann@example.com"],
        ["", "the row above, whose address this is, was not taken"],
    ]


async def test_custom_fields_are_read_by_their_definitions(api: httpx.AsyncClient, take: Take) -> None:
    for body in (
        {"key": "points", "label": "Points", "type": "number"},
        {"key": "card", "label": "Card", "type": "text", "isUnique": True},
        {"key": "size", "label": "Size", "type": "choice", "choices": ["S", "M"], "isRequired": True},
    ):
        told(await api.post("/api/custom-fields", json=body), 201)
    run = await take(
        "email,Points,customFields.card,Size,customFields.free\n"
        "ann@mail.example,12,K1,S,hello\n"
        "bob@mail.example,many,K2,S,\n"
        "cy@mail.example,1,K1,M,\n"
        "dee@mail.example,1,K4,,\n"
    )
    assert (run["created"], run["failed"]) == (1, 3)
    assert (await one(api, "ann@mail.example"))["customFields"] == {
        "points": 12,
        "card": "K1",
        "size": "S",
        "free": "hello",
    }
    rejects = await refused(api, run)
    assert [r[-3] for r in rejects][1:] == ["customFields.points", "customFields.card", "customFields.size"]
    # A label that is a formula begins no cell of the file.
    assert rejects[3][-2] == "is required"
    again = await take(
        "email,customFields.card\nzed@mail.example,\nann@mail.example,K9\n", set='{"customFields.size": "M"}'
    )
    assert (again["created"], again["updated"]) == (1, 1)


async def test_an_import_may_unsubscribe_and_never_subscribes(api: httpx.AsyncClient, take: Take) -> None:
    ann = await make_customer(api, email="ann@mail.example")
    bob = await make_customer(api, email="bob@mail.example")
    for customer, said in ((ann, "SUBSCRIBED"), (bob, "UNSUBSCRIBED")):
        body = {"channel": "email", "topic": "marketing", "state": said}
        told(await api.put(f"/api/customers/{customer['id']}/communication-preferences", json=body))

    async def state(customer: Json) -> str:
        found = told(await api.get(f"/api/customers/{customer['id']}/communication-preferences"))["preferences"]
        return next(
            (p["state"] for p in found if (p["channel"], p["topic"]) == ("email", "marketing")), "NOT_SUBSCRIBED"
        )

    run = await take("email,Accepts Email Marketing\nann@mail.example,no\nbob@mail.example,yes\nnew@mail.example,yes\n")
    assert (await state(ann), await state(bob), run["consentsRefused"]) == ("UNSUBSCRIBED", "UNSUBSCRIBED", 2)
    assert await state(await one(api, "new@mail.example")) == "NOT_SUBSCRIBED"
    await take("email,Accepts Email Marketing\nbob@mail.example,yes\nnew2@mail.example,yes\n", consents="migration")
    assert await state(bob) == "UNSUBSCRIBED"
    assert await state(await one(api, "new2@mail.example")) == "SUBSCRIBED"


async def test_notes_come_once(api: httpx.AsyncClient, take: Take) -> None:
    for _ in range(2):
        await take("email,note\nann@mail.example,rings twice\n")
    assert [n["note"] for n in (await one(api, "ann@mail.example"))["notes"]] == ["rings twice"]


async def test_rows_as_json(api: httpx.AsyncClient, db: Database, shop: Workspace, folder: Path) -> None:
    row = {"email": "ann@mail.example", "tags": ["a,b", "c"], "customFields": {"x": 1}, "addresses": [
        {"line1": "1 Main St", "country": "US"}, {"line1": "2 Main St", "country": "US"}]}  # fmt: skip
    run = told(await api.post("/api/customers/import", json={"rows": [row], "tags": ["t"]}), 202)
    await take_in(db, shop, run, folder)
    ann = await one(api, "ann@mail.example")
    assert (ann["tags"], [a["line1"] for a in sorted(ann["addresses"], key=lambda a: a["id"])]) == (
        ["a,b", "c", "t"], ["1 Main St", "2 Main St"],
    )  # fmt: skip
    assert pointers(await api.post("/api/customers/import", json={"rows": [], "mood": "x"})) == ["/"]
    assert (await api.post("/api/customers/import", json=[1])).status_code == 422


# --- told ----------------------------------------------------------------------------------------------------------------


async def test_a_dry_run_tells_the_same_and_changes_nothing(
    api: httpx.AsyncClient, db: Database, shop: Workspace, take: Take, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(customer_commands, "CHUNK", 5)
    await make_customer(api, email="b3@mail.example", name="Name 3")
    await make_customer(api, email="b4@mail.example", name="Other")
    rows = [f"b{n % 12}@mail.example,Name {n % 12}" for n in range(30)] + ["nonsense,X"]
    content = "\n".join(["email,name", *rows]) + "\n"
    before = await dump(db, shop)
    trial = await take(content, dryRun="true")
    assert await dump(db, shop) == before
    run = await take(content)
    counted = ("created", "failed", "total")
    assert [trial[k] for k in counted] == [run[k] for k in counted] == [10, 1, 31]
    assert trial["updated"] + trial["skipped"] == run["updated"] + run["skipped"]
    assert trial["dryRun"] and not run["dryRun"]
    assert (await api.post(f"/api/imports/{trial['id']}/revert")).status_code == 409


async def test_what_a_row_only_adds_counts_as_an_update_in_a_dry_run_too(
    api: httpx.AsyncClient, db: Database, shop: Workspace, take: Take
) -> None:
    await take(
        "email,name,source,externalId\na@m.example,Ann,ETSY,e1\nb@m.example,Bob,ETSY,e2\nc@m.example,Cai,ETSY,e3\n"
    )
    files = {
        "a note": "email,note\na@m.example,called twice\nb@m.example,\n",
        "a contact": "email,source,externalId\na@m.example,SHOPIFY,s1\nb@m.example,ETSY,e2\n",
        "a place": "email,line1,city,postalCode,country\na@m.example,Torstr. 1,Berlin,10119,DE\nb@m.example,,,,\n",
        "a consent": "email,emailMarketing\na@m.example,no\nb@m.example,\n",
    }
    for what, content in files.items():
        before = await dump(db, shop)
        trial = await take(content, match="email", dryRun="true")
        assert await dump(db, shop) == before, what
        run = await take(content, match="email")
        assert (run["updated"], run["skipped"]) == (trial["updated"], trial["skipped"]) == (1, 1), what
        again = await take(content, match="email")
        # Who says no a second time says it of another day: the ledger has both.
        assert (again["updated"], again["skipped"]) == ((1, 1) if what == "a consent" else (0, 2)), what


async def test_opt_ins_that_a_file_may_not_make_are_counted_in_a_dry_run_too(take: Take) -> None:
    content = "email,name,emailMarketing\nnew@m.example,New,yes\nother@m.example,Other,no\n"
    trial = await take(content, dryRun="true")
    run = await take(content)
    assert trial["consentsRefused"] == run["consentsRefused"] == 1
    assert (trial["created"], run["created"]) == (2, 2)


async def test_refused_rows_come_back_in_the_files_own_columns(api: httpx.AsyncClient, take: Take) -> None:
    run = await take("E-Mail;Name;Note\nnonsense;=Ann;x\nok@mail.example;Ok;y;z\nbob@mail.example;Bob;\n")
    assert (run["created"], run["failed"]) == (1, 2)
    assert await refused(api, run) == [
        ["E-Mail", "Name", "Note", "row", "field", "reason", "reasons"],
        ["nonsense", "'=Ann", "x", "2", "email", EMAIL, f"email: {EMAIL}"],
        ["ok@mail.example", "Ok", "y", "3", "", *[(await refused(api, run))[2][-1]] * 2],
    ]


@pytest.mark.parametrize("dry_run", ["true", "false"])
async def test_a_refused_row_tells_all_of_its_mistakes(api: httpx.AsyncClient, take: Take, dry_run: str) -> None:
    run = await take("email,dateOfBirth,status\nx,soon,GOLD\nann@mail.example,,\n", dryRun=dry_run)
    assert (run["created"], run["failed"]) == (1, 1)
    date, status = "'soon' is not a date such as 1990-01-31", "'GOLD' is not one of ACTIVE, INACTIVE, BLOCKED, VIP"
    [header, row] = await refused(api, run)
    assert dict(zip(header[-4:], row[-4:], strict=True)) == {
        "row": "2",
        "field": "email",
        "reason": EMAIL,
        "reasons": f"email: {EMAIL}; dateOfBirth: {date}; status: {status}",
    }


async def test_all_required_custom_fields_that_a_row_lacks_are_told(api: httpx.AsyncClient, take: Take) -> None:
    for key in ("size", "shoe"):
        body = {"key": key, "label": key.title(), "type": "text", "isRequired": True}
        told(await api.post("/api/custom-fields", json=body), 201)
    run = await take("email\nann@mail.example\n")
    assert [r[-1] for r in await refused(api, run)][1:] == [
        "customFields.size: is required; customFields.shoe: is required"
    ]


@pytest.mark.parametrize("dry_run", ["true", "false"])
async def test_what_nobody_understands_of_rows_that_are_taken_is_told(
    api: httpx.AsyncClient, take: Take, monkeypatch: pytest.MonkeyPatch, dry_run: str
) -> None:
    monkeypatch.setattr(customer_commands, "CHUNK", 4)
    monkeypatch.setattr(customer_commands, "DOUBTS", 2)
    await make_customer(api, email="known@mail.example")
    run = await take(
        "email,country,phone\nann@mail.example,Frnace,12\nx,Ruritania,12\nknown@mail.example,Atlantis,\nbob@mail.example,GB,\n"
        + "".join(f"b{n}@mail.example,Nowhere,\n" for n in range(4)),
        dryRun=dry_run,
        mode="create",
    )
    # Who was left as they are has nothing of it.
    assert (run["created"], run["skipped"], run["failed"], run["doubtful"]) == (6, 1, 1, 5)
    assert len(await refused(api, run)) == 2
    answer = await api.get(f"/api/imports/{run['id']}/errors.csv?doubtful=true")
    found = list(csv.reader(io.StringIO(answer.text, newline="")))[1:]
    assert [row[3] for row in found] == ["2", "6", "7"], "of a chunk so many"
    country, phone = "'Frnace' is no country that we know", "'12' cannot be a phone number"
    kept = "; it is kept as it is"
    assert found[0] == [
        "ann@mail.example", "Frnace", "12", "2", "country", country + kept, f"country: {country}{kept}; phone: {phone}{kept}"
    ]  # fmt: skip
    again = await take("email,country\nann@mail.example,FR\n", dryRun=dry_run)
    assert again["doubtful"] == 0


async def test_a_trial_shows_whom_it_would_change_and_how(
    api: httpx.AsyncClient, db: Database, shop: Workspace, take: Take, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(customer_commands, "CHUNK", 3)
    ann = await make_customer(api, email="ann@mail.example", name="Ann", tags=["old"], country="DE")
    bob = await make_customer(api, email="bob@mail.example", name="Bob")
    await make_customer(api, email="cy@mail.example", name="Cy")
    body = {"channel": "email", "topic": "marketing", "state": "SUBSCRIBED"}
    told(await api.put(f"/api/customers/{bob['id']}/communication-preferences", json=body))
    content = (
        "email,name,tags,line1,city,note,emailMarketing,customFields.size\n"
        "ann@mail.example,Ann Lee,new,,,,,M\n"
        "cy@mail.example,Cy,,,,,,\n"
        "new@mail.example,New,,,,,no,\n"
        "bob@mail.example,,,1 Main St,Springfield,rings twice,no,\n"
        "new@mail.example,Newer,,,,,,\n"
        "ann@mail.example,Anna,,,,,,\n"
    )
    before = await dump(db, shop)
    trial = await take(content, dryRun="true")
    assert (trial["created"], trial["updated"], trial["skipped"]) == (1, 4, 1)
    assert await dump(db, shop) == before
    found = told(await api.get(f"/api/imports/{trial['id']}/customers"))
    assert found == {
        "data": [
            {
                "customerId": ann["id"],
                "outcome": "updated",
                "changes": {
                    "name": ["Ann", "Ann Lee"],
                    "tags": [["old"], ["old", "new"]],
                    "customFields.size": [None, "M"],
                },
            },
            {
                "customerId": bob["id"],
                "outcome": "updated",
                "changes": {
                    "address": [None, "1 Main St, Springfield"],
                    "note": [None, "rings twice"],
                    "emailMarketing": ["SUBSCRIBED", "UNSUBSCRIBED"],
                },
            },
        ],
        "nextCursor": None,
        "total": None,
    }


async def test_a_trial_shows_some_of_whom_it_would_change(api: httpx.AsyncClient, take: Take) -> None:
    await take("email,name\n" + "".join(f"b{n}@mail.example,Name {n}\n" for n in range(30)))
    trial = await take("email,name\n" + "".join(f"b{n}@mail.example,Other {n}\n" for n in range(30)), dryRun="true")
    assert trial["updated"] == 30
    found = told(await api.get(f"/api/imports/{trial['id']}/customers?limit=100"))["data"]
    assert len(found) == customer_trial.SAMPLE == 20
    assert found[0]["changes"] == {"name": ["Name 0", "Other 0"]}


async def test_columns_that_are_not_taken_and_whose_export_it_is_are_told(api: httpx.AsyncClient, take: Take) -> None:
    content = (
        "Customer ID,First Name,Last Name,Email,Accepts Email Marketing,Default Address Company,Default Address Address1,"
        "Default Address Address2,Default Address City,Default Address Province Code,Default Address Country Code,"
        "Default Address Zip,Default Address Phone,Phone,Accepts SMS Marketing,Total Spent,Total Orders,Note,Tax Exempt,Tags\n"
        "'7001,Ann,Lee,ann@mail.example,no,Acme,1 Main St,,Springfield,IL,US,62701,'+14155550123,'+14155550123,no,10.00,1,,no,vip\n"
    )
    run = await take(content)
    assert (run["preset"], run["created"]) == ("shopify", 1)
    assert "Total Spent" in run["ignoredColumns"]
    ann = await one(api, "ann@mail.example")
    assert (ann["externalId"], ann["source"], ann["phone"]) == ("7001", "SHOPIFY", "+14155550123")


async def test_options_that_cannot_be_are_refused_by_name(api: httpx.AsyncClient) -> None:
    async def sent(content: str = "email\na@b.example\n", **data: str) -> httpx.Response:
        return await api.post("/api/customers/import", files={"file": ("c.csv", content.encode())}, data=data)

    assert pointers(await sent(mode="replace")) == ["/mode"]
    assert pointers(await sent(match="name")) == ["/match"]
    assert pointers(await sent(map="[]")) == ["/map"]
    assert pointers(await sent(map='{"email": "E-Mial"}')) == ["map/email"]
    assert (await sent("colour,size\nred,M\n")).status_code == 422
    assert told(await api.get("/api/imports"))["data"] == []


async def test_events_tell_how_far_it_is(api: httpx.AsyncClient, take: Take) -> None:
    run = await take("email\na@mail.example\n")
    answer = await api.get(f"/api/imports/{run['id']}/events")
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert "event: end" in answer.text
    assert '"status":"completed"' in answer.text


async def test_who_was_made_and_changed_is_listed(
    api: httpx.AsyncClient, take: Take, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(customer_commands, "CHUNK", 3)
    ann = await make_customer(api, email="b1@mail.example", name="Ann")
    run = await take("email,name\n" + "".join(f"b{n}@mail.example,N{n}\n" for n in range(10)))
    found: list[Json] = []
    cursor = ""
    while True:
        page = told(await api.get(f"/api/imports/{run['id']}/customers?limit=4{cursor}"))
        found += page["data"]
        if page["nextCursor"] is None:
            break
        cursor = f"&cursor={page['nextCursor']}"
    assert [c["customerId"] for c in found] == [c["id"] for c in await all_customers(api)]
    [changed] = [c for c in found if c["outcome"] == "updated"]
    assert (changed["customerId"], changed["changes"]) == (ann["id"], {"name": ["Ann", "N1"]})


async def test_another_workspace_sees_none_of_it(
    api: httpx.AsyncClient, db: Database, shop: Workspace, take: Take
) -> None:
    run = await take("email\na@mail.example\n")
    other = await make_workspace(db)
    headers = {"Authorization": f"Bearer {other.key}"}
    for path in ("", "/customers", "/kept", "/errors.csv", "/events"):
        assert (await api.get(f"/api/imports/{run['id']}{path}", headers=headers)).status_code == 404
    assert (await api.post(f"/api/imports/{run['id']}/revert", headers=headers)).status_code == 404


# --- stopped, and gone on with -------------------------------------------------------------------------------------------


async def test_a_run_that_is_stopped_again_and_again_ends_as_one_that_was_not(
    api: httpx.AsyncClient, db: Database, shop: Workspace, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(customer_commands, "CHUNK", 20)
    await make_customer(api, email="b5@mail.example", name="There")
    rows = [f"b{n % 350}@mail.example,Name {n},{n} Main St,{'nonsense' if n % 50 == 7 else ''}" for n in range(400)]
    content = "\n".join(["email,name,line1,dateOfBirth", *rows]) + "\n"
    run = await send(api, content)
    taken = customer_commands._Pump._taken  # pyright: ignore[reportPrivateUsage]

    for stop in range(10):
        count = 0

        async def some(pump: Any, read: Any) -> None:
            nonlocal count
            count += 1
            if count > 1 + stop % 2:  # noqa: B023 - each of its own turn
                raise OSError("the machine is gone")
            await taken(pump, read)

        monkeypatch.setattr(customer_commands._Pump, "_taken", some)  # pyright: ignore[reportPrivateUsage]
        with pytest.raises(OSError, match="gone"):
            await take_in(db, shop, run, folder)
        assert told(await api.get(f"/api/imports/{run['id']}"))["status"] == "running"
    monkeypatch.setattr(customer_commands._Pump, "_taken", taken)  # pyright: ignore[reportPrivateUsage]
    await take_in(db, shop, run, folder)
    stopped = told(await api.get(f"/api/imports/{run['id']}"))
    found = [(c["email"], c["name"], sorted(a["line1"] for a in c["addresses"])) for c in await _listed(api)]
    other = await make_workspace(db)
    undisturbed = httpx.AsyncClient(
        transport=api._transport,  # pyright: ignore[reportPrivateUsage]
        base_url=api.base_url,
        headers={"Authorization": f"Bearer {other.key}"},
    )
    await make_customer(undisturbed, email="b5@mail.example", name="There")
    straight = await imported(undisturbed, db, other, folder, content)
    counted = ("status", "total", "created", "updated", "skipped", "failed")
    assert [stopped[k] for k in counted] == [straight[k] for k in counted]
    assert stopped["failed"] == 8
    assert found == [
        (c["email"], c["name"], sorted(a["line1"] for a in c["addresses"])) for c in await _listed(undisturbed)
    ]


async def _listed(api: httpx.AsyncClient) -> list[Json]:
    found: list[Json] = []
    cursor = ""
    while True:
        page = told(await api.get(f"/api/customers?limit=200&include=addresses&sort=email{cursor}"))
        found += page["data"]
        if page["nextCursor"] is None:
            return found
        cursor = f"&cursor={page['nextCursor']}"


async def test_a_cancelled_import_stops_before_its_next_chunk_and_goes_on_when_asked(
    api: httpx.AsyncClient, db: Database, shop: Workspace, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(customer_commands, "CHUNK", 10)
    run = await send(api, "email\n" + "".join(f"b{n}@mail.example\n" for n in range(100)))
    taken = customer_commands._Pump._taken  # pyright: ignore[reportPrivateUsage]

    async def then_cancelled(pump: Any, read: Any) -> None:
        await taken(pump, read)
        await api.post(f"/api/imports/{run['id']}/cancel")

    monkeypatch.setattr(customer_commands._Pump, "_taken", then_cancelled)  # pyright: ignore[reportPrivateUsage]
    await take_in(db, shop, run, folder)
    found = told(await api.get(f"/api/imports/{run['id']}"))
    assert found["status"] == "cancelled"
    assert 10 <= found["created"] < 100
    monkeypatch.setattr(customer_commands._Pump, "_taken", taken)  # pyright: ignore[reportPrivateUsage]
    assert told(await api.post(f"/api/imports/{run['id']}/resume"))["status"] == "queued"
    await take_in(db, shop, run, folder)
    found = told(await api.get(f"/api/imports/{run['id']}"))
    assert (found["status"], found["created"]) == ("completed", 100)


async def test_live_customers_with_the_same_emails_neither_double_nor_stop_it(
    api: httpx.AsyncClient, db: Database, shop: Workspace, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(customer_commands, "CHUNK", 25)
    run = await send(api, "email,name\n" + "".join(f"b{n}@mail.example,From file\n" for n in range(300)))
    live = [
        api.post("/api/orders", json={"externalId": str(n), "source": "API", "currency": "USD", "total": "1.00",
                                      "email": f"b{n}@mail.example", "placedAt": "2026-01-01T00:00:00Z"})
        for n in range(0, 300, 10)
    ]  # fmt: skip
    await asyncio.gather(take_in(db, shop, run, folder), *live)
    found = told(await api.get(f"/api/imports/{run['id']}"))
    assert (found["status"], found["created"] + found["updated"] + found["skipped"]) == ("completed", 300)
    listed = await _listed(api)
    assert len({c["email"] for c in listed}) == len(listed) == 300


# --- taken back ----------------------------------------------------------------------------------------------------------


async def test_a_reverted_import_was_never_there(
    api: httpx.AsyncClient, db: Database, shop: Workspace, take: Take, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(customer_commands, "CHUNK", 6)
    told(
        await api.post("/api/custom-fields", json={"key": "card", "label": "Card", "type": "text", "isIndexed": True}),
        201,
    )
    for n in range(8):
        await make_customer(
            api,
            email=f"b{n}@mail.example",
            name=f"Old {n}",
            phone=f"+1415555012{n}",
            tags=["a", "B"],
            customFields={"card": f"o{n}"},
        )
    before = await dump(db, shop)
    lines = ["externalId,email,name,phone,tags,status,line1,country,note,customFields.card,customFields.x"]
    lines += [
        f"C{n},b{n}@mail.example,New {n},+1415555019{n},b;c{n},{'BLOCKED' if n % 3 == 0 else 'VIP'},{n} Main St,US,said,n{n},1"
        for n in range(20)
    ]
    lines += ["C19,,Again,,z,,9 Other St,US,,,", "C3,,Thrice,,,,,,,,"]
    run = await take("\n".join(lines) + "\n", match="email")
    assert (run["created"], run["updated"]) == (12, 10)
    assert await dump(db, shop) != before
    back = await reverted(api, db, shop, run)
    assert (back["status"], back["removed"], back["kept"]) == ("reverted", 12, 0)
    assert await dump(db, shop) == before
    assert told(await api.post(f"/api/imports/{run['id']}/revert"))["status"] == "reverted"
    await settle(db, shop, UUID(run["id"]))
    again = await take("\n".join(lines) + "\n", match="email")
    assert (again["created"], again["updated"]) == (12, 10)


async def test_reverting_keeps_what_others_did_since_and_tells_it(
    api: httpx.AsyncClient, db: Database, shop: Workspace, take: Take
) -> None:
    old = await make_customer(api, email="old@mail.example", name="Old", tags=["a"])
    run = await take(
        "email,name,tags,line1,country\nold@mail.example,New,b,1 Main St,US\n"
        + "".join(f"{n}@mail.example,{n},,,\n" for n in ("ordered", "edited", "noted", "untouched"))
    )
    ordered = await one(api, "ordered@mail.example")
    await make_order(api, ordered)
    edited = await one(api, "edited@mail.example")
    told(await api.patch(f"/api/customers/{edited['id']}", json={"name": "By hand"}))
    noted = await one(api, "noted@mail.example")
    told(await api.post(f"/api/customers/{noted['id']}/notes", json={"note": "hello"}), 201)
    told(await api.patch(f"/api/customers/{old['id']}", json={"name": "By hand", "tags": ["a", "b", "mine"]}))
    [address] = (await one(api, "old@mail.example"))["addresses"]
    body = {
        "type": "BOTH",
        "line1": "1 Main Street",
        "city": "Springfield",
        "state": "IL",
        "postalCode": "62701",
        "country": "US",
    }
    told(await api.put(f"/api/customers/{old['id']}/addresses/{address['id']}", json=body))
    back = await reverted(api, db, shop, run)
    assert (back["status"], back["removed"], back["kept"]) == ("reverted", 1, 3)
    kept = {k["customerId"]: k for k in told(await api.get(f"/api/imports/{run['id']}/kept"))["data"]}
    assert {id: k["why"] for id, k in kept.items()} == {
        ordered["id"]: "orders", edited["id"]: "changed", noted["id"]: "changed", old["id"]: "changed",
    }  # fmt: skip
    assert kept[old["id"]]["fields"] == ["name"]
    now = await one(api, "old@mail.example")
    assert (now["name"], now["tags"], [a["line1"] for a in now["addresses"]]) == (
        "By hand",
        ["a", "mine"],
        ["1 Main Street"],
    )
    assert told(await api.get("/api/customers?count=true"))["total"] == 4


async def test_what_another_file_added_to_somebody_keeps_them_and_what_was_undone_does_not(
    api: httpx.AsyncClient, db: Database, shop: Workspace, take: Take
) -> None:
    first = await take(
        "email,name\n" + "".join(f"{n}@mail.example,{n}\n" for n in ("placed", "noted", "led", "renamed"))
    )
    second = await take(
        "email,externalId,source,name,line1,country,note\nplaced@mail.example,,,,1 Main St,US,\n"
        "noted@mail.example,,,,,,Said\nled@mail.example,L1,SHOPIFY,,,,\n",
        match="email",
    )
    undone = await take("email,name\nrenamed@mail.example,Other\n")
    assert (await reverted(api, db, shop, undone))["status"] == "reverted"
    back = await reverted(api, db, shop, first)
    assert (back["removed"], back["kept"]) == (1, 3)
    assert {c["email"] for c in await all_customers(api)} == {f"{n}@mail.example" for n in ("placed", "noted", "led")}
    await reverted(api, db, shop, second)
    found = {c["email"]: len(c["addresses"]) for c in await all_customers(api)}
    assert found == dict.fromkeys(found, 0)


async def test_who_stays_keeps_what_came_with_them(
    api: httpx.AsyncClient, db: Database, shop: Workspace, take: Take
) -> None:
    await make_customer(api, email="old@mail.example")
    run = await take(
        "externalId,source,email,note\n1,SHOP,new@mail.example,Said\n2,OTHER,new@mail.example,\n,,old@mail.example,Gone\n",
        match="email",
    )
    await make_order(api, await one(api, "new@mail.example"))
    back = await reverted(api, db, shop, run)
    assert (back["removed"], back["kept"]) == (0, 1)
    [stays] = [c for c in await all_customers(api, "notes,identities") if c["email"] != "old@mail.example"]
    assert [n["note"] for n in stays["notes"]] == ["Said"]
    assert {i["value"] for i in stays["identities"] if i["kind"] == "channel"} == {"1", "2"}
    assert (await one(api, "old@mail.example"))["notes"] == []


async def test_a_file_that_is_taken_back_has_subscribed_nobody(
    api: httpx.AsyncClient, db: Database, shop: Workspace, take: Take
) -> None:
    asked, again, ordered = [await make_customer(api, email=f"{n}@mail.example") for n in ("asked", "again", "other")]
    content = "email,emailMarketing\n" + "".join(f"{n}@mail.example,yes\n" for n in ("asked", "again", "new", "bought"))
    run = await take(content + "other@mail.example,no\n", consents="migration")
    assert run["consentsRefused"] == 0
    bought = await one(api, "bought@mail.example")
    await make_order(api, bought)
    said = {"channel": "email", "topic": "marketing", "state": "SUBSCRIBED", "source": "checkout"}
    told(await api.put(f"/api/customers/{again['id']}/communication-preferences", json=said))
    assert (await reverted(api, db, shop, run))["status"] == "reverted"
    states = {c: await _email_marketing(api, c) for c in (asked["id"], again["id"], bought["id"], ordered["id"])}
    assert states == {
        asked["id"]: "NOT_SUBSCRIBED", again["id"]: "SUBSCRIBED", bought["id"]: "NOT_SUBSCRIBED", ordered["id"]: "UNSUBSCRIBED",
    }  # fmt: skip
    assert (await take(content, consents="migration"))["consentsRefused"] == 1
    assert await _email_marketing(api, asked["id"]) == "SUBSCRIBED"


async def _email_marketing(api: httpx.AsyncClient, id: str) -> str:
    found = told(await api.get(f"/api/customers/{id}/communication-preferences"))["preferences"]
    return next(p["state"] for p in found if (p["channel"], p["topic"]) == ("email", "marketing"))


async def test_refused_rows_are_no_formulas_and_keep_their_columns(api: httpx.AsyncClient, take: Take) -> None:
    run = await take('email,=cmd|1,name\nnobody,"a\x1fb",=1+1\n')
    assert await refused(api, run) == [
        ["email", "'=cmd|1", "name", "row", "field", "reason", "reasons"],
        ["nobody", "a b", "'=1+1", "2", "email", EMAIL, f"email: {EMAIL}"],
    ]


async def test_large_refused_rows_are_sent_some_at_a_time(
    api: httpx.AsyncClient, take: Take, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "ERRORS_BYTES", 60_000)
    run = await take("email,name\n" + "".join(f"nobody,{n:05}{'x' * 995}\n" for n in range(130)))
    got: list[str] = []
    after, pages = "0", 0
    while rows := list(
        csv.reader(io.StringIO((await api.get(f"/api/imports/{run['id']}/errors.csv?after={after}")).text))
    )[1:]:
        got += [row[1][:5] for row in rows]
        after, pages = rows[-1][2], pages + 1
    assert got == [f"{n:05}" for n in range(130)]
    assert pages == 2


async def test_only_so_many_follow_at_a_time(
    api: httpx.AsyncClient, take: Take, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = await take("email\nann@mail.example\n")
    for _ in range(3):
        assert (await api.get(f"/api/imports/{run['id']}/events")).status_code == 200
    monkeypatch.setattr(routes, "FOLLOWERS_HERE", 0)
    refused = await api.get(f"/api/imports/{run['id']}/events")
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "5")


async def test_a_job_of_an_import_that_is_taken_back_takes_nothing_in(
    api: httpx.AsyncClient, db: Database, shop: Workspace, folder: Path
) -> None:
    run = await send(api, "email\nann@mail.example\n")
    async with db.tx(shop.id) as tx:
        await tx.run(
            "update import_run set status = 'failed', started_at = now() where workspace_id = $1 and id = $2",
            UUID(run["id"]),
        )
    told(await api.post(f"/api/imports/{run['id']}/revert"), 202)
    await take_in(db, shop, run, folder)
    assert await all_customers(api) == []


REFERRING: Final = """
    select r.conrelid::regclass::text, array_agg(a.attname order by k.place)
      from pg_constraint r
     cross join lateral unnest(r.conkey) with ordinality as k (attnum, place)
      join pg_attribute a on a.attrelid = r.conrelid and a.attnum = k.attnum
     where r.contype = 'f' and r.confrelid = 'data.customer'::regclass
     group by r.oid, r.conrelid"""


async def test_nothing_refers_to_a_customer_who_is_not_there(
    db: Database, shop: Workspace, take: Take, owner: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    """The references that an import leaves out of its inserts hold all the same, and hold when customers are unmade."""
    await take(
        "externalId,email,phone,name,line1,country,note\n"
        + "".join(f"C{n},b{n}@mail.example,,N,{n} St,US,x\n" for n in range(50))
    )
    referring = await owner.fetch(REFERRING)
    assert len(referring) > 10
    for table, columns in referring:
        id = columns[1]
        orphans = await owner.fetchval(
            f"select count(*) from {table} t where t.{id} is not null and not exists "
            f"(select 1 from data.customer c where c.workspace_id = t.workspace_id and c.id = t.{id})"
        )
        assert orphans == 0, table


async def test_who_is_unmade_takes_along_everything_that_is_kept_of_them(
    api: httpx.AsyncClient, db: Database, shop: Workspace, take: Take
) -> None:
    told(
        await api.post("/api/custom-fields", json={"key": "card", "label": "Card", "type": "text", "isUnique": True}),
        201,
    )
    await make_customer(api, email="taken@mail.example", name="Ann")
    before = await dump(db, shop)
    run = await take(
        "externalId,email,phone,name,line1,country,note,customFields.card,Accepts Email Marketing\n"
        "C1,taken@mail.example,,Anna,1 St,US,said,K1,\nC2,new@mail.example,+14155550123,Bob,2 St,US,,K2,no\n"
    )
    assert run["created"] == 2
    await settle(db, shop, UUID(run["id"]))
    back = await reverted(api, db, shop, run)
    assert (back["removed"], back["kept"]) == (2, 0)
    assert await dump(db, shop) == before
    # Whoever unsubscribed is written to by nobody, whatever becomes of the file.
    [suppressed] = told(await api.get("/api/suppressions"))["data"]
    assert suppressed["reason"] == "unsubscribed"


# --- hostile -------------------------------------------------------------------------------------------------------------


# Each of them is read by tests/files; every third is imported, and all are in soak.
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.soak) if n % 3 else name for n, name in enumerate(sorted(CORPUS))]
)
async def test_a_hostile_file_is_refused_in_words_or_adds_up(
    api: httpx.AsyncClient, db: Database, shop: Workspace, folder: Path, name: str
) -> None:
    answer = await api.post("/api/customers/import", files={"file": ("customers.csv", CORPUS[name].data())})
    if answer.status_code != 202:
        assert answer.status_code in (400, 413, 415, 422), answer.text
        assert answer.json()["detail"] or answer.json()["errors"]
        return
    run = answer.json()
    try:
        await take_in(db, shop, run, folder)
    except Exception:
        found = told(await api.get(f"/api/imports/{run['id']}"))
        assert (found["status"], bool(found["error"])) == ("failed", True)
    else:
        found = told(await api.get(f"/api/imports/{run['id']}"))
        assert found["status"].startswith("completed")
    assert found["created"] + found["updated"] + found["skipped"] + found["failed"] == found["done"]
    assert told(await api.get("/api/customers?count=true"))["total"] == found["created"]
