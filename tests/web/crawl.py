"""Every page that links lead to, once for each kind of page."""

import re
from collections import deque
from html.parser import HTMLParser
from typing import Final
from urllib.parse import urljoin, urlsplit

import httpx
import msgspec

ID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
ELSEWHERE: Final = ("/docs", "/api/", "/assets/", "/health", "/metrics", "/sign-in")
MOST: Final = 400
BLOCKS: Final = ("form", "div", "ul", "ol", "dl", "table", "section")
"""What ends a paragraph that is open, so that it stands below and not within."""
LOOSE_CRUMBS: Final = re.compile(r'<nav class="crumbs"[^>]*>(?:(?!</nav>).)*</svg>\s*</nav>', re.DOTALL)


class Found(msgspec.Struct, frozen=True):
    """A page: what was asked for, what came, and where one came from."""

    path: str
    status: int
    text: str
    parent: str


class _Links(HTMLParser):
    """The addresses of a page, and its elements with what they would run."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.hrefs: list[str] = []
        self.ids: list[str] = []
        self.odd: list[str] = []
        self.in_paragraph = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Notes what leads on, and what none of our pages has."""
        given = dict(attrs)
        if tag == "a" and given.get("href"):
            self.hrefs.append(given["href"] or "")
        if (name := given.get("id")) is not None:
            self.ids.append(name)
        runs = [name for name in given if name.startswith("on") or name.startswith("hx-on") or name == "srcdoc"]
        schemes = [v for n, v in attrs if n in ("href", "src", "action", "formaction", "xlink:href") and _is_script(v)]
        if self.in_paragraph and tag in BLOCKS:
            self.odd.append(f"<{tag}> in a paragraph")
        self.in_paragraph = tag == "p" or (self.in_paragraph and tag not in BLOCKS)
        if runs or schemes or tag in ("iframe", "object", "embed", "base") or (tag == "script" and "src" not in given):
            self.odd.append(f"<{tag} {given}>")

    def handle_endtag(self, tag: str) -> None:
        """Notes where a paragraph ends."""
        self.in_paragraph = self.in_paragraph and tag != "p"


def _is_script(address: str | None) -> bool:
    scheme = re.sub(r"[\x00-\x20]", "", address or "").casefold()
    return scheme.startswith(("javascript:", "vbscript:")) or (
        scheme.startswith("data:") and "image/" not in scheme[:12]
    )


def odd_in(page: str) -> list[str]:
    """What a page would run, ids that it has twice, what stands where it cannot, a way here that ends in nothing."""
    reading = _Links()
    reading.feed(page)
    twice = sorted({name for name in reading.ids if reading.ids.count(name) > 1})
    loose = ["crumbs end in nothing"] if LOOSE_CRUMBS.search(page) else []
    return [*reading.odd, *(f"twice: {name}" for name in twice), *loose]


def kind(path: str) -> str:
    """What pages of one kind have in common: the path without ids, and the names of what is asked."""
    at = urlsplit(path)
    names = sorted({part.partition("=")[0] for part in at.query.split("&") if part} - {"cursor"})
    return ID.sub("ID", at.path) + (f"?{'&'.join(names)}" if names else "")


async def crawl(web: httpx.AsyncClient, *starts: str) -> list[Found]:
    """Follows every link of this site, and asks for one page of each kind; of those to start from for each."""
    waiting = deque((start, "") for start in ("/", *starts))
    seen: set[str] = set()
    found: list[Found] = []
    while waiting and len(found) < MOST:
        path, parent = waiting.popleft()
        if kind(path) in seen and parent:
            continue
        seen.add(kind(path))
        answer = await web.get(path)
        if answer.status_code == 303:
            waiting.append((answer.headers["location"], path))
            continue
        found.append(Found(path, answer.status_code, answer.text, parent))
        if "text/html" not in answer.headers.get("content-type", ""):
            continue
        reading = _Links()
        reading.feed(answer.text)
        for href in reading.hrefs:
            to = urlsplit(urljoin(str(answer.url), href))
            if to.netloc == web.base_url.netloc.decode() and not to.path.startswith(ELSEWHERE):
                waiting.append((to.path + (f"?{to.query}" if to.query else ""), path))
    return found
