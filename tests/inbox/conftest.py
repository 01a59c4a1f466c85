"""Each test has a shop of its own, connected."""

from collections.abc import AsyncGenerator

import pytest

from supover.kit.db import Database
from tests.inbox.arrange import Connected, connected


@pytest.fixture
async def shopify(db: Database) -> AsyncGenerator[Connected]:
    """A connected shop."""
    async with connected(db) as found:
        yield found
