"""The command line of one workspace, as tests use it."""

import asyncio
import json
from typing import Any

import typer
from typer.testing import CliRunner, Result

from tests.makers import Workspace


class Cli:
    """Commands of an app, in a thread of their own as they start an event loop of their own."""

    def __init__(self, app: typer.Typer, url: str, workspace: Workspace) -> None:
        self.app = app
        self.url = url
        self.workspace = workspace

    async def run(self, *args: str, code: int = 0) -> Result:
        given = [*args, "--workspace", str(self.workspace.id)]
        result = await asyncio.to_thread(CliRunner().invoke, self.app, given, env={"SUPOVER_DATABASE_URL": self.url})
        assert result.exit_code == code, (args, result.output, result.exception)
        return result

    async def json(self, *args: str, code: int = 0) -> Any:
        """The one document on standard output."""
        return json.loads((await self.run(*args, "--json", code=code)).stdout)
