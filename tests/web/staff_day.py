"""What the demo shop's staff do before pictures are taken, through the forms that they would use."""

import asyncio
import csv
import io
import re
from collections.abc import Iterable, Sequence
from typing import Final

import httpx

from supover.kit import clock
from tests.web.crawl import ID
from tests.web.sites import Person

FAIR: Final = [
    ("Name", "E-mail", "Telephone", "Land", "Interests"),
    ("Clara Neumann", "clara.neumann@fair.example", "+49 30 5551 0101", "DE", "trade fair, lamps"),
    ("Jonas Albrecht", "jonas.albrecht@fair.example", "+49 89 5551 0102", "DE", "trade fair"),
    ("Élodie Marchand", "elodie.marchand@fair.example", "+33 1 55 51 01 03", "FR", "trade fair, mugs"),
    ("Nguyễn Thị Lan", "lan.nguyen@fair.example", "+84 24 5551 0104", "VN", "trade fair, wholesale"),
    ("Tom Whitfield", "tom.whitfield@fair", "+44 20 7946 0105", "GB", "trade fair"),
    ("Sofia Lindqvist", "sofia.lindqvist@fair.example", "+46 8 5551 0106", "SE", "trade fair, lamps"),
    ("Marek Nowak", "marek.nowak", "call the office", "PL", "trade fair"),
    ("Grace Okafor", "grace.okafor@fair.example", "+44 20 7946 0108", "Grt. Britan", "trade fair, wholesale"),
    ("Paul Weber", "paul.weber@fair.example", "+43 1 5551 0109", "AT", "trade fair"),
    ("Ines Carvalho", "ines.carvalho(at)fair.example", "+351 21 555 0110", "PT", "trade fair, mugs"),
    ("Hannah Brandt", "hannah.brandt@fair.example", "+49 40 5551 0111", "DE", "trade fair"),
    ("Luca Moretti", "luca.moretti@fair.example", "+39 02 5551 0112", "IT", "trade fair, lamps"),
]
"""Cards that were collected at a trade fair; some were hard to read."""
SAID: Final = [
    ("email", "marketing", "SUBSCRIBED", "phone call"),
    ("sms", "marketing", "UNSUBSCRIBED", "reply to a message"),
    ("email", "surveys", "PENDING", "checkout"),
]
ROW: Final = re.compile(rf'id="row-({ID.pattern})"')
PAIR: Final = re.compile(rf'href="(/merges/pairs/{ID.pattern})')
STAYS: Final = re.compile(rf'name="primaryId" value="({ID.pattern})"')
GROUP: Final = re.compile(rf'href="(/segments/{ID.pattern})"')
PATIENCE_S: Final = 60


async def spend(url: str, person: Person) -> dict[str, str]:
    """A day's work; the pages that show best what was done, by their names."""
    async with httpx.AsyncClient(base_url=url, headers={"Sec-Fetch-Site": "same-origin"}, timeout=60) as web:
        await _send(web, "/sign-in", email=person.email, password=person.password)
        shown = await _work(web)
        await _send(web, "/sign-out")
    return shown


async def _work(web: httpx.AsyncClient) -> dict[str, str]:
    best, *rest = ROW.findall((await web.get("/customers?status=VIP&sort=-totalSpent")).text)
    person, gone = f"/customers/{best}", f"/customers/{rest.pop()}"
    await _look_after(web, person)
    done = await _import(web, "trade-fair-paris.csv", FAIR[:7])
    await _send(web, f"{done}/start")
    await _until_done(web, done)
    # Some of those of Paris were in Berlin, too, with another number on their cards.
    met_again = ((name, email, phone.replace(" 01", " 02"), *rest) for name, email, phone, *rest in FAIR[1:])
    trial = await _import(web, "trade-fair-berlin.csv", [FAIR[0], *met_again])
    await _send(web, "/exports", kind="customers", format="xlsx", status="VIP")
    await _send(web, "/exports", kind="orders", format="parquet")
    await _review(web)
    await _send(web, "/customers/group", name="Invite to the spring preview", id=rest[:12])
    await _send(web, "/customers/bulk", action="tag", tags="spring preview", id=rest[:12])
    await _send(web, f"{gone}/delete")
    [group] = GROUP.findall((await web.get("/segments?kind=manual&search=spring")).text)
    tabs = {f"customers-one-{tab}": f"{person}/{tab}" for tab in ("timeline", "contacts", "consent")}
    return {
        "customers-one": person, **tabs, "customers-deleted": gone, "imports-trial": trial, "imports-one": done,
        "imports-one-customers": f"{done}/customers", "segments-group": group,
    }  # fmt: skip


async def _look_after(web: httpx.AsyncClient, person: str) -> None:
    """A tag, a note and what they said of being written to."""
    await _send(web, f"{person}/tags", tags="wholesale")
    await _send(web, f"{person}/notes", note="Asks for the new catalogue each spring: send it along.", pinned="true")
    for channel, topic, state, source in SAID:
        await _send(web, f"{person}/consent", channel=channel, topic=topic, state=state, source=source, proof="")


async def _import(web: httpx.AsyncClient, name: str, rows: Iterable[Sequence[str]]) -> str:
    """Drops a file and waits for its trial; the page of it."""
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    answer = await web.post("/imports", data={"kind": "customers"}, files={"file": (name, text.getvalue(), "text/csv")})
    run = answer.headers["location"]
    await _until_done(web, run)
    return run


async def _until_done(web: httpx.AsyncClient, run: str) -> None:
    until = clock.monotonic_s() + PATIENCE_S
    while 'aria-busy="false"' not in (await web.get(f"{run}/progress")).text:
        assert clock.monotonic_s() < until, run
        await asyncio.sleep(0.2)


async def _review(web: httpx.AsyncClient) -> None:
    """Goes through the first pairs that may be one person."""
    *same, father = list(dict.fromkeys(PAIR.findall((await web.get("/merges")).text)))[:4]
    for pair in same:
        [stays] = STAYS.findall((await web.get(pair)).text)
        await _send(web, f"{pair}/accept", primaryId=stays)
    await _send(web, f"{father}/dismiss", note="Father and son.")


async def _send(web: httpx.AsyncClient, to: str, **form: str | list[str]) -> None:
    answer = await web.post(to, data=form)
    assert answer.status_code == 303, f"{to}: {answer.status_code} {answer.text[:500]}"
