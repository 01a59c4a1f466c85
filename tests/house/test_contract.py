"""A few made-up requests for every operation; `make soak` sends hundreds."""

from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Any

import asyncpg
import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from supover.kit.db import Database
from tests import makers
from tests.house import contract
from tests.house.conftest import connected
from tests.house.world import Shop, make_shop

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]


@pytest.fixture(scope="module")
async def behind(database: str) -> AsyncGenerator["Connection"]:
    async with connected(database) as con:
        yield con


@pytest.fixture(scope="module")
async def own(db: Database, behind: "Connection") -> AsyncGenerator[Shop]:
    yield await make_shop(db, behind)
    await contract.forget_attempts(db, behind)


@pytest.fixture(scope="module")
async def program(db: Database, own: Shop) -> AsyncGenerator[httpx.AsyncClient]:
    async with makers.client(db, own.workspace.key) as found:
        yield found


@pytest.mark.parametrize("name", contract.names())
@given(data=st.data())
@settings(max_examples=5, derandomize=True, database=None, suppress_health_check=contract.SLOW_IS_FINE)
async def test_whatever_is_asked_is_answered_as_the_document_says(
    data: Any, name: str, program: httpx.AsyncClient, own: Shop
) -> None:
    case = data.draw(contract.cases(name))
    if data.draw(st.booleans()):
        contract.aim(case, name, own, with_good_body=data.draw(st.booleans()))
    contract.check(case, await contract.send(program, case))
