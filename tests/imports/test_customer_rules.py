"""What the rows of a customer file say: exact values, and the same as one customer after the other would be judged."""
# polars' signatures name types of numpy, which is not installed.
# pyright: reportUnknownMemberType=false

import csv
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any
from uuid import UUID

import phonenumbers
import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from supover.addresses.rules import match_key
from supover.channels.model import Contact, PostalAddress
from supover.customers import custom_field_rules
from supover.customers import rules as customer_rules
from supover.customers.contacts import identities_of
from supover.customers.custom_field_model import Definition, Definitions
from supover.imports import contact_columns as columns
from supover.imports.customer_columns import plan
from supover.imports.customer_dates import birth_date
from supover.imports.customer_model import CustomerImportOptions
from supover.imports.customer_rules import SCHEMA, Checked, Told, all_tags, checked, tags_in
from supover.imports.model import Mistake
from supover.kit import countries, tables, text
from supover.kit.problems import Invalid

PAYLOADS = Path(__file__).parent.parent / "payloads" / "customers"
TODAY = date(2026, 6, 1)
NONE = Definitions()
UNSAID = {"command": "MERGE", "tags_command": "ADD", "source": "IMPORT", "shop": "", "is_more": False}


def frame_of(header: Sequence[str], rows: Sequence[Sequence[str]]) -> pl.DataFrame:
    cells = {str(n): [row[n] if n < len(row) else "" for row in rows] for n in range(len(header))}
    return pl.DataFrame(
        {"row": list(range(2, len(rows) + 2)), **cells},
        schema={"row": pl.Int64, **dict.fromkeys(cells, pl.String)},
    )


def looked_at(
    header: str,
    *rows: str,
    options: CustomerImportOptions | None = None,
    definitions: Definitions = NONE,
) -> Checked:
    options = options or CustomerImportOptions()
    names = next(csv.reader([header]))
    cells = [[cell.strip() for cell in row] for row in csv.reader(rows)]
    frame = frame_of(names, cells)
    found = checked(frame, plan(options, names, frame, list(definitions.by_key)), options, definitions, TODAY)
    assert dict(found.frame.schema) == {name: kind() for name, kind in SCHEMA.items()}
    return found


def told(found: Checked) -> list[dict[str, Any]]:
    """What the rows say, without what all rows say unless told otherwise."""
    return [
        {name: value for name, value in row.items() if value is not None and UNSAID.get(name) != value}
        for row in found.frame.to_dicts()
    ]


def one(header: str, row: str, **given: Any) -> dict[str, Any]:
    """What a row says that is taken."""
    found = looked_at(header, row, **given)
    assert found.refused == []
    [said] = told(found)
    del said["row"]
    return said


def refused(header: str, row: str, **given: Any) -> tuple[str, str, str]:
    found = looked_at(header, row, **given)
    assert len(found.frame) == 0
    [wrong] = found.refused
    assert wrong.row == 2
    [mistake] = wrong.mistakes
    return mistake.field, mistake.code, mistake.message


def faults(found: Sequence[Told]) -> list[tuple[int, str, str]]:
    """What is wrong with rows: which, the field and the code of each mistake."""
    return [(one.row, mistake.field, mistake.code) for one in found for mistake in one.mistakes]


# --- exports of shops ----------------------------------------------------------------------------------------------------


def file(name: str) -> Checked:
    path = PAYLOADS / f"{name}.csv"
    options = CustomerImportOptions()
    with tables.frames(path, tables.facts(path)) as read:
        [batch] = read.batches
        return checked(batch.frame, plan(options, read.header, batch.frame, ["roast"]), options, NONE, TODAY)


def test_shopifys_customers_are_taken() -> None:
    found = file("shopify")
    assert found.refused == []
    ann, jose, nameless = told(found)
    assert ann == {
        "row": 2,
        "source": "SHOPIFY",
        "external_id": "7104550011001",
        "email": "Ann.Lee@gmail.com",
        "email_key": "annlee@gmail.com",
        "email_quality": "real",
        "phone": "+447400123456",
        "phone_e164": "+447400123456",
        "phone_key": "+447400123456",
        "phone_quality": "real",
        "name": "Ann Lee",
        "country": "GB",
        "tags": "vip\x1fnewsletter",
        "note": "Likes tea",
        "line1": "12 High Street",
        "line2": "Flat 3",
        "city": "London",
        "state": "ENG",
        "postal_code": "SW1A 1AA",
        "address_country": "GB",
        "address_phone": "+447400123456",
        "match_key": "12 high street flat 3|sw1a1aa|GB",
        "email_marketing": "SUBSCRIBED",
        "sms_marketing": "UNSUBSCRIBED",
        "whatsapp_marketing": "SUBSCRIBED",
    }
    assert (jose["name"], jose["match_key"], jose["city"]) == ("José Núñez", "calle mayor 5|28013|ES", "Madrid")
    assert nameless == {
        "row": 4,
        "source": "SHOPIFY",
        "external_id": "7104550011003",
        "phone": "+12125550123",
        "phone_e164": "+12125550123",
        "phone_key": "+12125550123",
        "phone_quality": "real",
        "email_marketing": "UNSUBSCRIBED",
        "sms_marketing": "SUBSCRIBED",
        "whatsapp_marketing": "UNSUBSCRIBED",
    }


