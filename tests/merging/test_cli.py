"""supover customers merge, unmerge and split."""

from pathlib import Path

import httpx
import pytest

from supover.kit import ids
from supover.merging import cli
from tests.makers import Workspace, make_customer, make_order, told
from tests.merging.arrange import customer
from tests.terminal import Cli


@pytest.fixture
def supover(database: str, shop: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    monkeypatch.chdir(tmp_path)
    return Cli(cli.customers, database, shop)


async def test_two_are_looked_at_merged_and_by_themselves_again(supover: Cli, api: httpx.AsyncClient) -> None:
    ann = await make_customer(api, name="Ann", email="ann@one.com")
    twin = await make_customer(api, name="Twin", email="ann@two.com", tags=["x"])
    choices = ("--field", f"email={twin['id']}", "--field", "name=Ann Lee", "--field", "tags=y, z")
    dry = await supover.json("merge", ann["id"], twin["id"], *choices, "--dry-run")
    assert (dry["mergeId"], dry["fields"]["email"]["value"]) == (None, "ann@two.com")
    assert await customer(api, ann["id"]) == ann
    shown = await supover.run("merge", ann["id"], twin["id"], "--dry-run")
    assert "ann@one.com" in shown.stdout
    done = await supover.json("merge", ann["id"], twin["id"], *choices)
    now = await customer(api, ann["id"])
    assert (now["email"], now["name"], now["tags"]) == ("ann@two.com", "Ann Lee", ["y", "z"])
    again = await supover.run("merge", ann["id"], twin["id"], code=1)
    assert "was merged into" in again.stderr
    undone = await supover.json("unmerge", done["mergeId"])
    assert [one["id"] for one in undone["customers"]] == [ann["id"], twin["id"]]
    assert (await customer(api, twin["id"]))["email"] == "ann@two.com"
    [newest, *_] = told(await api.get("/api/audit?actor=cli"))["data"]
    assert newest["action"] == "merges.undo"
    [listed] = await supover.json("merges", twin["id"])
    assert (listed["id"], listed["primaryId"], listed["duplicateIds"]) == (done["mergeId"], ann["id"], [twin["id"]])
    assert done["mergeId"] in (await supover.run("merges")).stdout
    assert await supover.json("merges", str(ids.new())) == []


async def test_what_stands_in_the_way_ends_with_1_and_what_stays_with_3(supover: Cli, api: httpx.AsyncClient) -> None:
    ann = await make_customer(api, name="Ann", tags=[f"a{n}" for n in range(200)])
    twin = await make_customer(api, name="Twin", tags=[f"b{n}" for n in range(200)])
    dry = await supover.json("merge", ann["id"], twin["id"], "--dry-run", code=1)
    assert [one["code"] for one in dry["blockers"]] == ["too_many_tags"]
    refused = await supover.run("merge", ann["id"], twin["id"], code=1)
    assert "400 tags" in refused.stderr
    await supover.run("merge", ann["id"], twin["id"], "--field", "email", code=2)
    done = await supover.json("merge", ann["id"], twin["id"], "--field", "tags=one", "--field", "gender=f")
    told(await api.patch(f"/api/customers/{ann['id']}", json={"gender": "m"}))
    shown = await supover.run("unmerge", done["mergeId"], code=3)
    assert "gender: changed since" in shown.stdout
    missing = await supover.run("unmerge", str(ids.new()), code=1)
    assert "No merge with this id" in missing.stderr


async def test_everything_that_stands_in_the_way_is_said(supover: Cli, api: httpx.AsyncClient) -> None:
    ann, twin = [await make_customer(api, name=name) for name in ("Ann", "Twin")]
    for one in (ann, twin):
        told(await api.post(f"/api/customers/{one['id']}/privacy/erase", json={"delayDays": 7}), 202)
    shown = (await supover.run("merge", ann["id"], twin["id"], "--dry-run", code=1)).stdout
    assert shown.count("privacy_request_pending") == 2
    await make_customer(api, name="Third", email="third@one.com")
    refused = await supover.run("merge", ann["id"], twin["id"], "--field", "email=third@one.com", code=1)
    assert refused.stderr.count("is to erase this person") == 2
    assert "Choose by --field email=…" in refused.stderr


async def test_what_cannot_be_taken_is_said_in_the_words_of_the_command_line(
    supover: Cli, api: httpx.AsyncClient
) -> None:
    ann, twin = [await make_customer(api, name=name) for name in ("Ann", "Twin")]
    nobody = str(ids.new())
    twice = await supover.run("merge", ann["id"], twin["id"], twin["id"], code=2)
    assert twice.stderr == f"supover: DUPLICATE {twin['id']}: is named twice\n"
    unknown = await supover.run("merge", nobody, twin["id"], code=2)
    assert unknown.stderr == "supover: PRIMARY: There is no customer with this id.\n"
    field = await supover.run("merge", ann["id"], twin["id"], "--field", "phone=x", code=2)
    assert field.stderr == "supover: --field phone: must be a phone number\n"
    nothing = await supover.run("split", ann["id"], code=2)
    assert nothing.stderr.startswith("supover: --order: or --identity is needed")
    order = await supover.run("split", ann["id"], "--order", nobody, code=2)
    assert order.stderr == f"supover: --order {nobody}: is not this customer's\n"


async def test_counts_are_words(supover: Cli, api: httpx.AsyncClient) -> None:
    ann, twin = [await make_customer(api, name=name, email=f"{name}@one.com") for name in ("Ann", "Twin")]
    for _ in range(2):
        await make_order(api, twin)
    shown = (await supover.run("merge", ann["id"], twin["id"])).stdout
    assert "moved          orders 2, identities 1" in shown
    assert "{" not in shown
    [merge] = await supover.json("merges", ann["id"])
    assert merge["id"] in shown
    undone = (await supover.run("unmerge", merge["id"])).stdout
    assert "orders 2" in undone
    assert "{" not in undone


async def test_an_order_is_split_off(supover: Cli, api: httpx.AsyncClient) -> None:
    ann = await make_customer(api, name="Ann")
    order = await make_order(api, ann)
    done = await supover.json("split", ann["id"], "--order", order["id"], "--name", "Bob")
    assert (done["customer"]["name"], done["moved"]["orders"]) == ("Bob", 1)
    assert told(await api.get(f"/api/orders/{order['id']}"))["customerId"] == done["customer"]["id"]
