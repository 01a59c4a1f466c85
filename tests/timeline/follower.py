"""A program that follows the event log."""

import asyncio

import httpx

from tests.makers import Json, told


class Follower:
    """A program that keeps the cursor and asks again."""

    def __init__(self, api: httpx.AsyncClient, **asked: object) -> None:
        self.api = api
        self.asked = asked
        self.cursor: str | None = None
        self.seen: list[Json] = []

    async def ask(self) -> list[Json]:
        params = {**self.asked, **({"cursor": self.cursor} if self.cursor else {})}
        page = told(await self.api.get("/api/events", params=params))  # pyright: ignore[reportArgumentType]
        assert page["nextCursor"] is not None
        self.cursor = page["nextCursor"]
        self.seen += page["data"]
        return page["data"]

    async def catch_up(self, least: int = 0) -> list[Json]:
        """What is new; waits for at least so many. A transaction of another test holds events up, as one of another shop would."""
        new: list[Json] = []
        while (page := await self.ask()) or len(new) < least:
            new += page
            await asyncio.sleep(0 if page else 0.02)
        return new
