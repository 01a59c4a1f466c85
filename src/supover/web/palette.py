"""What the palette offers beside records: places, and what can be done, here and elsewhere, each found by many words.

`words` are other names by which people look for something. Those of every language count, without accents and case.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Final

import msgspec

from supover.kit.text import fold
from supover.web import rendering
from supover.web.frame import say
from supover.web.model import LANGUAGES, Said


class Entry(msgspec.Struct, frozen=True):
    """A place or a deed for who holds a permission.

    It leads to `href`, or presses or focuses what `press` selects on the page that is open; what is not there is not offered.
    """

    label: Said
    words: Said
    icon: str
    permission: str
    href: str = ""
    press: str = ""


def opens(dialog: str) -> str:
    """What opens a dialog."""
    return f'[command="show-modal"][commandfor="{dialog}"]'


PLACES: Final = (
    Entry(say("Home"), say("start overview dashboard"), "house", "customers:read", "/"),
    Entry(say("Customers"), say("people buyers clients contacts list"), "users", "customers:read", "/customers"),
    Entry(say("Segments"), say("groups audiences lists rules"), "filter", "customers:read", "/segments"),
    Entry(say("Orders"), say("sales purchases"), "shopping-bag", "orders:read", "/orders"),
    Entry(say("Orders waiting for review"), say("unassigned whose unknown customer"), "shopping-bag", "orders:read",
          "/orders?needsReview=true"),
    Entry(say("Merge review"), say("duplicates doubles same person"), "merge", "duplicates:read", "/merges"),
    Entry(say("Past merges"), say("merged history undo"), "history", "customers:read", "/merges/history"),
    Entry(say("Bulk actions"), say("done to many history"), "list-checks", "customers:read", "/bulk"),
    Entry(say("Imports"), say("uploads files csv excel history"), "upload", "imports:read", "/imports"),
    Entry(say("Exports"), say("downloads files csv excel history"), "download", "exports:read", "/exports"),
    Entry(say("Insights"), say("analytics reports revenue figures statistics"), "chart-line", "analytics:read", "/insights"),
    Entry(say("Cohorts"), say("retention returning report"), "grid-3x3", "analytics:read", "/insights/cohorts"),
    Entry(say("RFM groups"), say("recency frequency champions report"), "layout-grid", "analytics:read", "/insights/rfm"),
    Entry(say("Who may leave"), say("churn risk prediction report"), "door-open", "analytics:read", "/insights/churn"),
    Entry(say("Lifetime value"), say("ltv clv best customers report"), "gem", "analytics:read", "/insights/ltv"),
    Entry(say("Map"), say("countries regions geography world"), "map", "analytics:read", "/insights/map"),
    Entry(say("Notifications"), say("alerts failures bell"), "bell", "customers:read", "/notifications"),
    Entry(say("Settings"), say("preferences options configuration"), "settings", "known", "/settings"),
    Entry(say("Account and language"), say("profile password two-step english vietnamese locale time zone"), "user-cog", "known",
          "/settings/account"),
    Entry(say("Workspace"), say("general name currency time zone company shop"), "store", "admin", "/settings/workspace"),
    Entry(say("Staff"), say("team colleagues users members roles permissions"), "id-card", "admin", "/settings/staff"),
    Entry(say("API keys"), say("tokens secrets access developer"), "key-round", "admin", "/settings/keys"),
    Entry(say("Shops"), say("channels connect shopify tiktok etsy woocommerce integrations"), "plug", "admin",
          "/settings/channels"),
    Entry(say("Custom fields"), say("attributes properties columns"), "text-cursor-input", "customers:read", "/settings/fields"),
    Entry(say("Tags"), say("labels rename merge"), "tags", "customers:read", "/settings/tags"),
    Entry(say("Exchange rates"), say("currency conversion money"), "coins", "orders:read", "/orders/rates"),
    Entry(say("Do not contact"), say("suppressions unsubscribed bounced"), "mail-x", "customers:read", "/settings/suppressions"),
    Entry(say("Privacy requests"), say("gdpr erase delete personal data"), "shield", "privacy:read", "/settings/privacy"),
    Entry(say("Audit log"), say("history who changed"), "scroll-text", "admin", "/settings/audit"),
    Entry(say("Jobs"), say("background queue failed retry"), "cog", "admin", "/settings/jobs"),
    Entry(say("Received webhooks"), say("inbox deliveries channels"), "inbox", "admin", "/settings/inbox"),
    Entry(say("API documentation"), say("developer reference help openapi"), "book-open", "known", "/docs"),
)  # fmt: skip
DEEDS: Final = (
    Entry(say("Add customer"), say("new create person buyer"), "plus", "customers:write", "/customers/new"),
    Entry(say("New segment"), say("create add group audience rule"), "plus", "customers:write", "/segments/new"),
    Entry(say("Import a file"), say("upload csv excel customers orders"), "upload", "imports:write", "/imports/new"),
    Entry(say("Export customers"), say("download csv excel file"), "download", "exports:write", "/exports/new?kind=customers"),
    Entry(say("Export orders"), say("download csv excel file"), "download", "exports:write", "/exports/new?kind=orders"),
    Entry(say("Invite somebody"), say("add new colleague teammate staff user member"), "user-plus", "admin", "/settings/staff#invite"),
    Entry(say("New API key"), say("create add token secret"), "key-round", "admin", "/settings/keys#new-key"),
    Entry(say("Light theme"), say("bright day appearance colours mode"), "sun", "known", press='[data-theme="light"]'),
    Entry(say("Dark theme"), say("night black appearance colours mode"), "moon", "known", press='[data-theme="dark"]'),
    Entry(say("Theme of the system"), say("automatic appearance colours mode"), "monitor", "known", press='[data-theme="system"]'),
    Entry(say("Keyboard"), say("shortcuts keys help"), "keyboard", "known", press=opens("keys")),
    Entry(say("Sign out"), say("log out logout leave exit"), "log-out", "known", press='#me form[action="/sign-out"] button'),
)  # fmt: skip


def of_customer(id: str) -> Sequence[Entry]:
    """What can be done on a customer's pages."""
    here = f"/customers/{id}"
    return (
        Entry(say("Add a note"), say("write comment remark"), "sticky-note", "customers:write", press="#f-note"),
        Entry(say("Add a tag"), say("label mark"), "tag", "customers:write", press="#new-tag"),
        Entry(say("Block"), say("stop hold ban this customer"), "ban", "customers:write", press=opens("block")),
        Entry(say("Unblock"), say("allow this customer"), "circle-check", "customers:write", press=f'form[action="{here}/unblock"] button'),
        Entry(say("Merge with another"), say("duplicate same person join"), "merge", "customers:merge", f"/merges/new?ids={id}"),
        Entry(say("Add an address"), say("new shipping billing"), "map-pin", "customers:write", f"{here}/addresses/new"),
        Entry(say("See the orders of this customer"), say("purchases sales"), "shopping-bag", "orders:read", f"/orders?customerId={id}"),
        Entry(say("Timeline"), say("history events happened"), "history", "customers:read", f"{here}/timeline"),
        Entry(say("Contacts"), say("emails phones channel ids identities"), "at-sign", "customers:read", f"{here}/contacts"),
        Entry(say("Consent"), say("marketing subscribe unsubscribe newsletter"), "mail-check", "customers:read", f"{here}/consent"),
        Entry(say("Export personal data"), say("gdpr privacy download"), "file-down", "privacy:write",
              f"/settings/privacy/new?customerId={id}"),
        Entry(say("Erase for good…"), say("gdpr privacy remove forget"), "eraser", "privacy:write",
              f"/settings/privacy/new?customerId={id}"),
        Entry(say("Delete"), say("remove this customer"), "trash-2", "customers:write", press=f'form[action="{here}/delete"] button'),
    )  # fmt: skip


