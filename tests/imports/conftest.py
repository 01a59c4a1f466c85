"""Each test has a shop of its own, and a client with its key."""

from tests.makers import api

__all__ = ["api"]
