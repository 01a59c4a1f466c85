"""The first page, notifications and the palette."""

from typing import Final

import msgspec

from supover.access.model import StaffOnly
from supover.analytics.overview import overview
from supover.customers import queries as customers
from supover.customers import rules
from supover.kit import api, sql
from supover.kit.db import Reader, Tx
from supover.orders import queries as orders
from supover.segments import queries as segments
from supover.web import commands, palette
from supover.web.frame import Asked, Pages, address_of, asked, caller_of, see, show
from supover.web.queries import done_so_far, notices, waiting

pages = Pages()

MOST_FOUND: Final = 6
LATEST: Final = 6
"""So many of the newest orders stand on the first page."""
WORTH_LOOKING: Final = 2
"""With fewer letters everybody would be found."""


@pages.get("/", of="customers.search")
async def show_home(db: Reader, request: Asked) -> api.Raw:
    """What waits, how the last thirty days went, and what is still to be set up."""
    may = caller_of(request).may
    figures, latest = None, []
    if may("analytics:read"):
        figures = await overview(db, since=None, until=None, compare="previous", interval=None)
    if may("orders:read"):
        newest = sql.page(orders.SORTS, limit=LATEST, sort=None, cursor=None)
        latest, _, _ = await orders.search(db, orders.Filters(), newest)
    return await show(
        request,
        db,
        "home.html",
        figures=figures,
        latest=latest,
        waiting=await waiting(db),
        done=await done_so_far(db),
    )


@pages.get("/notifications", of="customers.search")
async def show_notifications(db: Reader, request: Asked) -> api.Raw:
    """What went wrong of late, and what waits for somebody."""
    return await show(request, db, "notifications.html", notices=await notices(db), waiting=await waiting(db))


@pages.post("/notifications/seen", of="web.prefer")
async def mark_seen(tx: Tx, request: Asked) -> api.Raw:
    """Marks all that is there as seen."""
    caller = caller_of(request)
    if caller.id is None:
        raise StaffOnly
    await commands.mark_seen(tx, caller.id)
    return see(request, "/notifications")


# --- the palette -------------------------------------------------------------------------------------------------------------


class Question(msgspec.Struct, frozen=True):
    """What was typed."""

    q: str = ""


@pages.get("/palette", of="customers.search", search=True)
async def find(db: Reader, request: Asked) -> api.Raw:
    """What can be done on the page that is open, then customers, orders, segments, pages and actions that fit what was typed."""
    words = asked(request, Question).q.strip()[:100]
    may = caller_of(request).may
    people, numbers, named = [], [], []
    if len(words) >= WORTH_LOOKING:
        filters = customers.Filters(terms=rules.terms(words))
        people, _, _ = await customers.search(
            db, filters, sql.page(customers.SORTS, limit=MOST_FOUND, sort=None, cursor=None)
        )
        if may("orders:read"):
            first = sql.page(orders.SORTS, limit=3, sort=None, cursor=None)
            numbers, _, _ = await orders.search(db, orders.Filters(number=words), first)
        named, _, _ = await segments.search(db, sql.page(segments.SORTS, limit=3, sort=None, cursor=None), name=words)
    here = palette.on(address_of(request, "hx-current-url").path)
    return await show(
        request, db, "palette_found.html", words=words, people=people, numbers=numbers, named=named,
        here=palette.fitting(here, words, may), places=palette.fitting(palette.PLACES, words, may),
        deeds=palette.fitting(palette.DEEDS, words, may),
    )  # fmt: skip
