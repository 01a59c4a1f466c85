"""What the rows of a customer file say, checked column by column. Pure.

Each check is the one that a customer who is typed in goes through (customers.rules, kit.text, addresses.rules); plain cells
take a short way with the same result.
"""

# polars' signatures name types of numpy, which is not installed.
# pyright: reportUnknownMemberType=false

import hashlib
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Final, cast

import msgspec
import polars as pl

from supover.addresses import rules as address_rules
from supover.channels.model import PostalAddress
from supover.customers import custom_field_rules
from supover.customers import rules as customer_rules
from supover.customers.contacts import NOBODY
from supover.customers.custom_field_model import Definitions
from supover.imports import contact_columns as columns
from supover.imports.customer_columns import CUSTOM, Plan
from supover.imports.customer_dates import birth_date
from supover.imports.customer_model import CustomerImportOptions
from supover.imports.model import MOST_MISTAKES, Mistake
from supover.kit import countries, tables, text
from supover.kit.problems import worded
from supover.notes.commands import LENGTH as NOTE_LENGTH

COMMANDS: Final = ("NEW", "MERGE", "UPDATE", "REPLACE", "DELETE", "IGNORE")
TAGS_COMMANDS: Final = ("ADD", "REPLACE", "REMOVE")
STATUSES: Final = ("ACTIVE", "INACTIVE", "BLOCKED", "VIP")
ADDRESS_TYPES: Final = ("SHIPPING", "BILLING", "BOTH")
TAG_SEPARATOR: Final = "\x1f"

SCHEMA: Final[Mapping[str, type[pl.DataType]]] = {
    "row": pl.Int64,
    **dict.fromkeys(
        (
            "command", "tags_command", "id", "source", "shop", "external_id", "email", "email_key", "email_quality", "phone",
            "phone_e164", "phone_key", "phone_quality", "name", "date_of_birth", "gender", "status", "country", "tags", "custom",
            "note", "address_type",
        ),
        pl.String,
    ),
    "is_default": pl.Boolean,
    **dict.fromkeys(
        (
            "recipient_name", "line1", "line2", "city", "state", "postal_code", "address_country", "address_phone", "match_key",
        ),
        pl.String,
    ),
    "is_more": pl.Boolean,
    **dict.fromkeys(("email_marketing", "sms_marketing", "whatsapp_marketing"), pl.String),
}  # fmt: skip
"""The columns of a checked frame; null where the file says nothing."""

_BY_MODE: Final = {"create": "NEW", "update": "UPDATE", "upsert": "MERGE"}
_LINES: Final = ("line1", "line2", "city", "state", "postalCode")
_NAMES: Final = ("name", "firstName", "lastName")
_CONSENTS: Final = ("emailMarketing", "smsMarketing", "whatsappMarketing")
_WRONG: Final = "\x00"


class Told(msgspec.Struct, frozen=True):
    """A row and what is wrong with it, the first mistake first."""

    row: int
    mistakes: Sequence[Mistake]


class Checked(msgspec.Struct, frozen=True):
    """The rows that can be taken, in the columns of SCHEMA, and the others, each once.

    `doubtful` are of the first: rows with something that nobody understands and that is kept as it is.
    """

    frame: pl.DataFrame
    refused: Sequence[Told]
    doubtful: Sequence[Told]


_Said = tuple[str, str, str]
"""Of a mistake the field, the code and the sentence."""


def _told(row: int, said: Sequence[_Said]) -> Told:
    return Told(row, [Mistake(*one) for one in said])


def checked(
    frame: pl.DataFrame, plan: Plan, options: CustomerImportOptions, definitions: Definitions, today: date
) -> Checked:
    """Checks a batch: `row` and the columns "0", "1" and so on of trimmed cells, "" where there is nothing.

    A row whose command is IGNORE, or that only explains the columns, keeps its number and command and nothing else.
    """
    batch = _Batch(frame, plan, options, definitions, today)
    taken = batch.checked()
    ignored = pl.DataFrame({"row": batch.ignored, "command": ["IGNORE"] * len(batch.ignored)}, schema_overrides=SCHEMA)
    if len(batch.ignored):
        taken = pl.concat([taken, ignored], how="diagonal").sort("row", maintain_order=True)
    return Checked(taken, batch.refused(), batch.doubtful())


