"""The one list of what the house is made of: routes, reactions, jobs, and the application they become."""

import importlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from supover.kit.db import Database
from supover.settings import Settings

if TYPE_CHECKING:
    from litestar.handlers import HTTPRouteHandler

    from supover.kit import api


def routes() -> "Sequence[api.Routes]":
    """Every room's routes. Only here is the web framework imported: workers and the command line start without it."""
    from supover.access import routes as access
    from supover.addresses import routes as addresses
    from supover.channels import routes as channels
    from supover.customers import routes as customers
    from supover.imports import routes as imports
    from supover.inbox import routes as inbox
    from supover.jobs import routes as jobs
    from supover.merging import routes as merging
    from supover.notes import routes as notes
    from supover.orders import routes as orders
    from supover.timeline import routes as timeline

    return (
        customers.routes,
        customers.identity_routes,
        customers.tag_routes,
        customers.avatar_routes,
        addresses.routes,
        notes.routes,
        timeline.routes,
        orders.routes,
        merging.routes,
        imports.routes,
        orders.rate_routes,
        timeline.event_routes,
        channels.routes,
        inbox.routes,
        inbox.hooks,
        access.routes,
        jobs.routes,
    )


REACTIONS: Final = ("supover.orders.reactions", "supover.analytics.reactions", "supover.merging.reactions")
JOBS: Final = (
    "supover.customers.jobs",
    "supover.analytics.jobs",
    "supover.orders.jobs",
    "supover.imports.jobs",
    "supover.inbox.jobs",
    "supover.kit.housekeeping",
)


def load() -> None:
    """Registers every reaction and job; whoever works calls it first."""
    load_reactions()
    for module in JOBS:
        importlib.import_module(module)


def load_reactions() -> None:
    """Registers every reaction; whoever publishes calls it first, or nobody hears."""
    for module in REACTIONS:
        importlib.import_module(module)


def handlers() -> "list[HTTPRouteHandler]":
    """Every route of the API."""
    return [handler for room in routes() for handler in room.handlers]


def application(database: Database, settings: Settings) -> Any:
    """The ASGI application on an open database."""
    from supover.access import audit
    from supover.access.authenticate import Authenticator
    from supover.access.permissions import PERMISSIONS
    from supover.examples import EXAMPLES
    from supover.inbox.receiver import Receiver
    from supover.kit import api, edge, front, openapi

    load()
    authenticator = Authenticator(database, settings)
    door = api.Door(database, authenticator, audit.write_audit, {**PERMISSIONS, **front.PERMISSIONS})
    app = edge.build(
        door,
        [*handlers(), *front.handlers()],
        body_max_bytes=settings.body_max_bytes,
        openapi=openapi.CONFIG,
        on_shutdown=[authenticator.close],
    )
    app.state.settings = settings
    app.state.examples = EXAMPLES
    app.state.receiver = Receiver(database, settings)
    app.state.metrics_token = settings.metrics_token
    return edge.Edge(app, at_once=settings.max_in_flight, https=settings.public_url.startswith("https://"))
