"""Takes a picture of every page of the demo shop, light, dark and on a phone; `make docs` does.

`python -m tests.web.pictures orders settings-` takes those alone whose names begin so, and lets the others be.
"""

import asyncio
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Final
from urllib.parse import urlencode
from uuid import UUID

import httpx
from PIL import Image
from playwright.async_api import Browser

from supover.kit import clock
from tests.web import crawl, routine, sites, staff_day
from tests.web.sites import Person

GUIDE: Final = Path(__file__).parents[2] / "docs/guide"
FOLDER: Final = GUIDE / "screens"
LOOKS: Final = {"light": (False, False), "dark": (True, False), "phone": (False, True)}
VIEWS: Final = {
    "orders-review": "/orders?needsReview=true",
    "orders-rate": "/orders?rateMissing=true",
    "orders-shipped": "/orders?status=shipped",
    "insights-cohorts-revenue": "/insights/cohorts?metric=revenue",
    "insights-cohorts-ltv": "/insights/cohorts?metric=cumulativeLtv",
    "insights-map-us": "/insights/map?country=US",
    "settings-inbox-dead": "/settings/inbox?status=dead",
}
"""Pages as somebody has narrowed them; of a list its name with `-one` is the first that it leads to."""
MORE: Final = {
    "customers": "/customers?sort=-lastOrderDate",
    "customers-filtered": "/customers?status=VIP&country=US&sort=-totalSpent",
    "customers-palette": "/customers",
    "customers-keys": "/customers",
    "segments-new": "/segments/new?" + urlencode({"filter": "number_of_orders >= 2 AND last_order_date >= -90d"}),
    "exports-new": "/exports/new?kind=customers&status=VIP",
    "problem": f"/customers/{UUID(int=0)}",
    "sign-in": "/sign-in",
}
"""Pages that no link leads to, or that show more when they are asked so."""
PRESSED: Final = {"customers-palette": "Control+k", "customers-keys": "?"}
"""The key that opens what the picture is of."""
OPENING_MS: Final = 500
# The browser of a picture draws no scroll bar, but would keep its place.
STYLE: Final = "html { scrollbar-gutter: auto !important }"
PATIENCE_S: Final = 180
FIRST: Final = re.compile(r'<td class="who"><a[^>]* href="([^"?]+)"')


@contextmanager
def demo() -> Generator[tuple[str, Person]]:
    """The whole house with its demo shop, in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="supover-pictures-") as folder, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        env = {**os.environ, "SUPOVER_DATA_DIR": folder, "SUPOVER_PORT": str(port), "SUPOVER_LOG_LEVEL": "error"}
        process = subprocess.Popen([sys.executable, "-m", "supover.cli", "up"], env=env, stdout=subprocess.DEVNULL)
        try:
            url, until = f"http://127.0.0.1:{port}", clock.monotonic_s() + PATIENCE_S
            while clock.monotonic_s() < until and not _is_ready(url):
                pass
            local = json.loads((Path(folder) / "local.json").read_text())
            yield url, Person(local["email"], local["password"])
        finally:
            process.terminate()
            process.wait(30)


def _is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health/ready", timeout=1).status_code == 200
    except httpx.HTTPError:
        return False


async def kinds(url: str, person: Person) -> dict[str, str]:
    """A page of each kind by its name, those that a click in the list leads to."""
    async with httpx.AsyncClient(base_url=url, headers={"Sec-Fetch-Site": "same-origin"}, timeout=60) as web:
        await web.post("/sign-in", data={"email": person.email, "password": person.password})
        found = await crawl.crawl(web)
        views = {name: (path, (await web.get(path)).text) for name, path in VIEWS.items()}
        await web.post("/sign-out")
    paths = [one.path for one in found if one.status == 200 and "<!doctype html>" in one.text and "?" not in one.path]
    narrowed = {name: path for name, (path, _) in views.items()}
    firsts = {f"{name}-one": first[1] for name, (_, text) in views.items() if (first := FIRST.search(text))}
    return {_name(path): path for path in paths} | narrowed | firsts


def _name(path: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", crawl.kind(path).replace("ID", "one")).strip("-") or "home"


async def take(browser: Browser, url: str, person: Person, pages: dict[str, str]) -> None:
    """Pictures of these pages in every look."""
    for look, (dark, phone) in LOOKS.items():
        async with sites.visiting(browser, url, person, dark=dark, phone=phone) as visit:
            visit.expected.append("404")
            for name, path in pages.items():
                await visit.go(path)
                if key := PRESSED.get(name):
                    await visit.page.keyboard.press(key)
                    await visit.page.wait_for_timeout(OPENING_MS)
                with Image.open(BytesIO(await visit.page.screenshot(style=STYLE))) as picture:
                    # Even ground packs better, and stays what it was, without loss.
                    picture.save(FOLDER / f"{name}-{look}.webp", lossless=True, method=6)


async def main() -> None:
    """Takes them all, or those whose names begin as is told; of all, those of pages that are no more go."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with demo() as (url, person):
        await routine.day(url, person)
        shown = await staff_day.spend(url, person)
        begins = tuple(sys.argv[1:]) or ("",)
        pages = {
            name: path for name, path in (await kinds(url, person) | MORE | shown).items() if name.startswith(begins)
        }
        for old in FOLDER.glob("*.webp"):
            if "" in begins:
                old.unlink()
        async for browser in sites.chromium():
            await take(browser, url, person, pages)
    sys.stdout.write(f"{len(pages)} pages in {FOLDER}\n")


if __name__ == "__main__":
    asyncio.run(main())