def test_shopifys_older_customers_are_taken() -> None:
    [ann] = told(file("shopify_older"))
    assert (ann["name"], ann["phone_e164"], ann["tags"]) == ("Ann Lee", "+12125550123", "a\x1fb")
    assert ann["match_key"] == "500 5th ave|10110|US"


def test_the_buyers_of_shopifys_orders_are_taken() -> None:
    order, line = told(file("shopify_orders"))
    assert (order["name"], order["recipient_name"], order["line1"]) == ("Ann Lee", "Bob Lee", "2 Side St")
    assert (order["email"], order["phone_e164"]) == ("ann@ann-lee.net", "+15125550123")
    assert "note" not in order and "tags" not in order and "external_id" not in order
    assert line == {
        "row": 3, "source": "SHOPIFY", "email": "ann@ann-lee.net", "email_key": "ann@ann-lee.net", "email_quality": "real"
    }  # fmt: skip


def test_matrixifys_commands_are_followed() -> None:
    ann, more, ignored = told(file("matrixify"))
    assert (ann["command"], ann["tags_command"], ann["is_default"]) == ("UPDATE", "REPLACE", True)
    assert (ann["recipient_name"], ann["email_marketing"]) == ("Ann Lee", "UNSUBSCRIBED")
    assert more == {
        "row": 3,
        "command": "UPDATE",
        "source": "SHOPIFY",
        "external_id": "7104550011001",
        "email": "ann@ann-lee.net",
        "email_key": "ann@ann-lee.net",
        "email_quality": "real",
        "is_default": False,
        "recipient_name": "Bob Lee",
        "line1": "3 Low Street",
        "city": "Leeds",
        "postal_code": "LS1 1AA",
        "address_country": "GB",
        "match_key": "3 low street|ls11aa|GB",
        "is_more": True,
    }
    assert ignored == {"row": 4, "command": "IGNORE"}


def test_woocommerces_customers_are_taken() -> None:
    ann, guest = told(file("woocommerce_customers"))
    assert (ann["external_id"], ann["name"], ann["recipient_name"]) == ("12", "Ann Lee", "Bob Lee")
    assert (ann["line1"], ann["city"], ann["email"]) == ("2 Ship Street", "Leeds", "ann@ann-lee.net")
    assert "external_id" not in guest, "0 is everybody's"
    assert (guest["name"], guest["email"], guest["line1"]) == ("Guest One", "guest@ann-lee.net", "9 Guest Road")
    assert (guest["state"], guest["country"], guest["address_country"]) == ("TX", "US", "US")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("woocommerce_analytics", ("WOOCOMMERCE", None, "ann@ann-lee.net", "+491711234567", "|50667|DE")),
        ("woocommerce_users", ("WOOCOMMERCE", "7", "ann@ann-lee.net", "+491711234567", "hauptstr 1|50667|DE")),
        (
            "woocommerce_orders",
            ("WOOCOMMERCE", None, "ann@ann-lee.net", "+447400123456", "1 bill street flat 2|sw1a1aa|GB"),
        ),
        ("etsy_orders", ("ETSY", "annlee", None, None, "12 high street flat 3|sw1a1aa|GB")),
        ("etsy_items", ("ETSY", "annlee", None, None, "12 high street flat 3|sw1a1aa|GB")),
    ],
)
def test_other_shops_people_are_taken(name: str, expected: tuple[str | None, ...]) -> None:
    found = file(name)
    assert found.refused == []
    first = found.frame.row(0, named=True)
    assert (first["source"], first["external_id"], first["email"], first["phone_e164"], first["match_key"]) == expected
    assert first["name"] == "Ann Lee"


def test_what_tiktok_explains_and_masks_is_nobody() -> None:
    explained, ann, masked = told(file("tiktok_orders"))
    assert explained == {"row": 2, "command": "IGNORE"}
    assert (ann["external_id"], ann["name"], ann["phone_e164"]) == ("annlee", "Ann Lee", "+12125550123")
    assert "external_id" not in masked
    assert (masked["phone_quality"], "phone_key" in masked) == ("masked", False)


def test_vietnamese_addresses_of_tiktok_are_whole() -> None:
    [lan] = told(file("tiktok_orders_vietnam"))
    assert (lan["line1"], lan["line2"], lan["city"], lan["state"]) == (
        "12 Lê Lợi",
        "Phường Bến Nghé",
        "Quận 1",
        "Hồ Chí Minh",
    )
    assert (lan["phone_e164"], lan["country"]) == ("+84912345678", "VN")
    assert lan["match_key"] == "12 le loi phuong ben nghe|quan 1/ho chi minh|VN"


def test_our_own_export_says_the_same_again() -> None:
    ann, second, cher, place = told(file("supover"))
    assert ann == {
        "row": 2,
        "source": "API",
        "external_id": "c-1",
        "email": "ann@ann-lee.net",
        "email_key": "ann@ann-lee.net",
        "email_quality": "real",
        "phone": "+44 7400 123456",
        "phone_e164": "+447400123456",
        "phone_key": "+447400123456",
        "phone_quality": "real",
        "name": "Ann Lee",
        "date_of_birth": "1990-04-03",
        "gender": "female",
        "status": "VIP",
        "country": "GB",
        "tags": "vip\x1ftea; green",
        "custom": '{"roast":"dark"}',
        "address_type": "SHIPPING",
        "is_default": True,
        "recipient_name": "Ann Lee",
        "line1": "12 High Street",
        "line2": "Flat 3",
        "city": "London",
        "postal_code": "SW1A 1AA",
        "address_country": "GB",
        "address_phone": "+447400123456",
        "match_key": "12 high street flat 3|sw1a1aa|GB",
    }
    assert (second["is_more"], second["address_type"], second["match_key"]) == (True, "BILLING", "hauptstr 1|50667|DE")
    assert cher == {"row": 4, "source": "MANUAL", "name": "Cher", "status": "ACTIVE"}
    assert (place["is_more"], place["line1"], "country" in place) == (True, "1 Main St", False)


