"""The one list of what the house is made of: routes, reactions, jobs, and the application they become."""

import importlib
from collections.abc import Sequence
from typing import Any, Final

from litestar.handlers import HTTPRouteHandler

from supover.access import audit
from supover.access import routes as access
from supover.access.authenticate import Authenticator
from supover.access.permissions import PERMISSIONS
from supover.addresses import routes as addresses
from supover.customers import routes as customers
from supover.imports import routes as imports
from supover.jobs import routes as jobs
from supover.kit import api, edge, front, openapi
from supover.kit.db import Database
from supover.merging import routes as merging
from supover.notes import routes as notes
from supover.orders import routes as orders
from supover.settings import Settings
from supover.timeline import routes as timeline

ROUTES: Final[Sequence[api.Routes]] = (
    customers.routes,
    addresses.routes,
    notes.routes,
    timeline.routes,
    orders.routes,
    merging.routes,
    imports.routes,
    orders.rate_routes,
    timeline.event_routes,
    access.routes,
    jobs.routes,
)

REACTIONS: Final = ("supover.analytics.reactions", "supover.merging.reactions")
JOBS: Final = ("supover.analytics.jobs", "supover.orders.jobs", "supover.imports.jobs", "supover.kit.housekeeping")


def load() -> None:
    """Registers every reaction and job; whoever publishes or works calls it first."""
    for module in (*REACTIONS, *JOBS):
        importlib.import_module(module)


def handlers() -> list[HTTPRouteHandler]:
    """Every route of the API."""
    return [handler for routes in ROUTES for handler in routes.handlers]


def application(database: Database, settings: Settings) -> Any:
    """The ASGI application on an open database."""
    load()
    authenticator = Authenticator(database, settings)
    door = api.Door(database, authenticator, audit.write_audit, PERMISSIONS | front.PERMISSIONS)
    app = edge.build(
        door,
        [*handlers(), *front.handlers()],
        body_max_bytes=settings.body_max_bytes,
        openapi=openapi.CONFIG,
        on_shutdown=[authenticator.close],
    )
    app.state.settings = settings
    app.state.metrics_token = settings.metrics_token
    return edge.Edge(app)
