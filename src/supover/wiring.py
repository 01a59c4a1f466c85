"""The one list of what the house is made of: routes, reactions, jobs, and the application they become."""

import importlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from supover.kit import filters
from supover.kit.db import Database
from supover.settings import Settings

if TYPE_CHECKING:
    from litestar.handlers import HTTPRouteHandler

    from supover.kit import api
    from supover.kit.proof import Proof


def routes() -> "Sequence[api.Routes]":
    """Every room's routes, in the order in which the reference of the API tells them.

    Only here is the web framework imported: workers and the command line start without it.
    """
    from supover.access import routes as access
    from supover.addresses import routes as addresses
    from supover.analytics import churn_routes as churn
    from supover.analytics import report_routes as reports
    from supover.analytics import routes as analytics
    from supover.bulk import routes as bulk
    from supover.channels import routes as channels
    from supover.consent import routes as consent
    from supover.consent import suppression_routes as suppressions
    from supover.customers import avatar_routes as avatars
    from supover.customers import custom_field_routes as custom_fields
    from supover.customers import identity_routes as identities
    from supover.customers import routes as customers
    from supover.customers import tag_routes as tags
    from supover.duplicates import routes as duplicates
    from supover.exports import routes as exports
    from supover.imports import routes as imports
    from supover.inbox import routes as inbox
    from supover.jobs import routes as jobs
    from supover.merging import routes as merging
    from supover.notes import routes as notes
    from supover.orders import routes as orders
    from supover.privacy import routes as privacy
    from supover.segments import language_routes as language
    from supover.segments import routes as segments
    from supover.segments import view_routes as views
    from supover.timeline import routes as timeline

    return (
        customers.routes,
        orders.routes,
        identities.routes,
        tags.routes,
        custom_fields.routes,
        avatars.routes,
        addresses.routes,
        notes.routes,
        consent.routes,
        suppressions.routes,
        timeline.routes,
        analytics.routes,
        duplicates.routes,
        merging.routes,
        segments.routes,
        language.routes,
        views.routes,
        reports.routes,
        churn.routes,
        bulk.routes,
        imports.routes,
        exports.routes,
        privacy.routes,
        orders.rate_routes,
        timeline.event_routes,
        channels.routes,
        inbox.routes,
        inbox.hooks,
        access.routes,
        jobs.routes,
    )


FIELDS: Final = (
    "supover.customers.fields",
    "supover.addresses.fields",
    "supover.consent.fields",
    "supover.orders.fields",
    "supover.analytics.fields",
)
REACTIONS: Final = (
    "supover.addresses.reactions",
    "supover.notes.reactions",
    "supover.consent.reactions",
    "supover.orders.reactions",
    "supover.analytics.reactions",
    "supover.duplicates.reactions",
    "supover.segments.reactions",
)
JOBS: Final = (
    "supover.customers.jobs",
    "supover.analytics.jobs",
    "supover.orders.jobs",
    "supover.merging.jobs",
    "supover.bulk.jobs",
    "supover.imports.jobs",
    "supover.exports.jobs",
    "supover.privacy.jobs",
    "supover.duplicates.jobs",
    "supover.segments.jobs",
    "supover.inbox.jobs",
    "supover.kit.housekeeping",
)


def load() -> None:
    """Registers every reaction, job and field; whoever works calls it first."""
    load_reactions()
    load_fields()
    for module in JOBS:
        importlib.import_module(module)


def load_reactions() -> None:
    """Registers every reaction; whoever publishes calls it first, or nobody hears."""
    for module in REACTIONS:
        importlib.import_module(module)


def proofs() -> "Sequence[Proof]":
    """How each room that stores sums or states proves them."""
    from supover.analytics import commands as analytics
    from supover.analytics import rollups
    from supover.consent import queries as consent
    from supover.segments import proof as segments

    return (analytics.reconcile, rollups.reconcile, consent.reconcile, segments.reconcile)


def load_fields() -> None:
    """Makes every room's fields part of the segment language; whoever reads a filter calls it first."""
    for module in FIELDS:
        filters.register(importlib.import_module(module).FIELDS)


def handlers() -> "list[HTTPRouteHandler]":
    """Every route of the API."""
    return [handler for room in routes() for handler in room.handlers]


def pages() -> "Sequence[HTTPRouteHandler]":
    """Every screen."""
    from supover.web import (
        account,
        bulk,
        customer,
        customers,
        exports,
        home,
        imports,
        insights,
        merges,
        operations,
        orders,
        privacy,
        segments,
        session,
        settings,
        static,
    )

    rooms = (
        account,
        bulk,
        customer,
        customers,
        exports,
        home,
        imports,
        insights,
        merges,
        operations,
        orders,
        privacy,
        segments,
        session,
        settings,
    )
    return [*static.handlers, *(handler for room in rooms for handler in room.pages.handlers)]


def application(database: Database, settings: Settings) -> Any:
    """The ASGI application on an open database."""
    from supover.access import audit
    from supover.access.authenticate import Authenticator
    from supover.access.permissions import PERMISSIONS
    from supover.customers import hashing
    from supover.examples import EXAMPLES
    from supover.inbox.receiver import Receiver
    from supover.kit import api, edge, front, openapi
    from supover.web import frame, session

    load()
    hashing.use(settings)
    authenticator = Authenticator(database, settings)
    door = api.Door(
        database, authenticator, audit.write_audit, {**PERMISSIONS, **front.PERMISSIONS, **session.PERMISSIONS}
    )
    app = edge.build(
        door,
        [*handlers(), *front.handlers(), *pages()],
        body_max_bytes=settings.body_max_bytes,
        openapi=openapi.config(list(dict.fromkeys(room.tag for room in routes()))),
        nowhere=frame.nowhere,
        on_shutdown=[authenticator.close],
    )
    app.state.settings = settings
    app.state.examples = EXAMPLES
    app.state.receiver = Receiver(database, settings)
    app.state.metrics_token = settings.metrics_token
    return edge.Edge(app, at_once=settings.max_in_flight, https=settings.public_url.startswith("https://"))