class _Batch:
    """One batch on its way; a check notes what it refuses, and leaves the row for the others."""

    def __init__(
        self, frame: pl.DataFrame, plan: Plan, options: CustomerImportOptions, definitions: Definitions, today: date
    ) -> None:
        self.plan = plan
        self.options = options
        self.definitions = definitions
        self.today = today
        self._wrong: dict[int, list[_Said]] = {}
        self._doubted: dict[int, list[_Said]] = {}
        self._frame = frame
        self.ignored = self._without_ignored()
        self.rows = self._frame.get_column("row")
        self.none = pl.Series("", [None], dtype=pl.String).new_from_index(0, len(self.rows))
        self.never = pl.Series("", [False]).new_from_index(0, len(self.rows))
        lines = {*(n for field, n in plan.places.items() if field not in ("tags", "note")), *plan.fallback.values()}
        used = [str(n) for n in sorted({*lines, *plan.places.values(), *plan.custom.values()})]
        self._told = self._frame.select(pl.when(pl.col(n) != "").then(pl.col(n)).alias(n) for n in used)
        if options.map:
            self._told = self._told.with_columns(
                self._shown(n) for n in {*plan.places.values(), *plan.fallback.values()}
            )
        self._clean = columns.all_cleaned(self._told.select(str(n) for n in sorted(lines)))

    def _shown(self, n: int) -> pl.Series:
        """A column that was said to be a field, though it is of custom fields, which know numbers from texts."""
        cells = self._told.get_column(str(n))
        return columns.where(cells.str.starts_with(tables.TYPED).fill_null(False), cells, tables.plain)

    # --- what is refused ---

    def refuse(
        self,
        mask: pl.Series,
        field: str,
        code: str,
        message: str | Callable[[str], str],
        cells: pl.Series | None = None,
    ) -> None:
        """Notes rows as wrong; a message may be made of the cell."""
        self._note(self._wrong, mask, field, code, message, cells)

    def doubt(
        self, mask: pl.Series, field: str, code: str, message: str | Callable[[str], str], cells: pl.Series
    ) -> None:
        """Notes rows that say something there which nobody understands; they are taken in."""
        self._note(self._doubted, mask, field, code, message, cells)

    def _note(
        self,
        notes: dict[int, list[_Said]],
        mask: pl.Series,
        field: str,
        code: str,
        message: str | Callable[[str], str],
        cells: pl.Series | None,
    ) -> None:
        mask = mask.fill_null(False)
        if not mask.any():
            return
        rows = self.rows.filter(mask).to_list()
        said = cells.filter(mask).to_list() if cells is not None else [None] * len(rows)
        for row, cell in zip(rows, said, strict=True):
            notes.setdefault(row, []).append(
                (field, code, message if isinstance(message, str) else message(cell or ""))
            )

    def refused(self) -> list[Told]:
        """The rows that were refused, in their order."""
        return [_told(row, said[:MOST_MISTAKES]) for row, said in sorted(self._wrong.items())]

    def doubtful(self) -> list[Told]:
        """The rows that are taken with something that nobody understands, in their order."""
        return [_told(row, said) for row, said in sorted(self._doubted.items()) if row not in self._wrong]

    def fit(self, field: str, cells: pl.Series, most: int) -> pl.Series:
        """The cells; those that are longer are refused."""
        if columns.is_silent(cells):
            return cells
        if _longest(cells) > most:
            self.refuse(cells.str.len_chars() > most, field, "length", f"can have at most {most} characters")
        return cells

    # --- cells ---

    def _without_ignored(self) -> pl.Series:
        """Takes the rows out that are to be ignored, and tells which they are."""
        mask = pl.repeat(False, len(self._frame), eager=True)
        if self.plan.explained is not None:
            said = self._frame.get_column(str(self.plan.explained))
            mask = mask | said.str.contains(r"\pL \pL")
        if "command" in self.plan.places or "command" in self.plan.fixed:
            mask = mask | self._ignores()
        rows = self._frame.get_column("row").filter(mask)
        if len(rows):
            self._frame = self._frame.filter(~mask)
        return rows

    def _ignores(self) -> pl.Series | bool:
        if "command" in self.plan.fixed:
            return self.plan.fixed["command"].upper() == "IGNORE"
        return self._frame.get_column(str(self.plan.places["command"])).str.to_uppercase() == "IGNORE"

    def _raw(self, field: str) -> pl.Series:
        """A field's cells as they stand in its column, null where they are empty."""
        return self._fixed(field) if field in self.plan.fixed else self._at(self._told, self.plan.places.get(field))

    def _fixed(self, field: str) -> pl.Series:
        value = self.plan.fixed[field] or None
        return pl.Series("", [value], dtype=pl.String).new_from_index(0, len(self.rows))

    def _at(self, frame: pl.DataFrame, n: int | None) -> pl.Series:
        return self.none if n is None else frame.get_column(str(n))

    def _own(self, field: str) -> pl.Series:
        """A field's clean cells, without those that would stand in for them."""
        if field in self.plan.fixed:
            return columns.cleaned(self._fixed(field))
        return self._at(self._clean, self.plan.places.get(field))

    def _cells(self, field: str) -> pl.Series:
        """A field's clean cells."""
        own = self._own(field)
        return _first(own, self._at(self._clean, self.plan.fallback.get(field)))

    def _group(self, fields: Sequence[str], told_by: Sequence[str]) -> dict[str, pl.Series]:
        """Clean cells of fields that go together: the spare ones where none of `told_by` says anything."""
        found = {field: self._own(field) for field in fields}
        if any(field in self.plan.fallback for field in fields):
            silent = _all([found[field].is_null() for field in told_by])
            spare = {field: self._at(self._clean, self.plan.fallback.get(field)) for field in fields}
            found = {field: spare[field].zip_with(silent, cells) for field, cells in found.items()}
        return found

    # --- the checks ---

    def checked(self) -> pl.DataFrame:
        """The rows that can be taken."""
        out: dict[str, pl.Series] = {"row": self.rows}
        out["command"] = self._choice("command", COMMANDS).fill_null(_BY_MODE[self.options.mode])
        out["tags_command"] = self._tags_commands(out["command"])
        out["id"] = self._ids()
        out["source"] = self.fit("source", self._cells("source"), customer_rules.SOURCE_LENGTH).fill_null(
            self.plan.source
        )
        out["shop"] = self.fit("shop", self._cells("shop"), customer_rules.SHOP_LENGTH).fill_null(self.plan.shop)
        out["external_id"] = self._external_ids()
        out["email"], out["email_key"], out["email_quality"] = self._emails()
        out["name"] = self._names()
        out["date_of_birth"] = self._births()
        out["gender"] = self.fit("gender", self._cells("gender"), customer_rules.GENDER_LENGTH)
        out["status"] = self._choice("status", STATUSES)
        place = self._group((*_LINES, "country"), _LINES)
        country, alpha2 = self._country("country", place["country"])
        address_country, address_alpha2 = country, alpha2
        if self.plan.has_address_country:
            address_country, address_alpha2 = self._country("addressCountry", self._cells("addressCountry"))
        home = countries.code(self.options.country) if self.options.country else None
        dialled_in = _first(alpha2, address_alpha2)
        out["country"] = country
        out["phone"], phone_facts = self._phones(dialled_in.fill_null(home) if home else dialled_in)
        out.update(phone_facts)
        out["custom"] = self._custom()
        out["note"] = self._notes()
        for field, column in zip(_CONSENTS, ("email_marketing", "sms_marketing", "whatsapp_marketing"), strict=True):
            out[column] = self._consent(field)
        types = self._choice("addressType", ADDRESS_TYPES)
        places = [
            *(place[line] for line in _LINES),
            types,
            *([address_country] if self.plan.has_address_country else []),
        ]
        has_place = _any([cells.is_not_null() for cells in places if not columns.is_silent(cells)] or [self.never])
        dialled_there = address_alpha2.fill_null(home) if home else address_alpha2
        told_country = address_country.fill_null(home) if home else address_country
        out.update(self._address(has_place, place, types, told_country, dialled_there))
        tags_cells = self._raw("tags")
        out["is_more"] = self._more(out, has_place, tags_cells)
        out["tags"] = self._tags(tags_cells, out["tags_command"], out["is_more"])
        out["country"] = columns.only(~out["is_more"], country) if out["is_more"].any() else country
        contacts = [out[column] for column in ("id", "external_id", "email", "phone", "name")]
        if all(cells.null_count() for cells in contacts):
            nobody = _all([cells.is_null() for cells in contacts]) & ~out["is_more"] & ~self._is_wrong()
            self.refuse(nobody, "", "required", "at least one of email, phone, name and externalId is needed")
        taken = pl.DataFrame([cells.alias(name) for name, cells in out.items()]).select(
            [pl.col(name).cast(kind) for name, kind in SCHEMA.items()]
        )
        return taken.filter(~self._is_wrong()) if self._wrong else taken

    def _tags_commands(self, command: pl.Series) -> pl.Series:
        add, replace = (pl.Series("", [word]).new_from_index(0, len(self.rows)) for word in ("ADD", "REPLACE"))
        return _first(self._choice("tagsCommand", TAGS_COMMANDS), replace.zip_with(command == "REPLACE", add))

    def _is_wrong(self) -> pl.Series:
        return self.rows.is_in(list(self._wrong)) if self._wrong else self.never

    def _choice(self, field: str, choices: Sequence[str]) -> pl.Series:
        cells = self._cells(field)
        if columns.is_silent(cells):
            return cells
        upper = cells.str.to_uppercase()
        fits = upper.is_in(list(choices))
        self.refuse(~fits, field, "choice", lambda cell: f"{cell[:40]!r} is not one of {', '.join(choices)}", cells)
        return columns.only(fits, upper)

    def _ids(self) -> pl.Series:
        cells = self._cells("id")
        if columns.is_silent(cells):
            return cells
        fits = cells.str.contains("(?i)^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$")
        self.refuse(
            ~fits, "id", "id", "must be the id of a customer here; map the column to externalId if it is another's"
        )
        return columns.only(fits, cells.str.to_lowercase())

    def _external_ids(self) -> pl.Series:
        cells = self.fit("externalId", self._cells("externalId"), customer_rules.EXTERNAL_ID_LENGTH)
        if columns.is_silent(cells):
            return cells
        nobodys = cells.str.to_lowercase().is_in(sorted(NOBODY))
        if self.plan.preset == "tiktok":
            # A masked user name is many people's.
            nobodys = nobodys | cells.str.contains("*", literal=True)
        return columns.only(~nobodys, cells)

    def _emails(self) -> tuple[pl.Series, pl.Series, pl.Series]:
        cells = self._cells("email")
        if columns.is_silent(cells):
            return cells, cells, cells
        facts = columns.emails(cells)
        shown, quality = facts.get_column("shown"), facts.get_column("quality")
        is_none = shown.is_null() & (quality != text.Quality.MASKED.value)
        self.refuse(is_none, "email", "email", "must be an email address such as ann@example.com")
        kept = _first(shown, columns.only(~is_none.fill_null(False), cells))
        return self.fit("email", kept, text.EMAIL_LENGTH), facts.get_column("key"), quality

    def _phones(self, dialled_in: pl.Series) -> tuple[pl.Series, dict[str, pl.Series]]:
        cells = self.fit("phone", self._cells("phone"), text.PHONE_LENGTH)
        if columns.is_silent(cells):
            return cells, {"phone_e164": cells, "phone_key": cells, "phone_quality": cells}
        facts = columns.phones(cells, dialled_in)
        self._doubt_phones("phone", cells, dialled_in, facts.get_column("e164").is_null())
        dumb = ~cells.str.contains("[0-9]")
        if dumb.any():
            silent = columns.where(dumb, cells, lambda cell: "" if text.phone_digits(cell) else "x", self.none) == "x"
            masked = facts.get_column("quality") == text.Quality.MASKED.value
            self.refuse(silent & ~masked, "phone", "phone", "must be a phone number")
        return cells, {
            "phone_e164": facts.get_column("e164"),
            "phone_key": facts.get_column("key"),
            "phone_quality": facts.get_column("quality"),
        }

    def _doubt_phones(self, field: str, cells: pl.Series, dialled_in: pl.Series, among: pl.Series) -> None:
        self.doubt(
            columns.wrong_phones(cells, dialled_in, among),
            field,
            "phone",
            lambda cell: f"{cell[:40]!r} cannot be a phone number; it is kept as it is",
            cells,
        )

    def _names(self) -> pl.Series:
        found = self._group(_NAMES, _NAMES)
        both = _spaced(found["firstName"], found["lastName"])
        return self.fit("name", _first(found["name"], both), customer_rules.NAME_LENGTH)

    def _births(self) -> pl.Series:
        cells = self._cells("dateOfBirth")
        if columns.is_silent(cells):
            return cells
        is_iso = cells.str.contains(r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$").fill_null(False)
        iso = columns.only(is_iso, cells).str.to_date("%Y-%m-%d", strict=False).cast(pl.String)
        order = self.options.date_order
        days = columns.where(
            cells.is_not_null() & iso.is_null(),
            cells,
            lambda cell: _WRONG if (day := birth_date(cell, order)) is None else day,
            iso,
        )
        self.refuse(
            days == "ambiguous",
            "dateOfBirth",
            "ambiguous",
            lambda cell: f"{cell[:40]!r} can be two days: say dateOrder (--date-order), DMY or MDY",
            cells,
        )
        is_day = days.str.contains("^[0-9]{4}-").fill_null(False)
        self.refuse(
            cells.is_not_null() & ~is_day & (days != "ambiguous").fill_null(True) & (days != "").fill_null(True),
            "dateOfBirth",
            "date",
            lambda cell: f"{cell[:40]!r} is not a date such as 1990-01-31",
            cells,
        )
        first, last = customer_rules.EARLIEST_BIRTH, self.today
        self.refuse(
            is_day & ((days < first.isoformat()) | (days > last.isoformat())),
            "dateOfBirth",
            "range",
            f"must be from {first} to today",
        )
        return columns.only(is_day, days)

    def _country(self, field: str, cells: pl.Series) -> tuple[pl.Series, pl.Series]:
        """Countries as they are kept, and the codes of those that are known."""
        if columns.is_silent(cells):
            return cells, cells
        self.fit(field, cells, countries.NAME_LENGTH)
        codes = columns.each(cells, countries.code)
        self.doubt(
            cells.is_not_null() & codes.is_null(),
            field,
            "country",
            lambda cell: f"{cell[:40]!r} is no country that we know; it is kept as it is",
            cells,
        )
        return _first(codes, cells), codes

    def _notes(self) -> pl.Series:
        raw = self._raw("note")
        if columns.is_silent(raw):
            return raw
        odd = raw.str.contains(columns.ODD).fill_null(False)
        return self.fit("note", columns.told(columns.where(odd, raw, text.clean_lines)), NOTE_LENGTH)

    def _consent(self, field: str) -> pl.Series:
        cells = self._cells(field)
        if columns.is_silent(cells):
            return cells
        said = columns.each(cells, _said)
        self.refuse(said == _WRONG, field, "boolean", "must be yes, no, true, false, 1, 0, SUBSCRIBED or UNSUBSCRIBED")
        return columns.told(said)

    def _custom(self) -> pl.Series:
        keys = dict.fromkeys(
            (*self.plan.custom, *(f.removeprefix(CUSTOM) for f in self.plan.fixed if f.startswith(CUSTOM)))
        )
        if not keys:
            return self.none
        parts: list[pl.Series] = []
        for key in keys:
            field = CUSTOM + key
            cells = self._fixed(field) if field in self.plan.fixed else self._at(self._told, self.plan.custom[key])
            said = columns.each(cells, self._value_of(key))
            wrong = said.str.starts_with(_WRONG).fill_null(False)
            if wrong.any():
                for code in said.filter(wrong).str.split(_WRONG).list.get(1).unique().to_list():
                    self.refuse(
                        said.str.starts_with(_WRONG + cast("str", code) + _WRONG),
                        field,
                        cast("str", code),
                        lambda cell: f"{cell.rpartition(_WRONG)[2]}",
                        said,
                    )
                said = columns.only(~wrong, said)
            parts.append(said.alias(key))
        joined = (
            pl.DataFrame({str(n): part for n, part in enumerate(parts)})
            .select(pl.concat_str(pl.all(), separator=",", ignore_nulls=True))
            .to_series()
        )
        objects = "{" + columns.told(joined) + "}"
        most = customer_rules.CUSTOM_FIELDS_BYTES
        self.refuse(
            objects.str.len_bytes() > most,
            "customFields",
            "size",
            lambda cell: f"take {len(cell.encode())} bytes of JSON; {most} are the most",
            objects,
        )
        return objects

    def _value_of(self, key: str) -> Callable[[str], str | None]:
        def value_of(cell: str) -> str | None:
            value = tables.typed(cell)
            values, errors = ({}, []) if value is cell else custom_field_rules.some(self.definitions, {key: value})
            if isinstance(value, str) and (value is cell or errors):
                values, errors = custom_field_rules.read(self.definitions, {key: value.replace("\x00", "")})
            if errors:
                return f"{_WRONG}{errors[0].code}{_WRONG}{errors[0].message}"
            return msgspec.json.encode(values).decode()[1:-1] if values else None

        return value_of

    def _tags(self, cells: pl.Series, tags_command: pl.Series, is_more: pl.Series) -> pl.Series:
        said = all_tags(cells, ())
        if self.options.tags:
            gets_more = (tags_command != "REMOVE") & ~is_more
            said = all_tags(cells.fill_null(""), self.options.tags).zip_with(gets_more, said)
        if columns.is_silent(said):
            return said
        wrong = said.str.starts_with(_WRONG).fill_null(False)
        self.refuse(wrong, "tags", "length", lambda cell: f"{cell[1:]}", said)
        return columns.told(columns.only(~wrong, said) if wrong.any() else said)

    def _address(
        self,
        has_place: pl.Series,
        place: Mapping[str, pl.Series],
        types: pl.Series,
        country: pl.Series,
        dialled_in: pl.Series,
    ) -> dict[str, pl.Series]:
        if not has_place.any():
            empty = dict.fromkeys(
                ("address_type", "recipient_name", "line1", "line2", "city", "state", "postal_code", "address_country",
                 "address_phone", "match_key"),
                self.none,
            )  # fmt: skip
            self._default()
            return {**empty, "is_default": self.never.set(~self.never, None)}
        recipient = _first(
            self._cells("recipientName"), _spaced(self._cells("recipientFirstName"), self._cells("recipientLastName"))
        )
        if self.plan.preset == "supover" and "recipientName" in self.plan.places:
            # Whose address has no name in our own export has none.
            recipient = recipient.fill_null("")
        phone = self._cells("addressPhone")
        given = {"line1": place["line1"], "line2": place["line2"], "city": place["city"], "state": place["state"],
                 "postalCode": place["postalCode"], "recipientName": recipient}  # fmt: skip
        lengths = {pointer: most for _, pointer, most in address_rules.LENGTHS}
        for field, cells in given.items():
            self.fit(field, cells, lengths[field])
        self.fit("addressPhone", phone, lengths["phone"])
        if not columns.is_silent(phone):
            # Nothing is found by them, so they are not read as numbers.
            odd = ~phone.str.count_matches("[0-9]").is_between(*text.PHONE_DIGITS)
            self._doubt_phones("addressPhone", phone, dialled_in, odd & has_place)
        found = {
            "address_type": types,
            "recipient_name": recipient,
            **{line.replace("postalCode", "postal_code"): place[line] for line in _LINES},
            "address_country": country,
            "address_phone": phone,
        }
        is_default = self._default()
        if not has_place.all():
            found = {name: columns.only(has_place, cells) for name, cells in found.items()}
            is_default = columns.only(has_place, is_default)
        return {**found, "is_default": is_default, "match_key": match_keys(found, has_place)}

    def _default(self) -> pl.Series:
        cells = self._cells("isDefault")
        if columns.is_silent(cells):
            return cells.cast(pl.Boolean)
        word = columns.folded(cells)
        yes, no = word.is_in(sorted(_YES)), word.is_in(sorted(_NO))
        self.refuse(~(yes | no), "isDefault", "boolean", "must be yes, no, true, false, 1 or 0")
        return yes

    def _more(self, out: Mapping[str, pl.Series], has_place: pl.Series, tags: pl.Series) -> pl.Series:
        """Rows of an address alone: nobody is said, or who the row above them is of."""
        profile = [out[column] for column in ("id", "name", "date_of_birth", "gender", "status", "phone", "custom", "note",
                                              "email_marketing", "sms_marketing", "whatsapp_marketing")]  # fmt: skip
        if self.plan.has_address_country:
            profile.append(out["country"])
        if not all(cells.null_count() for cells in (*profile, tags)):
            return self.never
        bare = _all([has_place, *(cells.is_null() for cells in (*profile, tags) if not columns.is_silent(cells))])
        if not bare.any():
            return self.never
        source, email, external_id = self._cells("source"), out["email"].str.to_lowercase(), out["external_id"]
        frame = pl.DataFrame(
            {
                "bare": bare,
                "source": source,
                "email": email,
                "external_id": external_id,
                "n": pl.int_range(len(bare), eager=True),
            }
        )
        # Whom the last row with a profile is of.
        head = pl.when(~pl.col("bare")).then("n").forward_fill()
        frame = frame.with_columns(head=head)
        heads = frame.select(
            pl.col("n").alias("head"), *(pl.col(c).alias(f"head_{c}") for c in ("source", "email", "external_id"))
        )
        frame = frame.join(heads, on="head", how="left", maintain_order="left")
        same = pl.all_horizontal(
            (pl.col(c).is_null() | (pl.col(c) == pl.col(f"head_{c}")).fill_null(False))
            for c in ("source", "email", "external_id")
        )
        silent = pl.all_horizontal(pl.col(c).is_null() for c in ("email", "external_id"))
        return frame.select(pl.col("bare") & (same | silent)).to_series()


# --- cells ---------------------------------------------------------------------------------------------------------------


_YES: Final = frozenset("yes true 1 y ja oui si sim co".split())
_NO: Final = frozenset("no false 0 n nein non khong".split())
_UNSAID: Final = frozenset("not_subscribed pending invalid redacted".split())


def _said(cell: str) -> str:
    """SUBSCRIBED or UNSUBSCRIBED; nothing where the cell says that nobody has said anything."""
    word = text.fold(cell).replace(" ", "_").replace("-", "_")
    if word in _YES or word in ("subscribed", "opted_in"):
        return "SUBSCRIBED"
    if word in _NO or word in ("unsubscribed", "opted_out"):
        return "UNSUBSCRIBED"
    return "" if word in _UNSAID else _WRONG


def tags_in(cell: str) -> list[str]:
    """The tags of a cell."""
    return [tag for tag in map(text.clean, tables.items(cell)) if tag]


def all_tags(cells: pl.Series, added: Sequence[str]) -> pl.Series:
    """The tags of each cell, and those that are added to them, with TAG_SEPARATOR between; each once, whatever the case."""
    if columns.is_silent(cells):
        return cells
    more = customer_rules.distinct(tag for tag in map(text.clean, added) if tag)
    once = cells.drop_nulls().unique()
    joined = once.str.replace_all(r" *[,;][ ,;]*", TAG_SEPARATOR).str.strip_chars(f" {TAG_SEPARATOR}")
    if more:
        joined = (joined + TAG_SEPARATOR + TAG_SEPARATOR.join(more)).str.strip_chars_start(TAG_SEPARATOR)
    parts = joined.str.to_lowercase().str.split(TAG_SEPARATOR)
    plain = (
        ~once.str.contains(r'[^ -~]|  |"')
        & (once.str.len_bytes() <= customer_rules.TAG_LENGTH)
        & (parts.list.n_unique() == parts.list.len())
        & (parts.list.len() <= customer_rules.MAX_TAGS)
        & all(tag.isascii() for tag in more)
    )
    said = columns.where(~plain, once, lambda cell: _tags_of(cell, more), joined)
    return columns.told(cells.replace_strict(once, said, default=None, return_dtype=pl.String))


def _tags_of(cell: str, added: Sequence[str]) -> str | None:
    tags = customer_rules.distinct([*tags_in(cell), *added])
    if len(tags) > customer_rules.MAX_TAGS:
        return _WRONG + worded(f"can be at most {customer_rules.MAX_TAGS} tags")
    if any(len(tag) > customer_rules.TAG_LENGTH for tag in tags):
        return _WRONG + worded(f"can have at most {customer_rules.TAG_LENGTH} characters each")
    return TAG_SEPARATOR.join(tags) or None


def match_keys(place: Mapping[str, pl.Series], has_place: pl.Series) -> pl.Series:
    """`addresses.rules.match_key` of each row that has a place."""
    names = ("line1", "line2", "city", "state", "postal_code", "address_country")
    given = {name: columns.folded(cells) for name in names if not columns.is_silent(cells := place[name])}
    frame = pl.DataFrame(
        {
            **{
                name: _words(cells, " ", often=name != "line1")
                for name, cells in given.items()
                if name != "postal_code"
            },
            "town": _words(given["postal_code"], "", often=False) if "postal_code" in given else place["postal_code"],
            "code": columns.each(place["address_country"], countries.code),
        }
    )
    words = {name: pl.col(name).fill_null("") if name in given else pl.lit("") for name in names}
    lines = (words["line1"] + " " + words["line2"]).str.strip_chars(" ") if "line2" in given else words["line1"]
    town = pl.when(pl.col("town") != "").then("town").otherwise(words["city"] + "/" + words["state"])
    country = pl.coalesce("code", words["address_country"])
    keys = frame.select(match_key=pl.concat_str([lines, town, country], separator="|")).to_series()
    odd = has_place & ~_all([columns.is_ascii(cells) for cells in given.values()] or [has_place])
    if odd.any():
        whole = pl.DataFrame([place[name].alias(name) for name in names]).select(
            pl.concat_str([pl.col(name).fill_null("") for name in names], separator="\x1f")
        )
        keys = columns.where(odd, whole.to_series(), _match_key, keys)
    if _longest(keys) > address_rules.KEY_LENGTH:
        long = ~odd & (keys.str.len_chars() > address_rules.KEY_LENGTH)
        keys = columns.where(long, keys, lambda key: hashlib.sha256(key.encode()).hexdigest())
    return keys if has_place.all() else columns.only(has_place, keys)


def _words(cells: pl.Series, gap: str, *, often: bool) -> pl.Series:
    """A folded ASCII line's words; a column in which the same stands `often` is worked on once for each."""
    if often:
        once = cells.drop_nulls().unique()
        return cells.replace_strict(once, _words(once, gap, often=False), default=None, return_dtype=pl.String)
    words = cells.str.replace_all(r"[^a-z0-9]+", gap)
    return words.str.strip_chars(" ") if gap else words


def _match_key(whole: str) -> str:
    line1, line2, city, state, postal_code, country = whole.split("\x1f")
    return address_rules.match_key(
        PostalAddress(line1=line1, line2=line2, city=city, state=state, postal_code=postal_code, country=country)
    )


def _longest(cells: pl.Series) -> int:
    """The bytes of the longest cell: no more characters has any."""
    return cast("int", cells.str.len_bytes().max() or 0)


def _first(a: pl.Series, b: pl.Series) -> pl.Series:
    """The cells of the first, where they are empty of the second."""
    return a if not a.null_count() or columns.is_silent(b) else a.zip_with(a.is_not_null(), b)


def _spaced(first: pl.Series, last: pl.Series) -> pl.Series:
    if columns.is_silent(first):
        return last
    return columns.told((first.fill_null("") + " " + last.fill_null("")).str.strip_chars(" "))


def _all(masks: Sequence[pl.Series]) -> pl.Series:
    found = masks[0]
    for mask in masks[1:]:
        found = found & mask
    return found


def _any(masks: Sequence[pl.Series]) -> pl.Series:
    found = masks[0]
    for mask in masks[1:]:
        found = found | mask
    return found
