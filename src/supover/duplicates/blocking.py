"""Which customers are compared at all: those who share a key of one of these rules.

Pure. PostgreSQL finds who shares a key; a key that too many share is none, or a placeholder would be compared with itself
a million times.
"""

from collections.abc import Iterator
from itertools import combinations
from typing import Final

from supover.duplicates.profiles import Profile, canonical_names, mask_of

MOST_IN_A_BLOCK: Final = 20
"""A key that more customers than this share leads to nobody."""


def keys(p: Profile) -> list[str]:
    """The keys of a profile, each with its rule's letter before it.

    No small letter has a rule whose keys people of one household do not share as such: contacts, birth dates, whole names.
    """
    name = p.name
    first, last = name.first, name.last
    family = last or first
    found: list[str] = []
    for email in p.emails:
        found += (f"E{email}", f"L{email.partition('@')[0]}|{family}")
    masks = list(p.masks)
    for phone in p.phones:
        found += (f"P{phone}", f"7{phone[-7:]}|{family}")
        if mask := mask_of(phone):
            masks.append(mask)
    found += [f"M{mask}|{first}|{last}" for mask in masks]
    # First and last name may stand the other way round.
    both = f"{first}|{last}" if first < last else f"{last}|{first}"
    for place in p.places:
        zip, house, street, city = place.zip, place.house, place.street, place.city
        if zip:
            found.append(f"w{zip}|{family}")
            if house:
                found += (f"i{zip}|{house}|{first[:1]}", f"h{zip}|{house}|{family}")
            if street:
                found.append(f"f{zip}|{street}|{first}")
            if last:
                found.append(f"N{zip}|{both}")
                found += [f"c{zip}|{full}|{last}" for full in canonical_names(first)]
        if street and house:
            found += (f"s{house}|{street}|{family}", f"a{house}|{street}")
        if city:
            found.append(f"k{city}|{family}")
            if last:
                found.append(f"T{city}|{both}")
    if p.born:
        found += (f"B{p.born}", f"F{p.born}|{family}", f"D{p.born}|{first}")
        for place in p.places:
            found.append(f"Z{p.born}|{place.zip or place.city}")
            if place.house:
                found.append(f"Y{p.born}|{place.house}")
    return found if len(p.places) < 2 and not masks else list(dict.fromkeys(found))


def pairs(profiles: list[Profile]) -> Iterator[tuple[int, int]]:
    """The places of those who share a key, each pair once: what PostgreSQL finds, for few profiles."""
    blocks: dict[str, list[int]] = {}
    for n, one in enumerate(profiles):
        for key in set(keys(one)):
            blocks.setdefault(key, []).append(n)
    yield from {
        pair for members in blocks.values() if 2 <= len(members) <= MOST_IN_A_BLOCK for pair in combinations(members, 2)
    }
