"""What filters ask, in the reader's words: codes by what they are called, numbers and days as the reader writes them."""

from datetime import date
from decimal import Decimal
from functools import lru_cache
from typing import Final, cast

from babel import Locale, dates, numbers
from jinja2 import pass_context
from jinja2.runtime import Context

from supover.customers.custom_field_filters import PREFIX
from supover.kit import filters
from supover.kit.filters import Condition, Field, Tree
from supover.web import vocabularies
from supover.web.model import Language
from supover.web.rendering import spelled, words


class InWords(filters.Wording):
    """As a reader of one language is told. What people called themselves, custom fields and tags, stays as it is."""

    def __init__(self, language: Language) -> None:
        self._say = words(language).gettext
        self._locale = Locale.parse(language)

    def phrase(self, text: str) -> str:
        """A phrase of the catalogue."""
        return self._say(text)

    def name(self, field: Field) -> str:
        """A field of ours by its name in the language."""
        return field.words if _is_custom(field) else self._say(field.words)

    def text(self, asked: Condition, value: str) -> str:
        """A code by what it is called; what is looked for within a text is none."""
        field = asked.field
        if field.kind == "choice":
            return value if _is_custom(field) else self._say(spelled(value))
        if not vocabularies.is_chosen(field, asked.op.upper()):
            return value
        called = vocabularies.called(field.vocabulary, value, self._locale)
        return self._say(called) if field.vocabulary == "source" else called


class InWordsAbroad(InWords):
    """As a reader is told who does not read English."""

    def __init__(self, language: Language) -> None:
        super().__init__(language)
        point, comma = numbers.get_decimal_symbol(self._locale), numbers.get_group_symbol(self._locale)
        self._separators: Final = str.maketrans(".,", point + comma)

    def number(self, value: Decimal) -> str:
        """A number with the separators of the language."""
        return super().number(value).translate(self._separators)

    def day(self, day: date) -> str:
        """A day with its month in the language."""
        return dates.format_date(day, "long", self._locale)


def _is_custom(field: Field) -> bool:
    return field.name.startswith(PREFIX)


@lru_cache
def wording(language: Language) -> filters.Wording:
    """How a reader of this language is told."""
    return InWords(language) if language == "en" else InWordsAbroad(language)


@pass_context
def described(context: Context, rule: Tree | None) -> str:
    """What a filter asks, in the reader's language; nothing of one that cannot be read."""
    return "" if rule is None else filters.describe(rule, wording(cast("Language", context["language"])))