# --- one row -------------------------------------------------------------------------------------------------------------


def test_a_first_and_last_name_are_a_name() -> None:
    assert one("first name,last name", "Ann,van der Lee") == {"name": "Ann van der Lee"}
    assert one("first name,last name", "Ann,") == {"name": "Ann"}
    assert one("first name,last name,name", "Ann,Lee,Dr. Lee") == {"name": "Dr. Lee"}
    assert one("name", "  Ann \x07\u200b  Lee ") == {"name": "Ann Lee"}


def test_a_relay_or_masked_email_is_kept_and_matches_nobody() -> None:
    assert one("email", "x1@privaterelay.appleid.com") == {
        "email": "x1@privaterelay.appleid.com",
        "email_quality": "relay",
    }
    assert one("email", "a***@gmail.com") == {"email": "a***@gmail.com", "email_quality": "masked"}
    assert one("email,name", "********,Ann") == {"email": "********", "email_quality": "masked", "name": "Ann"}
    assert one("email", "no-reply@lee.de") == {"email": "no-reply@lee.de", "email_quality": "placeholder"}


def test_a_text_that_is_no_email_is_refused() -> None:
    assert refused("email,name", "ann at lee,Ann") == (
        "email",
        "email",
        "must be an email address such as ann@example.com",
    )


def test_a_phone_is_dialled_in_the_rows_country_or_the_files() -> None:
    assert one("phone,country", "0171 1234567,Germany")["phone_e164"] == "+491711234567"
    assert one("phone,addressCountry", "0171 1234567,DE")["phone_e164"] == "+491711234567"
    assert one("phone", "0171 1234567", options=CustomerImportOptions(country="de"))["phone_e164"] == "+491711234567"
    assert (
        one("phone,country", "020 7946 0018,GB", options=CustomerImportOptions(country="de"))["phone_key"]
        == "+442079460018"
    )
    assert one("phone", "0171 1234567") == {"phone": "0171 1234567", "phone_quality": "masked"}
    assert refused("phone,name", "none,Ann") == ("phone", "phone", "must be a phone number")


def test_a_country_is_its_code_or_as_it_is_written() -> None:
    assert one("name,country", "Ann,Deutschland")["country"] == "DE"
    assert one("name,country", "Ann,Narnia")["country"] == "Narnia"
    assert one("name,line1,addressCountry", "Ann,1 Main,Narnia")["address_country"] == "Narnia"


def test_an_address_has_the_customers_country_unless_the_file_has_one_for_it() -> None:
    assert one("name,line1,country", "Ann,1 Main,US")["address_country"] == "US"
    assert "address_country" not in one("name,line1,country,addressCountry", "Ann,1 Main,US,")
    home = CustomerImportOptions(country="US")
    assert one("name,line1", "Ann,1 Main", options=home) == {
        "name": "Ann",
        "line1": "1 Main",
        "address_country": "US",
        "match_key": "1 main|/|US",
    }
    assert one("name,country,line1", "Ann,US,") == {"name": "Ann", "country": "US"}, "a country alone is no address"


def test_tags_are_parted_outside_quotes() -> None:
    assert tags_in('a, b ;"c, d";"e ""f""; g", h"i,') == ["a", "b", "c, d", 'e "f"; g', 'h"i']
    assert tags_in('"open, end') == ['"open', "end"]
    assert tags_in(' ;, ""') == []
    assert one("name,tags", 'Ann,"VIP, vip;new"')["tags"] == "VIP\x1fnew"
    options = CustomerImportOptions(tags=["vip", "2026"])
    assert one("name,tags", "Ann,VIP", options=options)["tags"] == "VIP\x1f2026"
    assert one("name", "Ann", options=options)["tags"] == "vip\x1f2026"
    assert one("name,tags,tagsCommand", "Ann,old,REMOVE", options=options)["tags"] == "old"
    assert refused("name,tags", f"Ann,{'x' * 101}") == ("tags", "length", "can have at most 100 characters each")
    many = ";".join(map(str, range(251)))
    assert refused("name,tags", f"Ann,{many}") == ("tags", "length", "can be at most 250 tags")


def test_commands_are_the_rows_or_the_modes() -> None:
    assert looked_at("name", "Ann", options=CustomerImportOptions(mode="create")).frame["command"].to_list() == ["NEW"]
    assert looked_at("name", "Ann", options=CustomerImportOptions(mode="update")).frame["command"].to_list() == [
        "UPDATE"
    ]
    found = looked_at("name,command", "Ann,", "Bob,replace", "Eve,Delete", ",ignore", "Zoe,ERASE")
    assert found.frame.select("row", "command", "tags_command", "name").rows() == [
        (2, "MERGE", "ADD", "Ann"),
        (3, "REPLACE", "REPLACE", "Bob"),
        (4, "DELETE", "ADD", "Eve"),
        (5, "IGNORE", None, None),
    ]
    assert found.refused == [
        Told(6, [Mistake("command", "choice", "'ERASE' is not one of NEW, MERGE, UPDATE, REPLACE, DELETE, IGNORE")])
    ]


