"""Pairs joined to people, best first, and never two who cannot be one person. Pure."""

from collections.abc import Callable, Iterable
from typing import TypeVar

K = TypeVar("K")


def clusters(
    pairs: Iterable[tuple[K, K, float]], forbids: Callable[[K, K], bool]
) -> tuple[list[list[K]], list[tuple[K, K]]]:
    """The groups that pairs (a, b, score) join, the best pair first; and the pairs that were refused.

    A union is refused when any member of the one forbids any of the other: joined one after the other, a father, his son
    and a record that could be either would become one person.
    """
    members: dict[K, list[K]] = {}
    refused: list[tuple[K, K]] = []
    for a, b, _ in sorted(pairs, key=lambda pair: -pair[2]):
        one, other = members.setdefault(a, [a]), members.setdefault(b, [b])
        if one is other:
            continue
        if any(forbids(x, y) for x in one for y in other):
            refused.append((a, b))
            continue
        if len(one) < len(other):
            one, other = other, one
        one.extend(other)
        for member in other:
            members[member] = one
    found = {id(group): group for group in members.values() if len(group) > 1}
    return list(found.values()), refused
