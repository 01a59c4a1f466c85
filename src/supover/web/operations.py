"""What was done here, by whom: the audit log, jobs, webhooks that were received, and requests of programs."""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Final, Literal, cast
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
from litestar import Litestar

from supover.access import queries
from supover.access.authenticate import SAFE
from supover.channels import queries as channels
from supover.channels import sealing
from supover.inbox import commands as inbox
from supover.inbox import queries as messages
from supover.inbox.model import BodyForgotten, Replay
from supover.jobs.routes import MOST_AT_ONCE, JobsToRetry
from supover.kit import api, jobs, sql
from supover.kit.db import Reader, Tx
from supover.kit.requests import Requests
from supover.web.frame import Asked, Pages, asked, back, caller_of, say, see
from supover.web.settings import section

pages = Pages()

SHOWN: Final = 200_000
"""So many characters of a body are shown; all of it can be downloaded."""

LINKS: Final = {
    "customer": "/customers/{}",
    "order": "/orders/{}",
    "segment": "/segments/{}",
    "api_key": "/settings/keys/{}",
    "custom_field": "/settings/fields/{}",
    "channel": "/settings/channels/{}",
    "message": "/settings/inbox/{}",
    "privacyRequest": "/settings/privacy/{}",
    "bulk": "/bulk/{}",
}
"""Where the pages of things stand whose changes are in the audit log."""


# --- the audit log ---------------------------------------------------------------------------------------------------


class AuditAsked(msgspec.Struct, frozen=True, rename="camel"):
    """What the audit log can be asked for."""

    cursor: str | None = None
    actor: str | None = None
    action: str | None = None
    subject_id: UUID | None = None
    at_from: str | None = None
    at_to: str | None = None


def changes(handlers: Iterable[Any]) -> Mapping[str, str]:
    """What each operation of the API that changes something does, in words, and what else is done here."""
    return BY_NOBODY | {
        str(handler.opt["operation"]): str(handler.summary).partition(". ")[0]
        for handler in handlers
        if "operation" in handler.opt and getattr(handler, "summary", None) and not handler.http_methods & SAFE
    }


@lru_cache(maxsize=4)
def _changes(app: Litestar) -> Mapping[str, str]:
    return changes(one for route in app.routes for one in cast("list[Any]", getattr(route, "route_handlers", [])))


BY_NOBODY: Final = {
    "access.create_workspace": "Make a workspace",
    "access.reset_password": "Reset a password",
    "access.disable_staff": "Disable an account",
    "access.enable_staff": "Enable an account",
    "access.accept_invitation": "Accept an invitation",
    "analytics.refresh": "Refresh figures",
    "analytics.rebuild": "Count all figures anew",
    "web.prefer": "Change what is one's own",
}
"""What only the command line, jobs and the screens do."""


@pages.get("/settings/audit", of="access.search_audit", search=True)
async def show_audit(db: Reader, request: Asked) -> api.Raw:
    """What was written, by whom, with old and new values."""
    given = asked(request, AuditAsked)
    zone = ZoneInfo((await queries.find_workspace(db)).timezone)
    filters = queries.AuditFilters(
        subject_id=given.subject_id,
        actor=given.actor,
        action=given.action,
        at_from=sql.bound(given.at_from, zone, "atFrom") if given.at_from else None,
        at_to=sql.bound(given.at_to, zone, "atTo", end=True) if given.at_to else None,
    )
    page = sql.page(queries.AUDIT_SORTS, limit=50, sort=None, cursor=given.cursor)
    found = await queries.search_audit(db, filters, page)
    keys = await queries.search_keys(db, sql.page(queries.KEY_SORTS, limit=100, sort=None, cursor=None), revoked=True)
    people = await queries.search_staff(db)
    told = _changes(request.app)
    actors = [(f"staff:{one.id}", one.name) for one in people if one.accepted_at]
    return await section(
        request, db, "settings/audit.html", found=found.data, following=found.next_cursor, given=given, told=told, links=LINKS,
        actors=actors + [(f"key:{one.id}", one.name) for one in keys.data],
        actions=sorted(told.items(), key=lambda one: one[1]),
    )  # fmt: skip


JOBS: Final = {
    "customers.forget_avatar": "Delete a picture",
    "customers.change_tags": "Change tags of customers",
    "customers.index_custom_field": "Index a custom field",
    "customers.clear_custom_field": "Clear up after a custom field",
    "analytics.score": "Group customers by how they buy",
    "analytics.rebuild": "Count all figures anew",
    "analytics.fit": "Predict what customers will do",
    "orders.apply_rates": "Apply exchange rates",
    "bulk.run": "Change many customers",
    "bulk.undo": "Undo a change of many customers",
    "imports.orders": "Import orders",
    "imports.customers": "Import customers",
    "imports.settle": "Finish an import",
    "imports.revert": "Revert an import",
    "exports.make": "Make an export",
    "exports.forget": "Delete files of an export",
    "privacy.export": "Export personal data",
    "privacy.erase": "Erase a customer",
    "privacy.erase_shop": "Erase a shop's customers",
    "privacy.erase_inactive": "Erase customers of whom nothing was heard",
    "privacy.forget_file": "Delete a file",
    "privacy.forget_import": "Delete an import's file",
    "duplicates.scan": "Look for duplicates",
    "duplicates.merge": "Merge duplicates",
    "duplicates.notice": "Look for duplicates of new customers",
    "segments.evaluate": "Count segments",
    "segments.forget": "Delete a segment's members",
}
"""What jobs do, in words."""


# --- jobs ------------------------------------------------------------------------------------------------------------


