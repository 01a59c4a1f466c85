"""The screens, as a browser and as a plain client see them."""

import asyncio
import contextlib
import re
import shutil
import socket
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any, Final

import httpx
import msgspec
import pytest
from granian.constants import Interfaces
from granian.server.embed import Server
from playwright.async_api import Browser, BrowserContext, Page, async_playwright, expect

from supover.access import commands
from supover.access.model import NewStaff, operator
from supover.access.permissions import Role
from supover.kit import ids
from supover.kit.db import Database
from tests.makers import Workspace, application, client

PASSWORD: Final = "correct horse battery"
CHROMIUM: Final = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
AXE: Final = Path(__file__).parent.parent.parent / "node_modules/axe-core/axe.min.js"
EVERYTHING: Final[dict[str, object]] = {
    "type": "tag",
    "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
}
OF_A_LOOK: Final[dict[str, object]] = {
    "type": "rule",
    "values": ["color-contrast", "link-in-text-block", "scrollable-region-focusable", "target-size"],
}
"""What depends on colours and on the size of the window."""
CHOOSE: Final = "(theme) => { localStorage.setItem('theme', theme); dispatchEvent(new Event('theme')); }"
STILL: Final = """async () => {
    await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
    const moving = document.getAnimations().filter((one) => one.effect.getTiming().iterations !== Infinity);
    await Promise.allSettled(moving.map((one) => one.finished));
}"""
WIDE: Final = {"width": 1360, "height": 860}
PHONE: Final = {"width": 390, "height": 844}
LOOKS: Final = [
    pytest.param(
        dark, phone, id=f"{'dark' if dark else 'light'}-{'phone' if phone else 'wide'}", marks=pytest.mark.soak
    )
    for dark in (False, True)
    for phone in (False, True)
]
"""Dark or not, on a phone or not: what `make soak` looks at in all four. Each page as it comes is looked at whenever tests
run (test_every_look.py), and so are the stories."""


class Person(msgspec.Struct, frozen=True):
    """A member of staff who can sign in."""

    email: str
    password: str


async def make_person(db: Database, shop: Workspace, role: Role = "owner") -> Person:
    """A member of this workspace."""
    new = NewStaff(email=f"{role}-{ids.new().hex}@shop.example", name=f"The {role}", role=role)
    async with db.tx(shop.id, actor="cli") as tx:
        await commands.add_staff(tx, operator(shop.id), new, PASSWORD)
    return Person(new.email, PASSWORD)


@contextlib.asynccontextmanager
async def signed_in(db: Database, shop: Workspace, role: Role = "owner") -> AsyncGenerator[httpx.AsyncClient]:
    """A browser without scripts: follows nothing by itself, sends forms as from this site's own pages."""
    person = await make_person(db, shop, role)
    async with client(db) as browser:
        browser.headers["Sec-Fetch-Site"] = "same-origin"
        answer = await browser.post("/sign-in", data={"email": person.email, "password": person.password})
        assert answer.status_code == 303, answer.text
        yield browser


async def serve(db: Database) -> AsyncGenerator[str]:
    """The whole application at an address of this machine."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = Server(application(db), port=port, interface=Interfaces.ASGINL, log_enabled=False, websockets=False)
    serving = asyncio.create_task(server.serve())
    async with httpx.AsyncClient() as asking:
        for _ in range(200):
            with contextlib.suppress(httpx.HTTPError):
                if (await asking.get(f"http://127.0.0.1:{port}/health/live")).status_code == 200:
                    break
            await asyncio.sleep(0.05)
    yield f"http://127.0.0.1:{port}"
    server.stop()
    await serving


async def chromium() -> AsyncGenerator[Browser]:
    """A browser without a window."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        await browser.close()


