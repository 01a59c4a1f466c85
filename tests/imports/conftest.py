"""Each test has a shop of its own, and a client with its key."""

from tests.makers import api, shop

__all__ = ["api", "shop"]
