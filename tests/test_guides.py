"""The guides to duplicates, merging and privacy can be followed: every call is answered, every command has its options."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import httpx
import pytest
from typer.testing import CliRunner

from supover.cli import app
from supover.kit.db import Database
from tests.makers import Json, client, make_customer, make_workspace

GUIDES: Final = Path(__file__).parents[1] / "docs" / "guide"
NAMES: Final = ("analytics", "duplicates", "merging", "privacy")
NEW: Final = re.compile(r"(\w+)=\$\(new '(.*)'\)")
PLACES: Final = re.compile(r"\$(\w+)|\b([A-Z]+_ID)\b")


def commands(name: str) -> Iterator[list[str]]:
    """The words of each command in a guide's blocks of bash."""
    text = (GUIDES / f"{name}.md").read_text("utf-8")
    for block in re.findall(r"^ *```bash\n(.*?)```", text, re.DOTALL | re.MULTILINE):
        begun = ""
        for line in block.splitlines():
            begun = f"{begun}\n{line}" if begun else line.strip()
            try:
                words = shlex.split(begun, comments=not NEW.match(begun))
            except ValueError:
                continue  # a text that the next line closes
            if NEW.match(begun):
                yield [begun]
            elif words:
                yield words
            begun = ""


class Reader:
    """Somebody who types what a guide says, with the ids of the answers before."""

    def __init__(self, api: httpx.AsyncClient, **known: str) -> None:
        self.api = api
        self.known = {"URL": "", **known}

    async def make(self, name: str, body: str) -> None:
        answer = await self.api.post("/api/customers", content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code == 201, answer.text
        self.known[name] = answer.json()["id"]

    async def ask(self, words: list[str]) -> httpx.Response:
        method, path, body = "", "", None
        given = iter(PLACES.sub(lambda found: self.known[found[1] or found[2]], word) for word in words)
        for word in given:
            if word == "-X":
                method = next(given)
            elif word == "-d":
                body = next(given)
            else:
                path = word
        headers = {"Content-Type": "application/json"}
        method = method or ("GET" if body is None else "POST")
        answer = await self.api.request(method, path, content=body, headers=headers)
        self.learn(path, answer)
        return answer

    def learn(self, path: str, answer: httpx.Response) -> None:
        found: Json = answer.json()
        rows: list[Json] = found.get("data", [])
        for place, part, id in (
            ("CUSTOMER_ID", "/api/customers", found.get("id")),
            ("MERGE_ID", "/api/merges?", rows[0]["id"] if rows else None),
            ("IDENTITY_ID", "/identities", rows[0]["id"] if rows else None),
            ("REQUEST_ID", "/privacy/erase", found.get("id")),
        ):
            if part in path and id is not None:
                self.known[place] = id


@pytest.mark.parametrize("name", NAMES)
async def test_every_call_of_a_guide_is_answered(db: Database, name: str) -> None:
    shop = await make_workspace(db)
    asked = 0
    async with client(db, shop.key) as api:
        ann = (await make_customer(api, name="Ann Lee"))["id"]
        reader = Reader(api, ID=ann, CUSTOMER_ID=ann)
        for words in commands(name):
            if made := NEW.match(words[0]):
                await reader.make(made[1], made[2])
            elif words[0] == "ask":
                answer = await reader.ask(words[1:])
                assert answer.is_success, (words, answer.text)
                asked += 1
    assert asked >= 4


@pytest.mark.parametrize("name", (*NAMES, "exporting"))
def test_every_command_of_a_guide_has_its_options(name: str) -> None:
    seen = 0
    for words in commands(name):
        if words[0] != "supover":
            continue
        path = [word for word in words[1:3] if re.fullmatch(r"[a-z-]+", word) and not word.startswith("-")]
        answer = CliRunner().invoke(app, [*path, "--help"], env={"COLUMNS": "200", "TERM": "dumb"})
        assert answer.exit_code == 0, (words, answer.output)
        options = {word.partition("=")[0] for word in words if word.startswith("--")}
        assert {option for option in options if option not in answer.output} == set(), words
        seen += 1
    assert seen >= 1