class Visit:
    """Somebody at a browser. What the console complains of and who else is asked is kept, and must be nothing at the end."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        self.complaints: list[str] = []
        self.expected: list[str] = []
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", self._request)
        page.on("dialog", lambda dialog: self.complaints.append(f"dialog: {dialog.message}"))

    def _console(self, message: Any) -> None:
        if message.type in ("error", "warning") and not any(re.search(one, message.text) for one in self.expected):
            self.complaints.append(message.text)

    def _request(self, request: Any) -> None:
        if not request.url.startswith((self.url, "data:", "blob:")):
            self.complaints.append(f"asked elsewhere: {request.url}")

    async def go(self, path: str) -> None:
        """Opens a page and waits for what it asks for by itself."""
        await self.page.goto(self.url + path)
        await expect(self.page.locator(".htmx-request")).to_have_count(0)

    async def look(self, *, dark: bool, phone: bool) -> None:
        """Chooses dark or light, and turns the window into a phone's or a wide one."""
        await self.page.set_viewport_size(PHONE if phone else WIDE)  # pyright: ignore[reportArgumentType]
        if self.page.url != "about:blank":
            await self.page.evaluate(CHOOSE, "dark" if dark else "light")

    async def faults(self, rules: dict[str, object] = EVERYTHING) -> list[str]:
        """Violations of accessibility, and what is wider than the window, once nothing moves any more.

        What is found is looked for again: on a busy machine a colour may not have arrived yet.
        """
        wrong = await self._faults(rules)
        if not wrong:
            return []
        await self.page.wait_for_timeout(500)
        return await self._faults(rules)

    async def _faults(self, rules: dict[str, object]) -> list[str]:
        await expect(self.page.locator(".htmx-request")).to_have_count(0)
        await self.page.evaluate(STILL)
        found: Any = await self.page.evaluate(
            "(rules) => axe.run({runOnly: rules, resultTypes: ['violations']})", rules
        )
        wrong = [
            f"{one['id']}: {one['help']} {[node['html'][:200] for node in one['nodes']][:3]}"
            for one in found["violations"]
        ]
        width: int = await self.page.evaluate("() => document.documentElement.scrollWidth - innerWidth")
        return wrong + ([f"{width} pixels wider than the window"] if width > 0 else [])

    async def tour(self, path: str) -> list[str]:
        """Looks at a page light and wide, then dark and on a phone, then opens all that is folded or hidden; what was wrong.

        That takes as long as a script needs that would run by itself.
        """
        await self.look(dark=False, phone=False)
        await self.go(path)
        wrong = await self.faults()
        await self.look(dark=True, phone=True)
        wrong += [f"dark, on a phone: {one}" for one in await self.faults(OF_A_LOOK)]
        await self.page.evaluate("""() => {
            for (const one of document.querySelectorAll("details")) one.open = true;
            for (const one of document.querySelectorAll("[popover]")) one.showPopover?.();
            for (const one of document.querySelectorAll("dialog")) one.open || one.show();
            // By when a picture of ours has failed, so have theirs.
            const probe = new Image();
            const failed = new Promise((done) => (probe.onerror = done));
            probe.src = "data:image/png,";
            return failed;
        }""")
        wrong += self.complaints
        self.complaints.clear()
        return wrong

    async def check(self) -> None:
        """Raises AssertionError for any fault of the page as it is."""
        wrong = await self.faults()
        assert not wrong, "\n".join(wrong)


@contextlib.asynccontextmanager
async def visiting(
    browser: Browser, url: str, person: Person, *, dark: bool = False, phone: bool = False
) -> AsyncGenerator[Visit]:
    """Somebody who has signed in."""
    context: BrowserContext = await browser.new_context(
        viewport=PHONE if phone else WIDE,  # pyright: ignore[reportArgumentType]
        color_scheme="dark" if dark else "light",
        locale="en-US",
        timezone_id="UTC",
        reduced_motion="reduce",
    )
    await context.add_init_script(path=AXE)
    page = await context.new_page()
    page.set_default_timeout(15_000)
    visit = Visit(page, url)
    form, own = {"email": person.email, "password": person.password}, {"Sec-Fetch-Site": "same-origin"}
    answer = await context.request.post(f"{url}/sign-in", form=form, headers=own)  # pyright: ignore[reportArgumentType]
    assert answer.ok, answer.status
    yield visit
    await context.close()
    assert not visit.complaints, visit.complaints