class JobsAsked(msgspec.Struct, frozen=True, rename="camel"):
    """What the list of jobs can be asked for."""

    cursor: str | None = None
    state: jobs.State | None = None
    kind: str | None = None


DEAD: Final = "select count(*) from (select 1 from job where workspace_id = $1 and state = 'dead' limit 1000) as d"


@pages.get("/settings/jobs", of="jobs.search", search=True)
async def show_jobs(db: Reader, request: Asked) -> api.Raw:
    """The workspace's jobs; those that failed for good can be tried again."""
    given = asked(request, JobsAsked)
    page = sql.page(jobs.SORTS, limit=50, sort=None, cursor=given.cursor)
    found = await jobs.search(db, page, state=given.state, kind=given.kind)
    return await section(
        request, db, "settings/jobs.html", found=found.data, following=found.next_cursor, given=given, dead=await db.value(DEAD),
        names=JOBS, busy=any(job.state == "running" for job in found.data),
    )  # fmt: skip


@pages.post("/settings/jobs/retry", of="jobs.retry_many")
async def retry_all(tx: Tx, request: Asked, data: JobsToRetry) -> api.Raw:
    """Queues all dead jobs again."""
    await jobs.retry_many(tx, data.state, data.kind, data.ids, MOST_AT_ONCE)
    return see(request, back(request, "/settings/jobs"), "The jobs are queued again.")


@pages.post("/settings/jobs/{id:uuid}/retry", of="jobs.retry")
async def retry(tx: Tx, request: Asked, id: UUID) -> api.Raw:
    """Queues a dead job again."""
    await jobs.retry(tx, id)
    return see(request, back(request, "/settings/jobs"), "The job is queued again.")


@pages.post("/settings/jobs/{id:uuid}/cancel", of="jobs.cancel")
async def cancel(tx: Tx, request: Asked, id: UUID) -> api.Raw:
    """Cancels a job that has not ended."""
    await jobs.cancel(tx, id)
    return see(request, back(request, "/settings/jobs"), "The job is cancelled.")


# --- webhooks that were received -------------------------------------------------------------------------------------


class MessagesAsked(msgspec.Struct, frozen=True, rename="camel"):
    """What the list of webhooks can be asked for."""

    cursor: str | None = None
    status: Literal["pending", "applied", "ignored", "dead"] | None = None
    connection_id: UUID | None = None
    topic: str | None = None


@pages.get("/settings/inbox", of="inbox.search", search=True)
async def show_messages(db: Reader, request: Asked) -> api.Raw:
    """What shops have sent, and what became of it."""
    given = asked(request, MessagesAsked)
    page = sql.page(messages.SORTS, limit=50, sort=None, cursor=given.cursor)
    found = await messages.search(db, page, status=given.status, connection_id=given.connection_id, topic=given.topic)
    hooks = sealing.hooks(request.app.state.settings)
    every = sql.page(channels.SORTS, limit=100, sort=None, cursor=None)
    shops = await channels.search(db, hooks, every, ended=True)
    return await section(
        request, db, "settings/inbox.html", found=found.data, following=found.next_cursor, given=given,
        shops=[(shop.id, shop.name) for shop in shops.data],
    )  # fmt: skip


@pages.get("/settings/inbox/{id:uuid}", of="inbox.find")
async def show_message(db: Reader, request: Asked, id: UUID) -> api.Raw:
    """One webhook, with its body as it came."""
    one = await messages.find(db, id)
    try:
        body = (await messages.body(db, id)).decode("utf-8", "replace")
    except BodyForgotten:
        body = None
    cut = body is not None and len(body) > SHOWN
    return await section(
        request,
        db,
        "settings/message.html",
        one=one,
        body=None if body is None else _readable(body[:SHOWN], cut),
        cut=cut,
    )


def _readable(body: str, cut: bool) -> str:
    """JSON with its lines broken; what is none stays as it is."""
    try:
        return body if cut else msgspec.json.format(body, indent=2)
    except msgspec.MsgspecError:
        return body


@pages.post("/settings/inbox/replay", of="inbox.replay_many")
async def replay_many(tx: Tx, request: Asked, data: Replay) -> api.Raw:
    """Works many webhooks off again."""
    zone = ZoneInfo((await queries.find_workspace(tx)).timezone)
    told = await inbox.replay_many(tx, data, zone)
    said = (
        say("The webhooks are being processed again.") if told.replayed else say("There is nothing to process again.")
    )
    return see(request, back(request, "/settings/inbox"), said)


@pages.post("/settings/inbox/{id:uuid}/replay", of="inbox.replay")
async def replay(tx: Tx, request: Asked, id: UUID) -> api.Raw:
    """Works a webhook off again."""
    await inbox.replay(tx, id)
    return see(request, f"/settings/inbox/{id}", "The webhook is being processed again.")


# --- requests of programs --------------------------------------------------------------------------------------------


class RequestsAsked(msgspec.Struct, frozen=True, rename="camel"):
    """What the log of requests can be asked for."""

    only: Literal["failed"] | None = None
    search: str | None = None


@pages.get("/settings/requests", of="access.search_audit")
async def show_requests(db: Reader, request: Asked) -> api.Raw:
    """The last requests of the API that this process has answered."""
    given = asked(request, RequestsAsked)
    kept = cast("Requests", request.app.state.requests)
    wanted = (given.search or "").strip().casefold()
    found = [
        one
        for one in kept.of(caller_of(request).workspace_id)
        if (given.only is None or one.status >= 400)
        and (not wanted or wanted in f"{one.method} {one.path} {one.name} {one.request_id}".casefold())
    ]
    return await section(request, db, "settings/requests.html", found=found, given=given, since=kept.since)
