"""The sealer of connections' secrets, and the address that deliveries are sent to, by the settings in force."""

from functools import lru_cache
from typing import Final

from supover.kit.crypto import Sealer
from supover.settings import Settings, master_keys

PATH: Final = "/hooks/channels/"


@lru_cache(maxsize=4)
def sealer(settings: Settings) -> Sealer:
    """One a process: reading the key's file and deriving keys takes a while."""
    return Sealer(master_keys(settings))


def hooks(settings: Settings) -> str:
    """What every webhook address begins with; a connection's id follows."""
    return settings.public_url + PATH
