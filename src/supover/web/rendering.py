"""Templates become pages: the environment of each language, and how values are told to people."""

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, cast
from zoneinfo import ZoneInfo

import msgspec
from babel import Locale, dates, numbers
from babel.messages.pofile import read_po
from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup, escape
from msgspec import UNSET

from supover.kit import clock, countries, money
from supover.web import wordings
from supover.web.model import LANGUAGES, Language, Said

HERE: Final = Path(__file__).parent
STATIC: Final = HERE.parent / "static"

# --- words ---------------------------------------------------------------------------------------------------------------


class Words:
    """What is said in a language, from its catalogue; English is what the templates and rooms say."""

    def __init__(self, language: Language) -> None:
        self._locale = Locale.parse(language)
        self._said: dict[str, tuple[str, ...]] = {}
        self._written: dict[str, Markup] = {}
        file = HERE / "languages" / f"{language}.po"
        if language != "en" and file.exists():
            with file.open("rb") as opened:
                for message in read_po(opened, locale=language):
                    if message.id and message.string and not message.fuzzy:
                        ids, said = message.id, message.string
                        key = ids if isinstance(ids, str) else ids[0]
                        self._said[key] = (said,) if isinstance(said, str) else tuple(said)
        self._forms = wordings.forms(self._said)

    def gettext(self, text: str) -> str:
        """A sentence in this language."""
        found = self._said.get(text)
        return found[0] if found else text

    def told(self, text: str, deepest: int = wordings.DEEPEST) -> str:
        """What a room says in English, such as what is wrong with a field, in this language; the rest as it is."""
        if text in self._said or not self._forms or not deepest or len(text) > wordings.LONGEST:
            return self.gettext(text)
        found = wordings.found(text, self._forms)
        if found is None:
            return wordings.part_by_part(text, lambda part: self.told(part, deepest - 1))
        sentence, values = found
        return self.gettext(sentence) % {name: self._value(name, value, deepest) for name, value in values.items()}

    def _value(self, name: str, value: str, deepest: int) -> str:
        if name == wordings.COUNTRY:
            return cast("Mapping[str, str]", self._locale.territories).get(countries.code(value) or "", value)
        if wordings.NUMBER.fullmatch(value):
            return numbers.format_decimal(int(value.replace(",", "")), locale=self._locale)
        return self.told(value, deepest - 1)

    def written(self, text: str, /, **values: object) -> Markup:
        """A sentence of a template, with values at its places; it is HTML, they are not.

        Jinja2's own looks three functions up for each, and a list of customers says thousands of words.
        """
        if values:
            return self._markup(text) % values
        found = self._written.get(text)
        if found is None:
            found = self._written[text] = self._markup(text) % {}
        return found

    def _markup(self, text: str) -> Markup:
        return Markup(self.gettext(text))  # noqa: S704 - what templates and catalogues say is ours

    def ngettext(self, one: str, many: str, n: int) -> str:
        """A sentence that counts. Vietnamese has one form for every number."""
        found = self._said.get(one)
        return found[-1] if found else (one if n == 1 else many)


@pass_context
def sentences(context: Context, said: Sequence[Said]) -> str:
    """What was said elsewhere, in the reader's language."""
    return " ".join(_sentence(context, one) for one in said)


def _sentence(context: Context, said: Said) -> str:
    words = cast("Words", context["catalogue"])
    text = words.ngettext(said.text, said.many, said.n) if said.many else words.gettext(said.text)
    return text % {name: _value(context, value) for name, value in said.values.items()} if said.values else text


def _value(context: Context, value: str | int | Said) -> str:
    match value:
        case Said():
            return _sentence(context, value)
        case int():
            return in_digits(context, value)
        case str():
            return value


@lru_cache
def words(language: Language) -> Words:
    """What is said in one language."""
    return Words(language)


def wanted_language(header: str | None) -> Language:
    """The first language of an Accept-Language header that we speak."""
    for part in (header or "").split(","):
        code = part.partition(";")[0].strip()[:2].lower()
        if code in LANGUAGES:
            return code
    return "en"


# --- values ----------------------------------------------------------------------------------------------------------------

Value = Decimal | int | float | None
NOTHING: Final = "–"


def _locale(context: Context) -> Locale:
    return cast("Locale", context["locale"])


def _zone(context: Context) -> ZoneInfo:
    return cast("ZoneInfo", context["zone"])


@pass_context
def in_money(context: Context, amount: Value, currency: str, *, short: bool = False) -> str:
    """An amount with its currency at its digits; `short` rounds to what fits on an axis."""
    if amount is None or amount is UNSET:
        return NOTHING
    if short:
        return numbers.format_compact_currency(amount, currency, locale=_locale(context), fraction_digits=1)
    return _money(money.at_digits(Decimal(amount), currency), currency, _locale(context))


