"""Which column is which field: real exports need no map, other headers are understood or left alone."""

import csv
from collections.abc import Sequence
from pathlib import Path

import polars as pl
import pytest

from supover.imports.customer_columns import FIELDS, Plan, must_tell_somebody, plan, squeezed
from supover.imports.customer_model import CustomerImportOptions
from supover.imports.model import ImportUnreadable

PAYLOADS = Path(__file__).parent.parent / "payloads" / "customers"


def header_of(name: str) -> list[str]:
    with (PAYLOADS / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return next(csv.reader(file))


def planned(
    header: Sequence[str] | str,
    options: CustomerImportOptions | None = None,
    rows: Sequence[Sequence[str]] = (),
    keys: Sequence[str] = (),
) -> tuple[Plan, dict[str, str]]:
    """The plan, and its fields with their header cells; a fallback's as field+."""
    names = next(csv.reader([header])) if isinstance(header, str) else list(header)
    sample = (
        pl.DataFrame({str(n): [row[n] for row in rows] for n in range(len(names))}, schema_overrides={})
        if rows
        else None
    )
    found = plan(options or CustomerImportOptions(), names, sample, keys)
    told = {field: names[n] for field, n in found.places.items()}
    told |= {f"{field}+": names[n] for field, n in found.fallback.items()}
    return found, told


def told(header: str, rows: Sequence[Sequence[str]] = ()) -> dict[str, str]:
    return planned(header, rows=rows)[1]


# --- exports of shops ----------------------------------------------------------------------------------------------------


def test_shopifys_customer_export_needs_no_map() -> None:
    found, fields = planned(header_of("shopify"))
    assert (found.preset, found.source, found.has_address_country) == ("shopify", "SHOPIFY", False)
    assert fields == {
        "externalId": "Customer ID",
        "firstName": "First Name",
        "lastName": "Last Name",
        "email": "Email",
        "emailMarketing": "Accepts Email Marketing",
        "line1": "Default Address Address1",
        "line2": "Default Address Address2",
        "city": "Default Address City",
        "state": "Default Address Province Code",
        "country": "Default Address Country Code",
        "postalCode": "Default Address Zip",
        "addressPhone": "Default Address Phone",
        "phone": "Phone",
        "smsMarketing": "Accepts SMS Marketing",
        "note": "Note",
        "tags": "Tags",
        "whatsappMarketing": "Accepts WhatsApp Marketing",
    }
    assert found.ignored == ("Default Address Company", "Total Spent", "Total Orders", "Tax Exempt")


def test_shopifys_export_before_whatsapp_is_the_same() -> None:
    found, fields = planned([name for name in header_of("shopify") if "WhatsApp" not in name])
    assert (found.preset, len(fields)) == ("shopify", 16)


def test_shopifys_older_export_needs_no_map() -> None:
    found, fields = planned(header_of("shopify_older"))
    assert (found.preset, found.source) == ("shopify_older", "SHOPIFY")
    assert fields == {
        "firstName": "First Name",
        "lastName": "Last Name",
        "email": "Email",
        "line1": "Address1",
        "line2": "Address2",
        "city": "City",
        "state": "Province Code",
        "country": "Country Code",
        "postalCode": "Zip",
        "phone": "Phone",
        "emailMarketing": "Accepts Marketing",
        "tags": "Tags",
        "note": "Note",
    }
    assert found.ignored == ("Company", "Province", "Country", "Total Spent", "Total Orders", "Tax Exempt")


def test_the_name_of_a_shopify_order_is_nobodys() -> None:
    found, fields = planned(header_of("shopify_orders"))
    assert (found.preset, found.source) == ("shopify_orders", "SHOPIFY")
    assert fields == {
        "name": "Billing Name",
        "name+": "Shipping Name",
        "email": "Email",
        "emailMarketing": "Accepts Marketing",
        "phone": "Phone",
        "phone+": "Billing Phone",
        "recipientName": "Shipping Name",
        "line1": "Shipping Address1",
        "line2": "Shipping Address2",
        "city": "Shipping City",
        "postalCode": "Shipping Zip",
        "state": "Shipping Province",
        "country": "Shipping Country",
        "addressPhone": "Shipping Phone",
        "line1+": "Billing Address1",
        "line2+": "Billing Address2",
        "city+": "Billing City",
        "postalCode+": "Billing Zip",
        "state+": "Billing Province",
        "country+": "Billing Country",
    }


def test_matrixifys_state_is_an_accounts() -> None:
    found, fields = planned(header_of("matrixify"))
    assert (found.preset, found.source) == ("matrixify", "SHOPIFY")
    assert fields == {
        "externalId": "ID",
        "email": "Email",
        "command": "Command",
        "firstName": "First Name",
        "lastName": "Last Name",
        "phone": "Phone",
        "emailMarketing": "Accepts Marketing",
        "note": "Note",
        "tags": "Tags",
        "tagsCommand": "Tags Command",
        "recipientFirstName": "Address First Name",
        "recipientLastName": "Address Last Name",
        "addressPhone": "Address Phone",
        "line1": "Address Line 1",
        "line2": "Address Line 2",
        "city": "Address City",
        "state": "Address Province Code",
        "country": "Address Country Code",
        "postalCode": "Address Zip",
        "isDefault": "Address Is Default",
    }


def test_woocommerces_customers_report_needs_no_map() -> None:
    found, fields = planned(header_of("woocommerce_analytics"))
    assert (found.preset, found.source) == ("woocommerce", "WOOCOMMERCE")
    assert fields == {
        "name": "Name",
        "email": "Email",
        "country": "Country / Region",
        "city": "City",
        "state": "Region",
        "postalCode": "Postal Code",
        "phone": "Billing Phone",
        "phone+": "Shipping Phone",
    }
    assert found.ignored == ("Username", "Last Active", "Sign Up", "Orders", "Total Spend", "AOV", "Role")


def test_woocommerces_report_before_it_had_phones_is_the_same() -> None:
    older = "Name,Username,Last active,Date registered,Email,Orders,Total spend,AOV,Country / Region,City,Region,Postal code"
    found, fields = planned(older)
    assert (found.preset, sorted(fields)) == (
        "woocommerce",
        ["city", "country", "email", "name", "postalCode", "state"],
    )


SHIPPING_FIRST = {
    "line1": "shipping_address_1",
    "line2": "shipping_address_2",
    "city": "shipping_city",
    "postalCode": "shipping_postcode",
    "country": "shipping_country",
    "recipientFirstName": "shipping_first_name",
    "recipientLastName": "shipping_last_name",
    "line1+": "billing_address_1",
    "line2+": "billing_address_2",
    "city+": "billing_city",
    "postalCode+": "billing_postcode",
    "country+": "billing_country",
    "firstName": "first_name",
    "lastName": "last_name",
    "firstName+": "billing_first_name",
    "lastName+": "billing_last_name",
    "email+": "billing_email",
    "phone": "billing_phone",
}


def test_woocommerces_customer_export_needs_no_map() -> None:
    found, fields = planned(header_of("woocommerce_customers"))
    assert (found.preset, found.source) == ("woocommerce", "WOOCOMMERCE")
    assert fields == SHIPPING_FIRST | {
        "externalId": "customer_id",
        "email": "email",
        "state": "shipping_state_code",
        "state+": "billing_state_code",
        "recipientName": "shipping_full_name",
        "name+": "billing_full_name",
    }


def test_woocommerces_user_export_needs_no_map() -> None:
    found, fields = planned(header_of("woocommerce_users"))
    assert (found.preset, found.source) == ("woocommerce", "WOOCOMMERCE")
    assert fields == SHIPPING_FIRST | {
        "externalId": "ID",
        "email": "user_email",
        "state": "shipping_state",
        "state+": "billing_state",
        "addressPhone": "shipping_phone",
        "phone+": "shipping_phone",
    }


def test_woocommerces_orders_make_customers() -> None:
    found, fields = planned(header_of("woocommerce_orders"))
    assert (found.preset, found.source) == ("woocommerce", "WOOCOMMERCE")
    assert fields == {
        "firstName": "First Name (Billing)",
        "lastName": "Last Name (Billing)",
        "email": "Email (Billing)",
        "phone": "Phone (Billing)",
        "recipientFirstName": "First Name (Shipping)",
        "recipientLastName": "Last Name (Shipping)",
        "firstName+": "First Name (Shipping)",
        "lastName+": "Last Name (Shipping)",
        "line1": "Address 1&2 (Shipping)",
        "city": "City (Shipping)",
        "state": "State Code (Shipping)",
        "postalCode": "Postcode (Shipping)",
        "country": "Country Code (Shipping)",
        "line1+": "Address 1&2 (Billing)",
        "city+": "City (Billing)",
        "state+": "State Code (Billing)",
        "postalCode+": "Postcode (Billing)",
        "country+": "Country Code (Billing)",
    }
    assert "Order Status" in found.ignored and "Customer Note" in found.ignored


def test_etsys_sold_orders_need_no_map() -> None:
    found, fields = planned(header_of("etsy_orders"))
    assert (found.preset, found.source) == ("etsy", "ETSY")
    assert fields == {
        "externalId": "Buyer User ID",
        "name": "Full Name",
        "firstName": "First Name",
        "lastName": "Last Name",
        "line1": "Street 1",
        "line2": "Street 2",
        "city": "Ship City",
        "state": "Ship State",
        "postalCode": "Ship Zipcode",
        "country": "Ship Country",
    }


def test_etsys_british_header_is_understood() -> None:
    british = [name.replace("Ship ", "Delivery ") for name in header_of("etsy_orders")]
    found, fields = planned(british)
    assert (found.preset, fields["city"], fields["country"]) == ("etsy", "Delivery City", "Delivery Country")


def test_etsys_sold_items_need_no_map() -> None:
    found, fields = planned(header_of("etsy_items"))
    assert (found.preset, found.source) == ("etsy", "ETSY")
    assert fields == {
        "externalId": "Buyer",
        "name": "Ship Name",
        "line1": "Ship Address1",
        "line2": "Ship Address2",
        "city": "Ship City",
        "state": "Ship State",
        "postalCode": "Ship Zipcode",
        "country": "Ship Country",
    }


def test_tiktok_shops_orders_need_no_map() -> None:
    header = header_of("tiktok_orders")
    found, fields = planned(header)
    assert (found.preset, found.source, found.explained) == ("tiktok", "TIKTOK_SHOP", header.index("Order ID"))
    assert fields == {
        "externalId": "Buyer Username",
        "name": "Recipient",
        "phone": "Phone #",
        "country": "Country",
        "state": "State",
        "city": "City",
        "postalCode": "Zipcode",
        "line1": "Address Line 1",
        "line2": "Address Line 2",
    }


def test_tiktok_shops_vietnamese_orders_need_no_map() -> None:
    found, fields = planned(header_of("tiktok_orders_vietnam"))
    assert (found.preset, found.source) == ("tiktok", "TIKTOK_SHOP")
    assert fields == {
        "externalId": "Buyer Username",
        "name": "Recipient",
        "phone": "Phone #",
        "country": "Country",
        "state": "Province",
        "city": "District",
        "line2": "Commune",
        "line1": "Detail Address",
    }


def test_our_own_export_is_understood_cell_by_cell() -> None:
    header = header_of("supover")
    found, fields = planned(header, keys=["roast"])
    assert (found.preset, found.source, found.has_address_country, found.ignored) == ("supover", "IMPORT", True, ())
    assert fields == {name: name for name in header if name != "customFields.roast"}
    assert found.custom == {"roast": header.index("customFields.roast")}


# --- headers that people write -------------------------------------------------------------------------------------------


def test_every_field_is_known_by_its_name_in_any_spelling() -> None:
    for field in FIELDS:
        if field == "id":
            continue
        for spelling in (field, field.upper(), field.lower()):
            assert told(spelling) == {field: spelling}
    assert told("first_name,Last-Name,POSTAL CODE") == {
        "firstName": "first_name",
        "lastName": "Last-Name",
        "postalCode": "POSTAL CODE",
    }


def test_german_headers_are_understood() -> None:
    found = told(
        "Kundennummer,Anrede,Vorname,Name,E-Mail-Adresse,Telefon,Straße & Hausnummer,PLZ,Ort,Land,Geburtsdatum,Firma"
    )
    assert found == {
        "externalId": "Kundennummer",
        "firstName": "Vorname",
        "lastName": "Name",
        "email": "E-Mail-Adresse",
        "phone": "Telefon",
        "line1": "Straße & Hausnummer",
        "postalCode": "PLZ",
        "city": "Ort",
        "country": "Land",
        "dateOfBirth": "Geburtsdatum",
    }


def test_french_headers_are_understood() -> None:
    found = told("N° client,Nom,Prénom,Courriel,Téléphone portable,Adresse,Code postal,Ville,Pays,Date de naissance")
    assert found == {
        "externalId": "N° client",
        "lastName": "Nom",
        "firstName": "Prénom",
        "email": "Courriel",
        "phone": "Téléphone portable",
        "line1": "Adresse",
        "postalCode": "Code postal",
        "city": "Ville",
        "country": "Pays",
        "dateOfBirth": "Date de naissance",
    }


def test_spanish_headers_are_understood() -> None:
    found = told(
        "ID cliente,Nombre,Apellidos,Correo electrónico,Teléfono,Dirección,Código postal,Población,Provincia,País"
    )
    assert found == {
        "externalId": "ID cliente",
        "firstName": "Nombre",
        "lastName": "Apellidos",
        "email": "Correo electrónico",
        "phone": "Teléfono",
        "line1": "Dirección",
        "postalCode": "Código postal",
        "city": "Población",
        "state": "Provincia",
        "country": "País",
    }


def test_vietnamese_headers_are_understood() -> None:
    found = told(
        "Mã khách hàng,Họ và tên,Số điện thoại,Địa chỉ,Phường/Xã,Quận/Huyện,Tỉnh/Thành phố,Ngày sinh,Giới tính,Ghi chú"
    )
    assert found == {
        "externalId": "Mã khách hàng",
        "name": "Họ và tên",
        "phone": "Số điện thoại",
        "line1": "Địa chỉ",
        "line2": "Phường/Xã",
        "city": "Quận/Huyện",
        "state": "Tỉnh/Thành phố",
        "dateOfBirth": "Ngày sinh",
        "gender": "Giới tính",
        "note": "Ghi chú",
    }


def test_a_name_alone_is_a_whole_one() -> None:
    assert told("Nom,Courriel") == {"name": "Nom", "email": "Courriel"}
    assert told("Tên,Email") == {"name": "Tên", "email": "Email"}
    assert told("Họ,Tên") == {"lastName": "Họ", "firstName": "Tên"}


def test_of_two_columns_that_say_the_same_the_better_and_then_the_first_counts() -> None:
    found, fields = planned("Mobile,Phone,Email,E-mail,email")
    assert fields == {"phone": "Phone", "email": "Email"}
    assert found.ignored == ("Mobile", "E-mail", "email")
    assert planned("name,email,name")[0].places == {"name": 0, "email": 1}


def test_a_shipping_address_comes_before_a_billing_address() -> None:
    assert told("email,Billing City,Billing Street,Shipping City,Shipping Street,Shipping Country,Billing Country") == {
        "email": "email",
        "city": "Shipping City",
        "line1": "Shipping Street",
        "country": "Shipping Country",
        "city+": "Billing City",
        "line1+": "Billing Street",
        "country+": "Billing Country",
    }
    assert told("email,Billing City,Billing Zip,Billing Phone") == {
        "email": "email",
        "city": "Billing City",
        "postalCode": "Billing Zip",
        "phone": "Billing Phone",
    }


def test_what_could_be_anything_is_left_alone() -> None:
    header = "email,Company,Total,Estado,Reference,Shipping,Shipping Method,Ship Date,Currency,Created At,Title,Website"
    found, fields = planned(header)
    assert (fields, len(found.ignored)) == ({"email": "email"}, 11)


ID = "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b"


def test_an_id_is_ours_only_where_it_looks_like_one() -> None:
    assert told("id,email", [[ID, "a@b.de"], [ID.upper(), ""]]) == {"id": "id", "email": "email"}
    assert told("ID,email", [["77", "a@b.de"]]) == {"externalId": "ID", "email": "email"}
    assert told("ID,email") == {"externalId": "ID", "email": "email"}
    assert told("ID,externalId,email", [["77", "a", "a@b.de"]]) == {"externalId": "externalId", "email": "email"}
    assert told("id,externalId,email") == {"id": "id", "externalId": "externalId", "email": "email"}


def test_cells_tell_what_a_header_does_not() -> None:
    rows = [["ann@lee.de", "+49 171 1234567", "1990-04-03"], ["bob@lee.de", "", "1980-01-31"]]
    assert told("Kontakt,,Birth (d)", rows) == {"email": "Kontakt", "phone": "", "dateOfBirth": "Birth (d)"}
    assert told("Sales rep,Phone or so,Since", rows) == {}


def test_two_columns_of_emails_are_not_told_apart() -> None:
    rows = [["ann@lee.de", "bob@lee.de"]]
    assert told("One,Two", rows) == {}


# --- custom fields -------------------------------------------------------------------------------------------------------


def test_custom_fields_are_known_by_their_key() -> None:
    header = "email,customFields.Roast,Loyalty Points,customFields.unknown,Company"
    found, fields = planned(header, keys=["roast", "loyaltyPoints", "company"])
    assert fields == {"email": "email"}
    assert found.custom == {"roast": 1, "unknown": 3, "loyaltyPoints": 2, "company": 4}
    assert found.ignored == ()


def test_shopifys_metafields_are_known_by_their_key() -> None:
    header = [
        *header_of("shopify"),
        "Geboren (customer.metafields.facts.birth_date)",
        "Roast (customer.metafields.custom.roast)",
    ]
    found, fields = planned(header, keys=["roast"])
    assert fields["dateOfBirth"] == "Geboren (customer.metafields.facts.birth_date)"
    assert found.custom == {"roast": len(header) - 1}


# --- what is told --------------------------------------------------------------------------------------------------------


def test_map_says_which_column_is_which() -> None:
    options = CustomerImportOptions(map={"email": "Contact", "customFields.roast": "R", "NAME": "who"})
    found, fields = planned("Email,Contact,R,Who", options, keys=["roast"])
    assert fields == {"email": "Contact", "name": "Who"}
    assert (found.custom, found.ignored) == ({"roast": 2}, ("Email",))


def test_a_mapped_column_is_nothing_else() -> None:
    found, fields = planned("Name,Email", CustomerImportOptions(map={"externalId": "Name"}))
    assert fields == {"externalId": "Name", "email": "Email"}
    assert found.ignored == ()


def test_an_empty_column_in_map_leaves_a_field_out() -> None:
    found, fields = planned("email,note", CustomerImportOptions(map={"note": ""}))
    assert (fields, found.ignored) == ({"email": "email"}, ("note",))


def test_set_stands_in_place_of_a_column() -> None:
    options = CustomerImportOptions(set={"status": "VIP", "customFields.Roast": "dark"}, source="POS", shop="berlin")
    found, fields = planned("email,status,customFields.roast", options, keys=["roast"])
    assert fields == {"email": "email"}
    assert dict(found.fixed) == {"status": "VIP", "customFields.roast": "dark"}
    assert (found.source, found.shop, found.custom) == ("POS", "berlin", {})


def test_a_source_that_is_told_goes_before_the_exports() -> None:
    assert planned(header_of("shopify"), CustomerImportOptions(source="OLD_SHOP"))[0].source == "OLD_SHOP"


def test_everything_that_is_wrong_is_named_at_once() -> None:
    options = CustomerImportOptions(
        map={"emial": "Email", "name": "Full nmae", "phone": "zzz"},
        set={"stauts": "VIP"},
        country="Atlantis",
        tags=["x" * 101],
        source="s" * 41,
    )
    with pytest.raises(ImportUnreadable) as caught:
        planned("Email,Full Name", options)
    assert [(e.pointer, e.code, e.message) for e in caught.value.errors] == [
        ("source", "length", "can have at most 40 characters"),
        ("country", "unknown", "'Atlantis' is not a country"),
        ("tags", "length", "can have at most 100 characters each"),
        ("set/stauts", "unknown", "is not a field of a customer (did you mean status?)"),
        ("map/emial", "unknown", "is not a field of a customer (did you mean email?)"),
        ("map/name", "column", "the file has no column 'Full nmae' (did you mean Full Name?)"),
        ("map/phone", "column", "the file has no column 'zzz'"),
    ]


def test_a_file_must_tell_somebody() -> None:
    must_tell_somebody(planned("Last name")[0])
    must_tell_somebody(planned("billing_email")[0])
    with pytest.raises(ImportUnreadable) as caught:
        must_tell_somebody(planned("sku,price,city")[0])
    assert [(e.pointer, e.code) for e in caught.value.errors] == [("map", "required")]


def test_a_header_is_squeezed_to_its_letters_and_digits() -> None:
    assert squeezed("  E-Mail_Adresse ") == "emailadresse"
    assert squeezed("Straße 1") == "strasse1"
    assert squeezed("Số điện thoại") == "sodienthoai"
    assert squeezed("City (Billing)") == "billingcity"


GUIDE = Path(__file__).parent.parent.parent / "docs" / "guide" / "importing-columns.md"
NAMED_BY_OTHERS = {"Nom", "Nombre", "Tên", "Họ", "Prénom", "customer_id"}


def test_the_guide_names_headers_that_are_understood() -> None:
    table = GUIDE.read_text("utf-8").partition("| field |")[2].partition("\n\n")[0]
    seen = 0
    for line in table.splitlines()[2:]:
        own, others, *_ = (cell.strip() for cell in line.strip("|").split("|"))
        fields = [name.strip("` ") for name in own.split(",")]
        if own == "`customFields.KEY`":
            continue
        for word in (w.strip() for w in others.replace(";", ",").replace("·", ",").split(",") if w.strip()):
            if word not in NAMED_BY_OTHERS:
                assert list(told(word)) in [[field] for field in fields], word
                seen += 1
    assert seen > 100