def test_an_ignored_row_may_hold_anything() -> None:
    found = looked_at("email,command", "nonsense,IGNORE")
    assert (told(found), found.refused) == ([{"row": 2, "command": "IGNORE"}], [])


def test_consents_are_yes_or_no_and_nothing_else() -> None:
    header = "name,emailMarketing,smsMarketing,whatsappMarketing"
    said = ("email_marketing", "sms_marketing", "whatsapp_marketing")

    def consents(row: str) -> tuple[str | None, ...]:
        found = one(header, row)
        return tuple(found.get(name) for name in said)

    assert consents("Ann,yes,no,") == ("SUBSCRIBED", "UNSUBSCRIBED", None)
    assert consents("Ann,TRUE,0,Subscribed") == ("SUBSCRIBED", "UNSUBSCRIBED", "SUBSCRIBED")
    assert consents("Ann,not_subscribed,UNSUBSCRIBED,pending") == (None, "UNSUBSCRIBED", None)
    assert refused(header, "Ann,maybe,,") == (
        "emailMarketing",
        "boolean",
        "must be yes, no, true, false, 1, 0, SUBSCRIBED or UNSUBSCRIBED",
    )


@pytest.mark.parametrize(
    ("cell", "order", "day"),
    [
        ("1990-04-03", None, "1990-04-03"),
        ("1990-4-3", None, "1990-04-03"),
        ("1990/04/03", None, "1990-04-03"),
        ("1990.04.03", None, "1990-04-03"),
        ("19900403", None, "1990-04-03"),
        ("1990-04-03T00:00:00Z", None, "1990-04-03"),
        ("1990-04-03 00:00:00", None, "1990-04-03"),
        ("03.04.1990", None, "1990-04-03"),
        ("3. 4. 1990", None, "1990-04-03"),
        ("25/12/1990", None, "1990-12-25"),
        ("12/25/1990", None, "1990-12-25"),
        ("04/04/1990", None, "1990-04-04"),
        ("03/04/1990", "DMY", "1990-04-03"),
        ("03/04/1990", "MDY", "1990-03-04"),
        ("03.04.1990", "MDY", "1990-03-04"),
        ("3-Apr-1990", None, "1990-04-03"),
        ("3 April 1990", None, "1990-04-03"),
        ("April 3, 1990", None, "1990-04-03"),
        ("Apr 3rd, 1990", None, "1990-04-03"),
        ("3. März 1990", None, "1990-03-03"),
        ("1er août 1990", None, "1990-08-01"),
        ("3 de abril de 1990", None, "1990-04-03"),
        ("ngày 3 tháng 4 năm 1990", None, "1990-04-03"),
        ("0000-00-00", None, ""),
        ("03/04/1990", None, "ambiguous"),
        ("03-04-1990", None, "ambiguous"),
        ("13/04/1990", "MDY", None),
        ("1990-02-30", None, None),
        ("31.04.1990", None, None),
        ("03.04.90", None, None),
        ("32966", None, None),
        ("Smarch 3, 1990", None, None),
        ("٣/٤/١٩٩٠", None, None),
    ],
)
def test_dates_of_birth_are_read_as_they_are_written(cell: str, order: Any, day: str | None) -> None:
    assert birth_date(cell, order) == day
    found = looked_at("name,dateOfBirth", f'Ann,"{cell}"', options=CustomerImportOptions(date_order=order))
    if day in (None, "ambiguous"):
        assert faults(found.refused) == [(2, "dateOfBirth", day or "date")]
    else:
        assert (found.frame["date_of_birth"].to_list(), found.refused) == ([day or None], [])


def test_what_is_wrong_is_told_with_its_field() -> None:
    assert refused("name,dateOfBirth", "Ann,03/04/1990") == (
        "dateOfBirth",
        "ambiguous",
        "'03/04/1990' can be two days: say dateOrder (--date-order), DMY or MDY",
    )
    assert refused("name,dateOfBirth", "Ann,soon") == ("dateOfBirth", "date", "'soon' is not a date such as 1990-01-31")
    assert refused("name,dateOfBirth", "Ann,1849-12-31") == ("dateOfBirth", "range", "must be from 1850-01-01 to today")
    assert refused("name,dateOfBirth", "Ann,2026-06-02") == ("dateOfBirth", "range", "must be from 1850-01-01 to today")
    assert one("name,dateOfBirth", "Ann,2026-06-01")["date_of_birth"] == "2026-06-01"
    assert refused("name,status", "Ann,GOLD") == (
        "status", "choice", "'GOLD' is not one of ACTIVE, INACTIVE, BLOCKED, VIP"
    )  # fmt: skip
    assert one("name,status", "Ann,vip")["status"] == "VIP"
    assert [one("name,line1,isDefault", f"Ann,1 Main,{cell}")["is_default"] for cell in ("Yes", "0", "JA")] == [
        True,
        False,
        True,
    ]
    assert one("name,line1,isDefault", "Ann,,yes") == {"name": "Ann"}, "there is no address to be one"
    assert refused("name,line1,isDefault", "Ann,1 Main,perhaps") == (
        "isDefault", "boolean", "must be yes, no, true, false, 1 or 0"
    )  # fmt: skip
    assert refused("name,line1,addressType", "Ann,1 Main,HOME") == (
        "addressType", "choice", "'HOME' is not one of SHIPPING, BILLING, BOTH"
    )  # fmt: skip
    assert refused("name,country", ",DE") == (
        "", "required", "at least one of email, phone, name and externalId is needed"
    )  # fmt: skip