# A page tells the same amounts and shares again and again, in a chart and in its table.
@lru_cache(maxsize=8192)
def _money(amount: Decimal, currency: str, locale: Locale) -> str:
    return numbers.format_currency(amount, currency, None, locale)


@pass_context
def in_digits(context: Context, value: Value, digits: int | None = None, *, short: bool = False) -> str:
    """A number with its separators."""
    if value is None or value is UNSET:
        return NOTHING
    if short:
        return numbers.format_compact_decimal(value, locale=_locale(context), fraction_digits=1)
    if digits is not None:
        value = round(Decimal(str(value)), digits)
    return _digits(value, _locale(context))


@lru_cache(maxsize=8192)
def _digits(value: Decimal | float, locale: Locale) -> str:
    return numbers.format_decimal(value, locale=locale, decimal_quantization=False)


@pass_context
def in_percent(context: Context, share: Value, digits: int = 0) -> str:
    """A share (0 to 1) in percent."""
    if share is None or share is UNSET:
        return NOTHING
    return _percent(round(Decimal(str(share)), digits + 2), digits, _locale(context))


@lru_cache(maxsize=8192)
def _percent(share: Decimal, digits: int, locale: Locale) -> str:
    pattern = "#,##0" + ("." + "0" * digits if digits else "") + "%"
    return numbers.format_percent(share, pattern, locale)


@pass_context
def amount(context: Context, text: str | None, currency: str) -> str:
    """An amount that comes as text, as reports tell theirs."""
    return in_money(context, None if text is None else Decimal(text), currency)


@pass_context
def in_change(context: Context, share: Value) -> str:
    """By how much something changed, with its sign."""
    if share is None:
        return NOTHING
    return ("+" if share > 0 else "") + in_percent(context, share, 1)


@pass_context
def on_day(context: Context, moment: datetime | date | None, form: str = "medium") -> str:
    """A day, in the reader's time zone."""
    if moment is None or moment is UNSET:
        return NOTHING
    if isinstance(moment, datetime):
        moment = moment.astimezone(_zone(context)).date()
    return _day(moment, form, _locale(context))


@lru_cache(maxsize=8192)
def _day(day: date, form: str, locale: Locale) -> str:
    return dates.format_date(day, cast("Any", form), locale)


@pass_context
def at_time(context: Context, moment: datetime | None, form: str = "medium") -> str:
    """A day and a time, in the reader's time zone."""
    if moment is None or moment is UNSET:
        return NOTHING
    return dates.format_datetime(moment, cast("Any", form), _zone(context), _locale(context))


@pass_context
def time_only(context: Context, moment: datetime) -> str:
    """A time of the day, in the reader's time zone."""
    return dates.format_time(moment, "short", _zone(context), _locale(context))


@pass_context
def ago(context: Context, moment: datetime | None) -> str | Markup:
    """How long ago, with the exact time for who wants it."""
    if moment is None or moment is UNSET:
        return NOTHING
    said = dates.format_timedelta(moment - clock.now(), add_direction=True, locale=_locale(context))
    exact = at_time(context, moment)
    return Markup('<time datetime="{}" title="{}">{}</time>').format(moment.isoformat(), exact, said)


@pass_context
def in_duration(context: Context, seconds: float | None) -> str:
    """A length of time."""
    if seconds is None:
        return NOTHING
    return dates.format_timedelta(timedelta(seconds=seconds), locale=_locale(context), threshold=1.2)


@pass_context
def country_name(context: Context, code: str | None) -> str:
    """A country by its code; what is no code stays."""
    if not code:
        return NOTHING
    return cast("Mapping[str, str]", _locale(context).territories).get(code.upper(), code)


@pass_context
def dated(context: Context, day: date, skeleton: str) -> str:
    """A day by those of its parts that a CLDR skeleton names: `MMMd` is Nov 22, `yMMM` Nov 2026."""
    return dates.format_skeleton(skeleton, day, locale=_locale(context))


CHANNELS: Final[Mapping[str, str]] = {
    "TIKTOK_SHOP": "TikTok Shop",
    "SHOPIFY": "Shopify",
    "ETSY": "Etsy",
    "WOOCOMMERCE": "WooCommerce",
    "AMAZON": "Amazon",
    "EBAY": "eBay",
}
"""Where customers buy, as people know it."""
SOURCES: Final = {**CHANNELS, "MANUAL": "Manual", "IMPORT": "Import", "API": "API"}
"""Where customers and orders come from."""


def source_name(source: str | None) -> str:
    """A channel as people know it."""
    if not source:
        return NOTHING
    return SOURCES.get(source, source.replace("_", " ").capitalize() if source.isupper() else source)


