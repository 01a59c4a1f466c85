"""Each test has a shop of its own, a folder for its files, and whoever has everything that somebody can have."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from supover import settings as configuration
from supover.kit.db import Database
from tests.makers import api, application, shop

__all__ = ["api", "shop"]


@pytest.fixture(autouse=True)
def folder(db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where files are kept while this test runs."""
    state: Any = application(db).app.state
    here = msgspec.structs.replace(state.settings, storage_url=tmp_path.as_uri(), public_url="http://shop.test")
    monkeypatch.setattr(state, "settings", here)
    monkeypatch.setattr(configuration, "load", lambda: here)
    return tmp_path