def test_a_row_with_several_faults_is_refused_once_and_tells_all_of_them() -> None:
    found = looked_at("email,name,status,dateOfBirth", f"x,{'n' * 201},GOLD,soon", "ann@lee.de,Ann,VIP,")
    assert found.refused == [
        Told(
            2,
            [
                Mistake("email", "email", "must be an email address such as ann@example.com"),
                Mistake("name", "length", "can have at most 200 characters"),
                Mistake("dateOfBirth", "date", "'soon' is not a date such as 1990-01-31"),
                Mistake("status", "choice", "'GOLD' is not one of ACTIVE, INACTIVE, BLOCKED, VIP"),
            ],
        )
    ]
    assert found.frame["row"].to_list() == [3]


def test_countries_that_nobody_knows_are_kept_and_told() -> None:
    found = looked_at(
        "name,country,line1,addressCountry",
        "Ann,Frnace,1 Main,Ruritania",
        "Bob,UK,1 Main,Deutschland",
        "Cy,,,",
        "Dee,Channel Islands,,",
        f"Eve,{'x' * 101},,",
    )
    assert faults(found.doubtful) == [
        (2, "country", "country"),
        (2, "addressCountry", "country"),
        (5, "country", "country"),
    ]
    assert found.doubtful[0].mistakes[0].message == "'Frnace' is no country that we know; it is kept as it is"
    assert found.frame["country"].to_list() == ["Frnace", "GB", None, "Channel Islands"]
    assert faults(found.refused) == [(6, "country", "length")]


def test_phones_that_cannot_be_one_are_kept_and_told() -> None:
    header = "name,phone,country,line1,addressPhone"
    rows = {
        "12345": True,  # too short for any country
        "+49 30 1": True,
        "555 0143": False,  # of some country
        "0301234567": False,
        "+14155550123": False,
        "***-***-4567": False,  # a channel hides it
        "1234567890123456": True,
    }
    found = looked_at(header, *(f"Ann,{phone},,," for phone in rows))
    told_rows = {one.row for one in found.doubtful}
    assert {phone: n in told_rows for n, phone in enumerate(rows, 2)} == rows
    assert found.refused == []
    assert found.doubtful[0].mistakes == [
        Mistake("phone", "phone", "'12345' cannot be a phone number; it is kept as it is")
    ]
    assert found.frame["phone"].to_list()[0] == "12345"
    there = looked_at(
        header, "Ann,555 0143,FR,,", "Bob,030 1234567,DE,,", "Cy,4000,NU,,", "Dee,,US,1 Main,12", "Eve,,US,,12"
    )
    assert faults(there.doubtful) == [(2, "phone", "phone"), (5, "addressPhone", "phone")]


@pytest.mark.parametrize("country", ["", "DE", "US", "NU", "Ruritania"])
@given(
    phone=st.text(alphabet="+0123456789 ()-*x\u0663", min_size=1, max_size=18).filter(
        lambda cell: any(c.isdecimal() for c in cell)
    )
)
@example(phone="000000000000000\u0663")
@settings(max_examples=60)
def test_a_column_of_phones_is_doubted_as_each_of_them_is(country: str, phone: str) -> None:
    shown = text.clean(phone)
    found = looked_at("name,phone,country", f'Ann,"{phone}",{country}')
    doubted = [mistake for one in found.doubtful for mistake in one.mistakes if mistake.field == "phone"]
    assert bool(doubted) == text.phone_is_wrong(shown, countries.code(country))


@pytest.mark.parametrize(
    ("field", "most"),
    [
        ("name", 200),
        ("externalId", 255),
        ("source", 40),
        ("shop", 255),
        ("gender", 50),
        ("country", 100),
        ("phone", 64),
        ("note", 10_000),
        ("line1", 200),
        ("line2", 200),
        ("city", 100),
        ("state", 100),
        ("postalCode", 20),
        ("addressCountry", 100),
        ("recipientName", 200),
        ("addressPhone", 64),
    ],
)
def test_what_is_too_long_is_refused(field: str, most: int) -> None:
    header = f"email,{field}" + (",line1" if field not in ("line1",) else "")
    assert looked_at(header, f"ann@lee.de,{'7' * most},x").refused == []
    assert looked_at(header, f"ann@lee.de,{'é7' * (most // 2)},x").refused == [], "characters, not bytes"
    assert refused(header, f"ann@lee.de,{'7' * (most + 1)},x") == (
        field,
        "length",
        f"can have at most {most} characters",
    )