@pass_context
def in_source(context: Context, source: str | None) -> str:
    """A channel as people know it; what is no channel, in the reader's language."""
    name = source_name(source)
    return cast("Words", context["catalogue"]).gettext(name) if source in SOURCES else name


def called(who: object) -> str:
    """What a customer is called by the first that is known of name, email and phone; "" where a list tells of none of them."""
    return next((known for known in (getattr(who, part, None) for part in ("name", "email", "phone")) if known), "")


@pass_context
def called_or(context: Context, who: object, otherwise: object = None) -> object:
    """What a customer is called; `otherwise`, or words that say so, where nothing is known."""
    if otherwise is None:
        return called(who) or cast("Words", context["catalogue"]).gettext("No name")
    return called(who) or otherwise


def initials(name: str | None, email: str | None = None) -> str:
    """One or two letters for who has no picture."""
    words = [word for word in (name or email or "?").split() if word[0].isalnum()]
    if not words:
        return "?"
    return (words[0][0] + (words[-1][0] if len(words) > 1 else "")).upper()


ACRONYMS: Final = frozenset({"API", "RFM", "SMS", "VIP"})


def spelled(value: str | None) -> str:
    """A code of ours as English words: 'needs_review', 'AT_RISK' and 'CustomersMerged' read like a sentence."""
    if not value:
        return NOTHING
    spaced = "".join(f" {c}" if c.isupper() and i and not value[i - 1].isupper() else c for i, c in enumerate(value))
    words = spaced.replace("_", " ").capitalize().split()
    return " ".join(word.upper() if word.upper() in ACRONYMS else word for word in words)


@pass_context
def told(context: Context, text: str) -> str:
    """What a room says in English, such as what is wrong with a field, in the reader's language; text, whoever wrote it."""
    return cast("Words", context["catalogue"]).told(text)


DAY: Final = re.compile(r"\b\d{4}-\d\d-\d\d\b")


@pass_context
def with_days(context: Context, text: str) -> str:
    """Text whose days are written as the reader writes them."""
    return DAY.sub(lambda day: on_day(context, date.fromisoformat(day[0])), text)


IDS: Final = re.compile(r"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})")


def parted(text: str) -> Sequence[str]:
    """Text parted at the ids that it names, which stand at the odd places."""
    return IDS.split(text)


@pass_context
def segment(context: Context, text: str | None) -> str:
    """A segment's name or description: a built-in one's in the reader's language, one that people wrote as it is."""
    return told(context, text) if text in wordings.BUILT_IN else text or ""


WEIGHT: Final = re.compile(r" \([+-][0-9.]+\)$")
"""The bits behind a reason, as `duplicates.scoring.words` tells them."""


@pass_context
def reason(context: Context, text: str) -> str:
    """Why two may be one, in the reader's language and without what it weighs."""
    return told(context, WEIGHT.sub("", text))


@pass_context
def in_words(context: Context, value: str | None) -> str:
    """A code of ours as words, in the reader's language."""
    return cast("Words", context["catalogue"]).gettext(spelled(value))


TONES: Final[Mapping[str, str]] = {
    "ACTIVE": "good", "VIP": "brand", "BLOCKED": "bad", "low": "good", "medium": "warn", "high": "bad",
    "CHAMPIONS": "good", "LOYAL": "good", "PROMISING": "brand", "NEW": "brand", "NEEDS_ATTENTION": "warn", "AT_RISK": "warn",
    "ALMOST_LOST": "warn", "PREVIOUSLY_LOYAL": "bad", "DORMANT": "bad",
    "confirmed": "brand", "processing": "brand", "shipped": "brand", "delivered": "good", "returned": "warn",
}  # fmt: skip


def tone(code: str | None) -> str:
    """Which tone a status, an RFM group or a churn risk has; it is always told in words, too."""
    return TONES.get(code or "", "quiet")


def icon(name: str, label: str = "") -> Markup:
    """A drawing; one with a label is read aloud."""
    return _drawn(asset("icons.svg"), name, label)


@lru_cache(maxsize=1024)
def _drawn(sprite: str, name: str, label: str) -> Markup:
    told = Markup('role="img" aria-label="{}"').format(label) if label else Markup('aria-hidden="true"')
    return Markup('<svg class="icon" {}><use href="{}#{}"/></svg>').format(told, sprite, name)


@lru_cache(maxsize=8192, typed=True)
def badge(label: object, tone: str = "quiet", **given: object) -> Markup:
    """A word or two that stand out, in a tone; what else is given becomes attributes."""
    also = f" {given.pop('class')}" if "class" in given else ""
    return Markup('<span class="badge{}" data-tone="{}"{}>{}</span>').format(also, tone, attributes(given), label)