def of_order(id: str) -> Sequence[Entry]:
    """What can be done on an order's page."""
    here = f"/orders/{id}"
    return (
        Entry(say("Move the order on"), say("next status mark confirmed shipped delivered"), "check", "orders:write",
              press='[data-key="m"]'),
        Entry(say("Refund"), say("money back return"), "undo-2", "orders:write", press='[data-key="r"]'),
        Entry(say("Open the customer"), say("buyer profile person"), "user", "customers:read",
              press='[aria-labelledby="customer"] a[href^="/customers/"]'),
        Entry(say("Put on hold"), say("stop wait pause"), "pause", "orders:write", press=opens("hold")),
        Entry(say("Let it go on"), say("release hold continue"), "play", "orders:write", press=f'form[action="{here}/release"] button'),
        Entry(say("Give it to another customer"), say("move assign reassign owner"), "user", "orders:write",
              press=opens("move")),
        Entry(say("Add a note"), say("write comment remark"), "sticky-note", "orders:write", press="#f-note"),
        Entry(say("Add a tag"), say("label mark"), "tag", "orders:write", press=f'form[action="{here}/tag"] input'),
        Entry(say("Cancel the order"), say("stop void"), "ban", "orders:write", press=opens("cancel")),
    )  # fmt: skip


_PAGES: Final = (
    (re.compile(r"/customers/([0-9a-f-]{36})(/.*)?"), of_customer),
    (re.compile(r"/orders/([0-9a-f-]{36})"), of_order),
)


def on(path: str) -> Sequence[Entry]:
    """What can be done on the page that is open."""
    for form, entries in _PAGES:
        if match := form.fullmatch(path):
            return entries(match[1])
    return ()


def fitting(entries: Iterable[Entry], typed: str, may: Callable[[str], bool]) -> list[Entry]:
    """What somebody may do of these and has words that begin like each one typed; what is called so comes first."""
    asked = fold(typed).split()
    found = [(rank, one) for one in entries if may(one.permission) and (rank := _rank(one, asked)) is not None]
    return [one for _, one in sorted(found, key=lambda each: each[0])]


def _rank(entry: Entry, asked: Sequence[str]) -> int | None:
    names, others = _words(entry.label.text), _words(entry.words.text)
    if all(_begins(names, one) for one in asked):
        return 0
    return 1 if all(_begins(names | others, one) for one in asked) else None


def _begins(words: Iterable[str], asked: str) -> bool:
    return any(word.startswith(asked) for word in words)


@lru_cache(maxsize=512)
def _words(text: str) -> frozenset[str]:
    told = {rendering.words(language).gettext(text) for language in LANGUAGES}
    return frozenset(word for one in told for word in re.findall(r"\w+", fold(one)))