def test_an_id_is_a_uuid() -> None:
    id = "0190A1B2-c3d4-7e5f-8a9b-0c1d2e3f4a5b"
    assert one("id,externalId", f"{id},") == {"id": id.lower()}
    assert refused("id,externalId", "77,a", options=CustomerImportOptions(map={"id": "id"})) == (
        "id", "id", "must be the id of a customer here; map the column to externalId if it is another's"
    )  # fmt: skip


def test_what_shops_write_for_no_id_is_no_id() -> None:
    assert one("name,externalId", "Ann,0") == {"name": "Ann"}
    assert one("name,externalId", "Ann,Guest") == {"name": "Ann"}


def test_a_note_keeps_its_lines() -> None:
    found = looked_at("name,note", 'Ann,"two\r\n lines  here"')
    assert found.frame["note"].to_list() == ["two\nlines here"]


def test_set_is_said_by_every_row() -> None:
    options = CustomerImportOptions(set={"status": "vip", "source": "POS", "customFields.roast": "dark"}, shop="berlin")
    found = looked_at("name", "Ann", "Bob", options=options)
    assert found.frame.select("name", "status", "source", "shop", "custom").rows() == [
        ("Ann", "VIP", "POS", "berlin", '{"roast":"dark"}'),
        ("Bob", "VIP", "POS", "berlin", '{"roast":"dark"}'),
    ]


def test_a_batch_without_rows_is_empty() -> None:
    found = looked_at("email,name,phone,line1,tags,country,dateOfBirth,customFields.x,command")
    assert (len(found.frame), found.refused) == (0, [])


# --- custom fields -------------------------------------------------------------------------------------------------------


def _definition(key: str, type: Any, **more: Any) -> Definition:
    return Definition(UUID(int=len(key)), key, key, type, **more)


DECLARED = Definitions(
    None,
    {
        d.key: d
        for d in (
            _definition("roast", "choice", choices=["light", "dark"]),
            _definition("points", "number"),
            _definition("since", "date"),
            _definition("member", "boolean"),
            _definition("likes", "list"),
            _definition("card", "text", pattern="[A-Z]{2}-[0-9]+"),
        )
    },
)
CUSTOM = "name," + ",".join(f"customFields.{key}" for key in (*DECLARED.by_key, "other"))


def test_custom_fields_are_read_by_their_types() -> None:
    said = one(CUSTOM, 'Ann,DARK,012.50,2020-01-31,yes,"tea; coffee",DE-7,"a ""b"""', definitions=DECLARED)
    assert said["custom"] == (
        '{"roast":"dark","points":12.5,"since":"2020-01-31","member":true,"likes":["tea","coffee"],"card":"DE-7","other":"a \\"b\\""}'
    )
    assert "custom" not in one(CUSTOM, "Ann,,,,,,,", definitions=DECLARED)
    assert one(CUSTOM, "Ann,,,,,,,x", definitions=DECLARED)["custom"] == '{"other":"x"}'


def test_a_wrong_custom_field_has_its_own_code() -> None:
    assert refused(CUSTOM, "Ann,blue,,,,,,", definitions=DECLARED) == (
        "customFields.roast",
        "choice",
        "must be one of light, dark",
    )
    found = looked_at(CUSTOM, "Ann,,x,soon,,,,", definitions=DECLARED)
    assert faults(found.refused) == [(2, "customFields.points", "number"), (2, "customFields.since", "date")]
    assert found.refused[0].mistakes[1].message == "must be a date such as '2026-01-31'"


def test_custom_fields_have_a_size() -> None:
    field, code, message = refused("name,customFields.x", f"Ann,{'x' * 17_000}")
    assert (field, code, message) == ("customFields", "size", "take 17008 bytes of JSON; 16384 are the most")


# --- rows of more addresses ----------------------------------------------------------------------------------------------


def more(header: str, *rows: str) -> list[bool]:
    found = looked_at(header, *rows)
    assert found.refused == []
    return found.frame["is_more"].to_list()


def test_a_row_of_an_address_alone_belongs_to_the_row_above() -> None:
    header = "externalId,email,name,line1"
    assert more(
        header, "1,a@lee.de,Ann,1 Main", "1,a@lee.de,,2 Main", "1,,,3 Main", ",A@lee.de,,4 Main", ",,,5 Main"
    ) == [*(False, True, True, True, True)]
    assert more(header, "1,a@lee.de,Ann,1 Main", "2,,,2 Main", ",b@lee.de,,3 Main") == [False, False, False]


def test_a_file_of_emails_and_addresses_has_no_rows_of_more() -> None:
    assert more("email,line1", "a@lee.de,1 Main", "a@lee.de,2 Main", "b@lee.de,3 Main") == [False, False, False]


def test_a_row_of_more_has_no_tags_and_no_country_of_its_own() -> None:
    options = CustomerImportOptions(tags=["new"])
    found = looked_at("email,name,line1,country", "a@lee.de,Ann,1 Main,US", "a@lee.de,,2 Main,DE", options=options)
    assert found.frame.select("is_more", "tags", "country", "address_country").rows() == [
        (False, "new", "US", "US"),
        (True, None, None, "DE"),
    ]


# --- the same as one by one ----------------------------------------------------------------------------------------------

