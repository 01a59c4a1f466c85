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
from playwright.async_api import Browser, BrowserContext, Page, async_playwright

from supover.access import commands
from supover.access.model import NewStaff, operator
from supover.access.permissions import Role
from supover.kit import ids
from supover.kit.db import Database
from tests.makers import Workspace, application, client

PASSWORD: Final = "correct horse battery"
CHROMIUM: Final = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
AXE: Final = Path(__file__).parent.parent.parent / "node_modules/axe-core/axe.min.js"
RULES: Final = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
WIDE: Final = {"width": 1360, "height": 860}
PHONE: Final = {"width": 390, "height": 844}
LOOKS: Final = [
    pytest.param(False, False, id="light-wide"),
    pytest.param(True, True, id="dark-phone"),
    pytest.param(True, False, id="dark-wide", marks=pytest.mark.soak),
    pytest.param(False, True, id="light-phone", marks=pytest.mark.soak),
]
"""Dark or not, on a phone or not. Each colour and each width is looked at whenever tests run, all four by `make soak`."""


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
        """Opens a page and waits until it is quiet."""
        await self.page.goto(self.url + path)
        await self.page.wait_for_load_state("networkidle")

    async def check(self) -> None:
        """No violation of accessibility, nothing wider than the window."""
        found: Any = await self.page.evaluate("(tags) => axe.run({runOnly: {type: 'tag', values: tags}})", RULES)
        wrong = [
            (one["id"], one["help"], [node["html"][:200] for node in one["nodes"]][:3]) for one in found["violations"]
        ]
        assert not wrong, wrong
        width: int = await self.page.evaluate("() => document.documentElement.scrollWidth - innerWidth")
        assert width <= 0, f"{width} pixels wider than the window"


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
    await visit.go("/sign-in")
    await page.get_by_label("Email").fill(person.email)
    await page.get_by_label("Password").fill(person.password)
    await page.keyboard.press("Enter")
    await page.wait_for_url(lambda at: "/sign-in" not in at)
    yield visit
    await context.close()
    assert not visit.complaints, visit.complaints
