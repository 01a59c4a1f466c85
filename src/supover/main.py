"""The API server's process: an ASGI application that opens its database when it starts."""

import gc
from typing import Any

from supover import settings as configuration
from supover import wiring
from supover.kit import telemetry
from supover.kit.db import Database
from supover.settings import Settings


class Server:
    """An ASGI application whose lifespan opens and closes the database."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._app: Any = None
        self._database: Database | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answers, or starts and stops."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        else:
            await self._app(scope, receive, send)

    async def _live(self, receive: Any, send: Any) -> None:
        await receive()
        try:
            self._database = await open_database(self.settings)
            self._app = wiring.application(self._database, self.settings)
        except Exception as error:
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            raise
        # What stands now stands to the end: the collector need not walk it again and again while requests are answered.
        gc.collect()
        gc.freeze()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._database.close()
        telemetry.write()
        await send({"type": "lifespan.shutdown.complete"})


async def open_database(settings: Settings) -> Database:
    """The application's door to the database that the settings name."""
    dsn = settings.app_database_url or settings.database_url
    if dsn is None:
        raise SystemExit("No database: start with `supover up`, or set SUPOVER_DATABASE_URL.")
    return await Database.open(
        dsn,
        size=settings.pool_size,
        statement_timeout_s=settings.statement_timeout_s,
        as_app=settings.app_database_url is None,
    )


def create_app() -> Server:
    """The factory that the server process calls."""
    settings = configuration.load()
    telemetry.configure(settings.log_format, settings.log_level)
    return Server(settings)