_LOCALS = [
    "ann.lee",
    "test",
    "a",
    "no.reply",
    "noemail",
    "xxxx",
    "A.B+c",
    "jo-hn_x",
    "x.xx.a",
    "a..b",
    ".a",
    "a+",
    "Ünal",
    "o'neil",
]
_DOMAINS = [
    "gmail.com", "GoogleMail.com", "example.org", "foo.test", "mail.etsy.com", "etsy.com", "a.com", "none.com", "duck.com", "xxx.com",
    "bad", "-a.com", "a-.com", "web.de", "a@b.com", "münchen.de", "bücher.example", "members.ebay.de", "test.com",
]  # fmt: skip
_ANY = st.text(st.sampled_from("abcXYZ019 .,;-_+@*()/\"'#|ßéÅİΣ\u0301\u200b\u00a0\t你"), max_size=14)


def _at(local: str, domain: str) -> str:
    return f"{local}@{domain}"


def _international(code: int, digits: str) -> str:
    return f"+{code}{digits}"


def _spaced(code: int, digits: str) -> str:
    return f"+{code} ({digits[:3]}) {digits[3:]}"


def _bracketed(code: int, digits: str) -> str:
    return f"(+{code}){digits}"


def _trunk(digits: str) -> str:
    return f"0{digits[:3]} {digits[3:]}"


def _national(digits: str) -> str:
    return f"({digits[:3]}) {digits[3:6]}-{digits[6:]}"


_EMAILS = st.one_of(
    _ANY,
    st.builds(_at, st.sampled_from(_LOCALS), st.sampled_from(_DOMAINS)),
    st.builds(_at, st.text("abxn.+_-019", max_size=9), st.sampled_from(_DOMAINS)),
)
_CODES = sorted(phonenumbers.COUNTRY_CODE_TO_REGION_CODE)
_DIGITS = st.text("0123456789", min_size=3, max_size=14)
_PHONES = st.one_of(
    _ANY,
    st.builds(_international, st.sampled_from(_CODES), _DIGITS),
    st.builds(_spaced, st.sampled_from(_CODES), _DIGITS),
    _DIGITS,
    st.builds(_bracketed, st.sampled_from(_CODES), _DIGITS),
    st.builds(_trunk, _DIGITS),
    st.builds(_national, _DIGITS),
    st.sampled_from(
        ["+12078354259", "12078354259", "+15555555555", "1234567890", "+12078354259 ext. 5", "+207835425912"]
    ),
)
_PLACES = st.sampled_from(["", "DE", "Germany", "US", "usa", "CA", "GB", "Guernsey", "VN", "RU", "Narnia", "Türkiye"])
_ROWS = st.lists(
    st.tuples(_EMAILS, _ANY, _PHONES, _PLACES, _ANY, _ANY, _ANY, _ANY, _ANY, _ANY).map(
        lambda row: [cell.strip() for cell in row]
    ),
    max_size=12,
)
_HEADER = ["email", "name", "phone", "country", "line1", "line2", "city", "state", "postalCode", "tags"]


def _alone(cells: Mapping[str, str]) -> dict[str, Any] | None:
    """What is kept of a row by the functions that judge one customer; None where they refuse it."""
    contact = Contact(
        source="IMPORT", email=cells["email"], phone=cells["phone"], country=countries.code(cells["country"])
    )
    found = {i.kind: i for i in identities_of(contact)}
    masked = found["email"].value if "email" in found and found["email"].quality == "masked" else None
    try:
        kept = customer_rules.checked(
            {
                "email": None if masked and text.email_shown(masked) is None else cells["email"],
                "name": cells["name"],
                "country": cells["country"],
                "tags": tags_in(cells["tags"]),
            },
            TODAY,
        )
        phone = text.clean(cells["phone"]) or None
        if phone and found["phone"].quality != "masked":
            customer_rules.checked({"phone": phone}, TODAY)
    except Invalid:
        return None
    place = PostalAddress(
        **{field: text.clean(cells[name]) for field, name in (
            ("line1", "line1"), ("line2", "line2"), ("city", "city"), ("state", "state"), ("postal_code", "postalCode"),
        )},
        country=kept["country"],
    )  # fmt: skip
    has_place = any((place.line1, place.line2, place.city, place.state, place.postal_code))
    email, number = found.get("email"), found.get("phone")
    return {
        "email": kept["email"] or masked,
        "email_key": email and email.key,
        "email_quality": email and str(email.quality),
        "phone": phone,
        "phone_e164": phone and text.phone_e164(phone, contact.country),
        "phone_key": number and number.key,
        "phone_quality": number and str(number.quality),
        "name": kept["name"],
        "country": kept["country"],
        "tags": "\x1f".join(kept["tags"]) or None,
        "match_key": match_key(place) if has_place else None,
    }


@settings(max_examples=100, deadline=None)
@given(_ROWS)
def test_a_column_is_judged_as_its_cells_are(rows: list[list[str]]) -> None:
    frame = frame_of(_HEADER, rows)
    options = CustomerImportOptions()
    found = checked(frame, plan(options, _HEADER, None, []), options, NONE, TODAY)
    got = {row["row"]: row for row in found.frame.to_dicts()}
    wrong = {r.row for r in found.refused if r.mistakes[0].code != "required"}
    for n, cells in enumerate(rows, 2):
        want = _alone(dict(zip(_HEADER, cells, strict=True)))
        assert (n in wrong) == (want is None), cells
        if n not in got or want is None:
            continue
        if got[n]["is_more"]:
            want["country"] = None
        assert {name: got[n][name] for name in want} == want, cells


