"""Each test has a shop of its own, and a client with its key."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from supover import settings as configuration
from supover.kit.db import Database
from tests.makers import api, application, shop

__all__ = ["api", "kept", "shop"]


@pytest.fixture
def kept(db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the files of imports are kept while this test runs."""
    state: Any = application(db).app.state
    here = msgspec.structs.replace(state.settings, storage_url=tmp_path.as_uri())
    monkeypatch.setattr(state, "settings", here)
    monkeypatch.setattr(configuration, "load", lambda: here)
    return tmp_path
