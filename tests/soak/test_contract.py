"""Hundreds of made-up requests for every operation, each in a shop of its own. With `-s` it prints what was answered."""

import os
from collections import Counter
from collections.abc import AsyncGenerator, Generator
from typing import TYPE_CHECKING, Any, Final

import asyncpg
import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from supover.kit.db import Database
from tests import makers
from tests.house import contract
from tests.house.world import Shop, make_shop

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]

EXAMPLES: Final = int(os.environ.get("SOAK_EXAMPLES", "200"))

pytestmark = [pytest.mark.soak, pytest.mark.timeout(900)]


@pytest.fixture
async def own(db: Database, owner: "Connection") -> AsyncGenerator[Shop]:
    yield await make_shop(db, owner)
    await contract.forget_attempts(db, owner)


@pytest.fixture
async def program(db: Database, own: Shop) -> AsyncGenerator[httpx.AsyncClient]:
    async with makers.client(db, own.workspace.key) as found:
        yield found


@pytest.fixture
def answered(request: pytest.FixtureRequest) -> Generator[Counter[int]]:
    found: Counter[int] = Counter()
    yield found
    print(f"\n{request.node.callspec.params['name']}: {dict(sorted(found.items()))}", end=" ")


@pytest.mark.parametrize("name", contract.names())
@given(data=st.data())
@settings(max_examples=EXAMPLES, database=None, suppress_health_check=contract.SLOW_IS_FINE)
async def test_whatever_is_asked_is_answered_as_the_document_says(
    data: Any, name: str, program: httpx.AsyncClient, own: Shop, answered: Counter[int]
) -> None:
    case = data.draw(contract.cases(name))
    if data.draw(st.booleans()):
        contract.aim(case, name, own, with_good_body=data.draw(st.booleans()))
    answer = await contract.send(program, case)
    answered[answer.status_code] += 1
    contract.check(case, answer)