def badges(words: Mapping[str, str]) -> Mapping[str, Markup]:
    """The badges of codes, from what they are called: rows look theirs up."""
    return {code: badge(label, tone(code)) for code, label in words.items()}


def asset(name: str) -> str:
    """The address of one of our files; it changes with the file, within a second."""
    return _address(name, int(clock.monotonic_s()))


@lru_cache(maxsize=64)
def _address(name: str, second: int) -> str:
    del second  # a page has dozens of icons in one file
    return f"/assets/{name}?v={_version(name, changed(name))}"


def changed(name: str) -> int:
    """When one of our files was made, in nanoseconds; 0 where there is none."""
    try:
        return (STATIC / name).stat().st_mtime_ns
    except OSError:
        return 0


@lru_cache(maxsize=64)
def _version(name: str, at: int) -> str:
    return hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:10] if at else "0"


def attributes(given: Mapping[str, object]) -> Markup:
    """HTML attributes: True stands alone, None and False are left out, `hx_get` becomes hx-get."""
    parts = [
        f" {escape(name.replace('_', '-'))}"
        if value is True
        else f' {escape(name.replace("_", "-"))}="{escape(value)}"'
        for name, value in given.items()
        if value is not None and value is not False and value is not UNSET
    ]
    return Markup("".join(parts))  # noqa: S704 - names are ours, values are escaped


def select_options(choices: Iterable[tuple[object, object]], chosen: object = None) -> Markup:
    """The options of a select from (value, label) pairs; a list of countries has 250 of them."""
    on = str(chosen)
    return Markup("").join(_option(value, label, is_on=str(value) == on) for value, label in choices)


@lru_cache(maxsize=8192, typed=True)
def _option(value: object, label: object, *, is_on: bool) -> Markup:
    return Markup('<option value="{}"{}>{}</option>').format(value, " selected" if is_on else "", label)


def lines(value: str | None) -> Markup:
    """Text with its line breaks."""
    return Markup("<br>").join(escape(line) for line in (value or "").splitlines())


def is_set(value: object) -> bool:
    """Whether there is a value."""
    return value is not UNSET and value is not None


BROWSERS: Final = (
    ("Edg/", "Edge"),
    ("OPR/", "Opera"),
    ("Firefox/", "Firefox"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
)
SYSTEMS: Final = (
    ("iPhone", "iPhone"), ("iPad", "iPad"), ("Android", "Android"), ("Windows", "Windows"), ("Mac OS", "macOS"), ("Linux", "Linux"),
)  # fmt: skip


def browser_name(agent: str | None) -> str:
    """A browser and its system as people know them; what is neither stays as it is."""
    told = [next((name for mark, name in of if mark in (agent or "")), "") for of in (BROWSERS, SYSTEMS)]
    return " · ".join(filter(None, told)) or (agent or "")[:80]


def as_json(value: object) -> str:
    """A value as JSON, for an attribute."""
    return msgspec.json.encode(value).decode()


# --- environments ------------------------------------------------------------------------------------------------------------

FILTERS: Final[Mapping[str, Callable[..., Any]]] = {
    "money": in_money,
    "amount": amount,
    "change": in_change,
    "digits": in_digits,
    "percent": in_percent,
    "day": on_day,
    "dated": dated,
    "at": at_time,
    "clock": time_only,
    "ago": ago,
    "duration": in_duration,
    "country": country_name,
    "source": in_source,
    "called": called_or,
    "initials": initials,
    "words": in_words,
    "sentences": sentences,
    "told": told,
    "with_days": with_days,
    "parted": parted,
    "reason": reason,
    "segment": segment,
    "tone": tone,
    "lines": lines,
    "json": as_json,
    "browser": browser_name,
}


@lru_cache
def environment(language: Language) -> Environment:
    """The templates, in one language."""
    env = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n", "jinja2.ext.do"],
    )
    said = words(language)
    cast("Any", env).install_gettext_callables(said.gettext, said.ngettext, newstyle=True)
    cast("dict[str, Any]", env.filters).update(FILTERS)
    cast("dict[str, Any]", env.tests)["set"] = is_set
    cast("dict[str, Any]", env.globals).update(
        _=said.written, gettext=said.written, icon=icon, badge=badge, badges=badges, select_options=select_options, asset=asset,
        attributes=attributes, LANGUAGES=LANGUAGES, CHANNELS=CHANNELS, UNSET=UNSET, now=clock.now, language=language,
        SOURCES={code: said.gettext(name) for code, name in SOURCES.items()}, catalogue=said, locale=Locale.parse(language),
    )  # fmt: skip
    return env


def render(template: str, *, language: Language, timezone: str, **values: object) -> str:
    """A template, filled."""
    return environment(language).get_template(template).render(zone=ZoneInfo(timezone), **values)
