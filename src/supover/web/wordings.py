"""Sentences that rooms keep in English with values in them, found again by their form, to be told in any language."""

import re
from functools import lru_cache
from typing import Final

from supover.web.model import Said

PREDICTED: Final = (
    "At least %(least)s customers with an order: there are %(there)s.",
    "At least %(least)s days of orders: there are %(there)s.",
    "An order within the last %(days)s days: there is none.",
    "An order within the last %(days)s days: the last one came on %(day)s.",
    "Some customers with %(orders)s or more orders: there are none.",
    "An order of this customer that counts.",
    "A fit since this customer's first order: the last one knew the orders up to %(day)s.",
    "Ordered once, today.",
    "Ordered once, %(days)s day ago.",
    "Ordered once, %(days)s days ago.",
    "Of all who ordered once, %(share)s came again.",
    "Last ordered today; until then every %(usual)s days on average.",
    "Last ordered %(days)s day ago; until then every %(usual)s days on average.",
    "Last ordered %(days)s days ago; until then every %(usual)s days on average.",
    "Silent for %(times)s times as long as usual.",
    "Within the usual time between orders.",
    "Ordered on %(days)s days since %(day)s.",
)
"""What predictions lack, and what drives them, as `analytics.predictions` and `prediction_rules` word it."""

SUSPECTED: Final = (
    "same email",
    "same phone",
    "same email, kept with its first holder",
    "emails differ by a typo",
    "same mailbox name elsewhere",
    "other emails",
    "phones differ by a digit",
    "same as far as the masked phone shows",
    "other phones",
    "somebody gave the one the other's email",
    "somebody gave the one the other's phone",
    "somebody gave the one the other's buyer id",
    "a file gave the one the other's email",
    "a file gave the one the other's buyer id",
    "first names go together",
    "first names do not go together",
    "the first names do not go together",
    "the names do not say enough",
    "first and last name the other way round",
    "same first name, %(name)s",
    "first names are forms of one",
    "first names differ by a typo",
    "one goes by the other's middle name",
    "same initial",
    "same middle name or initial",
    "other middle names",
    "same last name, %(name)s (a family at one address)",
    "same last name, %(name)s",
    "last names differ by a typo (a family at one address)",
    "last names differ by a typo",
    "one last name is part of the other (a family at one address)",
    "one last name is part of the other",
    "other last names",
    "father and son: Jr or Sr differs",
    "same address",
    "same address, a unit is told once",
    "same house, other units",
    "same address but for a typo",
    "same street, house numbers nearly",
    "same street, other houses",
    "same town",
    "same town, other streets",
    "other addresses",
    "same birth date",
    "birth dates differ by a digit, or day and month stand the other way round",
    "other birth dates",
)
"""Why two customers may be one person or not, as `duplicates.scoring`, `customers` and `orders` word it."""


def _form(sentence: str) -> re.Pattern[str]:
    dated = re.escape(sentence).replace(r"%\(day\)s", r"(?P<day>\d{4}-\d\d-\d\d)")
    return re.compile(re.sub(r"%\\\((\w+)\\\)s", r"(?P<\1>.+)", dated))


FORMS: Final = [(one, _form(one)) for one in (*PREDICTED, *SUSPECTED) if "%(" in one]


@lru_cache(maxsize=4096)
def found(text: str) -> Said:
    """What was said with which values; what has no form here stands as it is."""
    for sentence, form in FORMS:
        if match := form.fullmatch(text):
            return Said(sentence, match.groupdict())
    return Said(text)
