"""Made customers of whom one in ten is there again: other spellings, other contacts, another address, and whole families."""

import random
from collections.abc import Iterator
from typing import Final

import msgspec

SYLLABLES: Final = (
    "ba be bi bo da de di do fa fi ga ge gi ha he ka ke ki ko la le li lo ma me mi mo na ne ni no pa pe ra re ri ro sa se si so "
    "ta te ti to va ve wa we ya yo za zo"
).split()
FIRST: Final = (
    "James Mary Robert Patricia John Jennifer Michael Linda David Elizabeth William Barbara Richard Susan Joseph Jessica "
    "Thomas Sarah Charles Karen Christopher Lisa Daniel Nancy Matthew Betty Anthony Margaret Mark Sandra Donald Ashley "
    "Steven Kimberly Paul Emily Andrew Donna Joshua Michelle Kenneth Carol Kevin Amanda Brian Dorothy George Melissa "
    "Edward Deborah Ronald Stephanie Timothy Rebecca Jason Sharon Jeffrey Laura Ryan Cynthia Jacob Kathleen Gary Amy "
    "Nicholas Shirley Eric Angela Jonathan Helen Stephen Anna Larry Brenda Justin Pamela Scott Nicole Brandon Emma "
    "Benjamin Samantha Samuel Katherine Gregory Christine Frank Debra Alexander Rachel Raymond Catherine Patrick Carolyn"
).split()
SHORT: Final = (
    "James:Jim Robert:Bob Patricia:Pat John:Jack Jennifer:Jenny Michael:Mike William:Bill Elizabeth:Liz Richard:Rick "
    "Joseph:Joe Thomas:Tom Charles:Chuck Christopher:Chris Daniel:Dan Matthew:Matt Anthony:Tony Margaret:Maggie Steven:Steve "
    "Andrew:Andy Kenneth:Ken Edward:Ed Deborah:Debbie Timothy:Tim Rebecca:Becky Nicholas:Nick Jonathan:Jon Benjamin:Ben "
    "Samuel:Sam Katherine:Kate Gregory:Greg Alexander:Alex"
).split()
NICKNAMES: Final = {long: short for long, _, short in (pair.partition(":") for pair in SHORT)}
STREETS: Final = "Street St,Avenue Ave,Road Rd,Drive Dr,Lane Ln,Court Ct,Boulevard Blvd,Place Pl".split(",")
MAILS: Final = "gmail.com yahoo.com hotmail.com outlook.com icloud.com aol.com".split()


class Person(msgspec.Struct):
    """A customer as some shop has it; equal `truth` is one person."""

    truth: int
    name: str
    email: str | None
    phone: str | None
    line1: str
    city: str
    zip: str


def made(count: int, seed: int = 7) -> Iterator[Person]:
    """So many customers, nine in ten of them other people, in no order; the same for the same seed."""
    rnd = random.Random(seed)
    lasts = ["".join(rnd.choice(SYLLABLES) for _ in range(rnd.choice((2, 2, 3, 3)))).title() for _ in range(20_000)]
    towns = [
        ("".join(rnd.choice(SYLLABLES) for _ in range(3)).title() + "ton", f"{rnd.randrange(1000, 99999):05}")
        for _ in range(20_000)
    ]
    weights = [1 / (n + 20) for n in range(len(lasts))]
    sums: list[float] = []
    for weight in weights:
        sums.append(weight + (sums[-1] if sums else 0))
    people: list[Person] = []
    again = count // 10
    for truth in range(count - again):
        if people and rnd.random() < 0.15:
            # One of a family: the same name and house, at times the same phone.
            kin = people[rnd.randrange(max(0, len(people) - 1000), len(people))]
            last, line1, city, zip = kin.name.split()[-1], kin.line1, kin.city, kin.zip
            phone = kin.phone if rnd.random() < 0.25 else _phone(rnd)
        else:
            last = rnd.choices(lasts, cum_weights=sums)[0]
            street = rnd.choices(lasts, cum_weights=sums)[0]
            city, zip = rnd.choice(towns)
            line1 = f"{rnd.randrange(1, 9999)} {street} {rnd.choice(STREETS).split()[0]}"
            phone = _phone(rnd)
        first = rnd.choice(FIRST)
        people.append(Person(truth, f"{first} {last}", _email(rnd, first, last), phone, line1, city, zip))
    for _ in range(again):
        people.append(_again(rnd, people[rnd.randrange(len(people))], towns, lasts))
    rnd.shuffle(people)
    yield from people


def _phone(rnd: random.Random) -> str | None:
    if rnd.random() < 0.14:
        return None
    return f"+1{rnd.randrange(200, 999)}{rnd.randrange(200, 999)}{rnd.randrange(10000):04}"


def _email(rnd: random.Random, first: str, last: str) -> str | None:
    if rnd.random() < 0.2:
        return None
    return f"{first[: rnd.choice((1, 20))]}.{last}{rnd.randrange(100_000)}@{rnd.choice(MAILS)}".lower()


def _again(rnd: random.Random, one: Person, towns: list[tuple[str, str]], lasts: list[str]) -> Person:
    """The same person in another shop."""
    first, *_, last = one.name.split()
    name, email, phone, line1, city, zip = one.name, one.email, one.phone, one.line1, one.city, one.zip
    match rnd.randrange(8):
        case 0:
            name = f"{NICKNAMES.get(first, first)} {last}"
        case 1:
            name = f"{first[0]} {last}"
        case 2:
            name = f"{last}, {first}"
        case 3:
            name = f"{_typo(rnd, first)} {last}"
        case 4:
            name = f"{first} {_typo(rnd, last)}"
        case 5:
            name = name.upper()
        case _:
            pass
    match rnd.randrange(4):
        case 0:
            email = None
        case 1:
            email = _email(rnd, first, last)
        case 2 if email is not None:
            email = email.replace("@", "+shop@")
        case _:
            pass
    match rnd.randrange(4):
        case 0:
            phone = _phone(rnd)
        case 1:
            phone = None
        case _:
            pass
    match rnd.randrange(4):
        case 0:
            city, zip = rnd.choice(towns)
            line1 = f"{rnd.randrange(1, 9999)} {rnd.choice(lasts)} Street"
        case 1:
            line1 = _typo(rnd, line1)
        case 2:
            for street in STREETS:
                long, short = street.split()
                line1 = line1.replace(f" {long}", f" {short}")
        case _:
            pass
    return Person(one.truth, name, email, phone, line1, city, zip)


def _typo(rnd: random.Random, word: str) -> str:
    at = rnd.randrange(1, max(2, len(word) - 1))
    return rnd.choice(
        (
            word[:at] + word[at + 1 :],
            word[:at] + rnd.choice("aeiourst") + word[at:],
            word[: at - 1] + word[at : at + 1] + word[at - 1 : at] + word[at + 1 :],
        )
    )
