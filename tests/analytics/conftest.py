"""Each test has a shop of its own."""

from tests.makers import shop

__all__ = ["shop"]