_TAGS = st.text(st.sampled_from('aAbB ,;"é'), max_size=12)


@settings(max_examples=150, deadline=None)
@given(st.lists(_TAGS, min_size=1, max_size=20), st.lists(_TAGS, max_size=3))
def test_tags_are_read_as_one_by_one(cells: list[str], added: list[str]) -> None:
    more = [tag for tag in map(text.clean, added) if tag]
    expected = ["\x1f".join(customer_rules.distinct([*tags_in(cell.strip()), *more])) or None for cell in cells]
    assert all_tags(pl.Series([cell.strip() for cell in cells]), added).to_list() == expected


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(_EMAILS), min_size=1, max_size=30))
def test_emails_are_judged_as_one_by_one(cells: list[tuple[str]]) -> None:
    given = [text.clean(cell) or None for (cell,) in cells]
    got = columns.emails(pl.Series("email", given, dtype=pl.String)).rows()
    for cell, found in zip(given, got, strict=True):
        if cell is None:
            assert found == (None, None, None)
            continue
        [identity] = identities_of(Contact(source="", email=cell))
        assert found == (text.email_shown(cell), identity.key, identity.quality), cell


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(_PHONES, st.sampled_from([None, "US", "CA", "DE", "GB", "GG", "IT", "RU", "VN", "MX", "XX"])),
        max_size=40,
    )
)
def test_phones_are_judged_as_one_by_one(cells: list[tuple[str, str | None]]) -> None:
    given = [(text.clean(phone) or None, country) for phone, country in cells]
    frame = pl.DataFrame(given, schema={"phone": pl.String, "country": pl.String}, orient="row")
    for (phone, country), found in zip(given, columns.phones(frame["phone"], frame["country"]).rows(), strict=True):
        if phone is None:
            assert found == (None, None, None)
            continue
        [identity] = identities_of(Contact(source="", phone=phone, country=country))
        assert found == (text.phone_e164(phone, country), identity.key, identity.quality), (phone, country)


def test_the_short_way_of_a_number_holds_in_every_plan() -> None:
    """A number of each plan and length, with each first digits that its national prefix could take off."""
    numbers = [
        f"+{code}{first}{'26184937502618'[: length - len(first)]}"
        for code in _CODES
        for length in range(4, 15)
        for first in (*map(str, range(10)), "80", "90", "15", "01", "11", "69", "99")
    ]
    found = columns.phones(pl.Series("phone", numbers), pl.Series("country", [None] * len(numbers), dtype=pl.String))
    assert len(numbers) > 40_000
    assert found["e164"].to_list() == [text.phone_e164(number) for number in numbers]
    assert found["key"].to_list() == [text.phone_key(number) for number in numbers]


def test_the_short_way_of_a_number_holds_in_every_country() -> None:
    """Numbers as they are dialled within: examples of each plan, with and without the zero, and others of each length."""
    dialled: list[tuple[str, str]] = []
    for country in sorted(phonenumbers.SUPPORTED_REGIONS):
        code = phonenumbers.country_code_for_region(country)
        for kind in (phonenumbers.PhoneNumberType.MOBILE, phonenumbers.PhoneNumberType.FIXED_LINE):
            example = phonenumbers.example_number_for_type(country, kind)
            if example is None:
                continue
            number = phonenumbers.national_significant_number(example)
            dialled += [
                (f"{start}{number}", country) for start in ("", "0", "00", "8", "1", str(code), f"00{code}", f"0{code}")
            ]
            dialled += [(f"0{number[:-1]}", country), (f"0{number}5", country), (f"{number[:-1]}", country)]
        for length in range(6, 13):
            digits = "26184937502618"[:length]
            dialled += [(f"{start}{digits}", country) for start in ("", "0", "9", "7", "15", "1", str(code))]
    found = columns.phones(pl.Series([phone for phone, _ in dialled]), pl.Series([country for _, country in dialled]))
    assert len(dialled) > 15_000
    assert found["e164"].to_list() == [text.phone_e164(phone, country) for phone, country in dialled]
    assert found["key"].to_list() == [text.phone_key(phone, country) for phone, country in dialled]


def test_plain_letters_are_left_as_they_are_by_clean() -> None:
    every = [chr(n) for n in range(0x20, 0x10000) if not 0xD800 <= n < 0xE000]
    plain = [c for c, odd in zip(every, pl.Series(every).str.contains(columns.ODD).to_list(), strict=True) if not odd]
    assert len(plain) > 30_000
    for letter in plain:
        assert text.clean(f"a{letter}b") == f"a{letter}b"
        assert unicodedata.combining(letter) == 0
    line = "".join(plain)
    assert text.clean(line) == line, "none goes together with the one before"


def test_a_custom_field_is_read_as_a_row_is() -> None:
    cells = {"roast": "Dark", "points": "7", "other": "é", "likes": "a,b;c"}
    values, errors = custom_field_rules.read(DECLARED, cells)
    said = one("name," + ",".join(f"customFields.{key}" for key in cells), 'Ann,Dark,7,é,"a,b;c"', definitions=DECLARED)
    assert (said["custom"], errors) == (
        '{"roast":"dark","points":7,"other":"é","likes":["a","b","c"]}',
        [],
    )
    assert values == {"roast": "dark", "points": 7, "other": "é", "likes": ["a", "b", "c"]}
