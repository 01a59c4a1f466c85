"""Which column of a customer file is which field: told by the header, by a look at the first rows, and by `map`. Pure."""

import difflib
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Final

import msgspec
import polars as pl

from supover.customers import rules as customer_rules
from supover.imports.customer_model import CustomerImportOptions
from supover.imports.model import ImportUnreadable
from supover.kit import countries, text
from supover.kit.problems import FieldError, worded

PROFILE: Final = (
    "id", "externalId", "source", "shop", "email", "name", "firstName", "lastName", "phone", "dateOfBirth", "gender", "status",
    "country", "tags", "note",
)  # fmt: skip
PLACE: Final = (
    "addressType", "isDefault", "recipientName", "recipientFirstName", "recipientLastName", "line1", "line2", "city", "state",
    "postalCode", "addressCountry", "addressPhone",
)  # fmt: skip
CONSENTS: Final = ("emailMarketing", "smsMarketing", "whatsappMarketing")
CONTROLS: Final = ("command", "tagsCommand")
FIELDS: Final = (*PROFILE, *PLACE, *CONSENTS, *CONTROLS)
"""All that a column of a customer file can be, beside customFields.KEY."""
CUSTOM: Final = "customFields."

SAMPLE_ROWS: Final = 1_000


class Plan(msgspec.Struct, frozen=True):
    """Where each field stands in a row.

    `places`: field → column; `custom`: key of a custom field → column; `fixed`: field → the same cell for every row, in place of
    a column. `fallback` holds the columns that are read where those of `places` say nothing: of an address, where its lines,
    city, state and postal code are all empty; of a name, where all of it is; else cell by cell. `explained` is the column of a
    number that a row does not have which only explains the columns. `preset` is whose export it is, where the header tells.
    """

    preset: str | None
    source: str
    shop: str
    places: Mapping[str, int]
    custom: Mapping[str, int]
    ignored: tuple[str, ...]
    has_address_country: bool
    fixed: Mapping[str, str] = {}
    fallback: Mapping[str, int] = {}
    explained: int | None = None


# --- words ---------------------------------------------------------------------------------------------------------------

# By field, the best first: what shops write, folded, nothing but letters and digits left. English, German, French, Spanish,
# Vietnamese. What could well be something else is not here.
_WORDS: Final[Mapping[str, str]] = {
    "externalId": """
        externalid customerid clientid buyeruserid buyerid userid contactid memberid shopifycustomerid shopifyid customernumber
        customerno customernr kundennummer kundennr kundenid numeroclient nclient noclient
        ndeclient idclient codeclient idcliente numerocliente
        numerodecliente codigocliente makhachhang makh""",
    "shop": "shop shopname store storename shopdomain cuahang",
    "email": """
        email emailaddress mail mailaddress emailaddr emailid customeremail customeremailaddress buyeremail clientemail useremail
        contactemail primaryemail email1value email1 emailadresse mailadresse adresseemail adressemail courriel adressecourriel
        adresseelectronique correoelectronico correo direccionemail diachiemail thudientu emailkhachhang hopthu""",
    "name": """
        name fullname customername customerfullname buyername clientname contactname displayname kundenname vollername
        vollstandigername nomcomplet nometprenom prenometnom nomclient nomduclient nombrecompleto nombreyapellidos nombrecliente
        hoten hovaten tenkhachhang tenkhach hotenkhachhang tennguoimua""",
    "firstName": """
        firstname fname givenname forename customerfirstname buyerfirstname vorname rufname prenom nombrepila
        nombredepila tenrieng""",
    "lastName": """
        lastname lname surname familyname customerlastname buyerlastname nachname familienname zuname nomdefamille
        apellido apellidos hovatendem hodem""",
    "phone": """
        phone phonenumber phoneno telephone telephonenumber tel telno mobile mobilephone mobilenumber mobileno cell cellphone
        contactnumber contactno contactphone customerphone customerphonenumber buyerphone clientphone primaryphone phone1value
        phone1 telefon telefonnummer telefonnr mobil mobilnummer mobiltelefon handy handynummer rufnummer telephoneportable
        telephonemobile portable numerodetelephone numtelephone notelephone telefono telefonomovil numerodetelefono movil celular
        sodienthoai dienthoai sdt sodidong didong sodt""",
    "dateOfBirth": """
        dateofbirth birthdate birthday dob bday birth customerbirthday geburtsdatum geburtstag gebdatum geburtsdat datedenaissance
        datenaissance naissance fechadenacimiento fechanacimiento nacimiento cumpleanos ngaysinh ngaythangnamsinh sinhnhat""",
    "gender": "gender sex geschlecht sexe genero sexo gioitinh",
    "tags": "tags tag customertags labels schlagworter schlagworte etiquettes etiquetas nhan gantag thetag",
    "note": """
        note notes customernote customernotes comment comments remark remarks notiz notizen bemerkung bemerkungen kommentar
        anmerkung anmerkungen remarque remarques commentaire commentaires nota notas observaciones ghichu""",
    "addressType": "addresstype typeofaddress",
    "isDefault": "isdefault addressisdefault isdefaultaddress",
    "recipientName": """
        recipientname recipient shiptoname empfanger empfangername destinataire nomdudestinataire destinatario nguoinhan
        tennguoinhan hotennguoinhan""",
    "line1": """
        line1 addressline1 address1 street1 streetaddress1 streetaddress street address addr1 addr strasse strassehausnummer
        strasseundhausnummer address12 strassenr strasse1 anschrift adresse adresse1 adresseligne1 ligne1 rue adressepostale direccion
        direccion1 calle domicilio diachi diachi1 diachinhanhang diachigiaohang diachichitiet detailaddress""",
    "line2": """
        line2 addressline2 address2 street2 streetaddress2 addr2 apartment apartmentsuiteetc apartmentsuite aptsuite adresszusatz
        adresse2 strasse2 adresseligne2 ligne2 complementadresse complementdadresse direccion2 diachi2 phuongxa xaphuong""",
    "city": """
        city town posttown citytown locality cityname ort wohnort stadt ville localite ciudad poblacion localidad municipio
        thanhpho quanhuyen""",
    "state": """
        statecode provincecode statecounty state province stateprovince provincestate stateprovincecode county region bundesland
        kanton departement provincia tinhthanhpho tinhthanh tinh thanhphotinh prefecture""",
    "postalCode": """
        postalcode postcode zipcode zip zippostalcode postalzipcode postcodezip zippostcode postalcodezip pincode plz
        postleitzahl codepostal cp codigopostal mabuuchinh mabuudien mabuucuc""",
    "country": """
        countrycode countryiso countrycodeiso2 country countryregion countryname land landercode laendercode landerkurzel pays
        codepays paysregion pais codigopais codigodepais quocgia nuoc""",
    "addressPhone": "addressphone recipientphone shiptophone recipientphonenumber sodienthoainguoinhan sdtnguoinhan",
    "emailMarketing": """
        emailmarketing acceptsemailmarketing emailmarketingstatus emailmarketingconsent acceptsmarketing emailoptin newsletter
        newsletteroptin newslettersubscription newslettersubscribed""",
    "smsMarketing": "smsmarketing acceptssmsmarketing smsmarketingstatus smsmarketingconsent smsoptin",
    "whatsappMarketing": """
        whatsappmarketing acceptswhatsappmarketing whatsappmarketingstatus whatsappmarketingconsent whatsappoptin""",
    "tagsCommand": "tagscommand",
}  # fmt: skip
# A code says more than a name; a header may have both.
_RANKS: Final[Mapping[str, Sequence[tuple[str, int]]]] = {
    word: [(field, rank) for field, words in _WORDS.items() for rank, at in enumerate(words.split()) if at == word]
    for word in {word for words in _WORDS.values() for word in words.split()}
}
_EXACT: Final = {field.lower(): field for field in FIELDS}

# Words that are another field beside another column: German "Name" beside "Vorname" is the last name.
_BESIDE: Final[Sequence[tuple[str, frozenset[str], str]]] = (
    ("name", frozenset({"vorname"}), "lastName"),
    ("nom", frozenset({"prenom"}), "lastName"),
    ("nombre", frozenset({"apellido", "apellidos"}), "firstName"),
    ("nombres", frozenset({"apellido", "apellidos"}), "firstName"),
    ("ten", frozenset({"ho", "hovatendem", "hodem"}), "firstName"),
    ("ho", frozenset({"ten"}), "lastName"),
)
_ALONE: Final[Mapping[str, str]] = {"nom": "name", "nombre": "name", "ten": "name"}

# An address's columns often share a beginning. The longest is looked for first.
_MAIN: Final = ("defaultaddress", "primaryaddress", "homeaddress", "mailingaddress", "mainaddress", "address")
_SHIPPING: Final = ("shippingaddress", "shipping", "shiptoaddress", "shipto", "ship", "deliveryaddress", "delivery", "lieferung",
                    "livraison")  # fmt: skip
_BILLING: Final = ("billingaddress", "billing", "billtoaddress", "billto", "bill", "invoiceaddress", "invoice", "rechnung",
                   "facturation")  # fmt: skip
_GROUPS: Final = sorted(
    [(p, n) for n, prefixes in enumerate((_MAIN, _SHIPPING, _BILLING)) for p in prefixes], key=lambda g: -len(g[0])
)
_OF_PLACE: Final = frozenset({"line1", "line2", "city", "state", "postalCode", "country", "recipientName"})
_IN_PLACE: Final[Mapping[str, str]] = {
    "name": "recipientName",
    "firstName": "recipientFirstName",
    "lastName": "recipientLastName",
    "phone": "addressPhone",
    "email": "email",
}
_PEOPLE: Final = (("email", "email"), ("phone", "addressPhone"), *((v, k) for v, k in _IN_PLACE.items() if "ame" in v))
_LINES: Final = ("line1", "line2", "city", "state", "postalCode")

_METAFIELD: Final = re.compile(r"\s*\(customer\.metafields\.[^.()]+\.([^()]+)\)\s*$")
_MATRIXIFY_METAFIELD: Final = re.compile(r"^metafield:\s*(?:customer\.)?(?:[\w-]+\.)?([\w-]+)", re.IGNORECASE)
_GROUP_BEHIND: Final = re.compile(r"\s*\((billing|shipping)\)$")
_NOT_WORDS: Final = re.compile(r"[\W_]+")


def squeezed(header: str) -> str:
    """A header's letters and digits, small and without accents: "E-Mail" and "e_mail" are one."""
    written = text.fold(text.clean(header))
    if (group := _GROUP_BEHIND.search(written)) is not None:
        written = f"{group[1]} {written[: group.start()]}"
    return _NOT_WORDS.sub("", written)


# --- whose export it is --------------------------------------------------------------------------------------------------


class _Preset(msgspec.Struct, frozen=True):
    """An export as its header tells it: `all` of these words and one of each of `any`, and none of `no`.

    `own` says what a word is here whatever it is elsewhere; "" is a column that is not taken.
    """

    name: str
    source: str
    all: frozenset[str]
    any: tuple[frozenset[str], ...] = ()
    no: frozenset[str] = frozenset()
    own: Mapping[str, str] = {}
    explained: str | None = None


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_ORDERS_OWN: Final = dict.fromkeys(
    "name id note notes status tags phonenumber source number orderid buyer customernote currency".split(), ""
)
_PRESETS: Final = (
    _Preset(
        "shopify_orders",
        "SHOPIFY",
        _set("email financialstatus lineitemname"),
        own={**_ORDERS_OWN, "billingname": "name", "shippingprovincename": "", "billingprovincename": ""},
    ),
    _Preset("shopify", "SHOPIFY", _set("email defaultaddressaddress1")),
    _Preset(
        "matrixify",
        "SHOPIFY",
        _set("email"),
        (_set("addressline1 addresscity addressid"), _set("command tagscommand emailmarketingstatus addressisdefault verifiedemail")),
        own={"state": "", "addressstate": "", "id": "externalId", "command": "command", "source": "", "status": ""},
    ),
    _Preset(
        "shopify_older",
        "SHOPIFY",
        _set("email address1 zip"),
        (_set("acceptsmarketing taxexempt totalspent"), _set("provincecode province")),
        _set("lineitemname"),
        {"id": "externalId", "countrycode": "country", "provincecode": "state", "country": "", "province": ""},
    ),
    _Preset(
        "etsy",
        "ETSY",
        frozenset(),
        (_set("buyeruserid"), _set("street1 shipcountry deliverycountry fullname")),
        own={**_ORDERS_OWN, "buyeruserid": "externalId", "street1": "shipstreet1", "street2": "shipstreet2"},
    ),
    _Preset(
        "etsy",
        "ETSY",
        _set("saledate itemname buyer transactionid listingid"),
        own={**_ORDERS_OWN, "buyer": "externalId", "shipname": "name"},
    ),
    _Preset(
        "tiktok",
        "TIKTOK_SHOP",
        _set("orderid recipient"),
        (_set("buyerusername buyernickname"), _set("phone detailaddress addressline1 skuid")),
        own={
            **_ORDERS_OWN, "buyerusername": "externalId", "buyernickname": "", "recipient": "name", "phone": "phone", "commune": "line2",
            "additionaladdressinformation": "line2", "district": "city", "posttown": "city", "province": "state",
            "detailaddress": "line1", "sellernote": "", "buyermessage": "", "deliveryinstruction": "",
        },
        explained="orderid",
    ),
    _Preset("woocommerce", "WOOCOMMERCE", _set("email username lastactive"), (_set("aov totalspend"),), own={"role": ""}),
    _Preset(
        "woocommerce",
        "WOOCOMMERCE",
        frozenset(),
        (_set("billingaddress1 billingaddress billingaddress12"), _set("ordernumber orderid orderstatus orderdate")),
        _set("userlogin"),
        {
            **_ORDERS_OWN, "customerid": "externalId", "customeruserid": "externalId", "customeruser": "externalId",
        },
    ),
    _Preset(
        "woocommerce",
        "WOOCOMMERCE",
        frozenset(),
        (_set("billingaddress1"), _set("userlogin useremail username customerid dateregistered userregistered billingpostcode")),
        own={"id": "externalId", "customerid": "externalId", "displayname": "", "nickname": "", "status": "", "userstatus": "", "role": "",
             "roles": "", "description": ""},
    ),
)  # fmt: skip


def _preset(header: Sequence[str], words: Sequence[str]) -> _Preset | None:
    told = [name for name in header if name]
    if {"externalId", "source"} <= {*told} and all(name in FIELDS or name.startswith(CUSTOM) for name in told):
        return _Preset("supover", "", frozenset())
    found = frozenset(words)
    for preset in _PRESETS:
        if preset.all <= found and all(found & some for some in preset.any) and not found & preset.no:
            return preset
    return None


# --- the plan ------------------------------------------------------------------------------------------------------------


def plan(
    options: CustomerImportOptions, header: Sequence[str], sample: pl.DataFrame | None, custom_keys: Collection[str]
) -> Plan:
    """Reads a header, the first rows where there are some, and the options. `custom_keys` are the declared ones.

    `sample` has a column a header cell, named "0", "1" and so on. Raises ImportUnreadable naming every field and column of `map`
    and `set` that is wrong.
    """
    names = [name.strip() for name in header]
    words = [squeezed(_METAFIELD.sub("", name)) for name in names]
    preset = _preset(names, words)
    found = _Found(names, words, preset, sample, custom_keys)
    errors: list[FieldError] = []
    _judge(options, errors)
    fixed = _fixed(options, found, errors)
    _mapped(options, found, errors)
    for key in dict.fromkeys((*found.custom, *(f.removeprefix(CUSTOM) for f in fixed if f.startswith(CUSTOM)))):
        if len(key) > customer_rules.KEY_LENGTH or text.clean(key) != key:
            why = f"must have a key of 1 to {customer_rules.KEY_LENGTH} characters, with nothing unseen in it"
            errors.append(FieldError(f"map/{CUSTOM}{key[:40]}", "key", why))
    if errors:
        raise ImportUnreadable(errors)
    for field in fixed:
        found.places.pop(field, None)
        found.fallback.pop(field, None)
        found.custom.pop(field.removeprefix(CUSTOM), None)
    taken = {*found.places.values(), *found.fallback.values(), *found.custom.values()}
    source = text.clean(options.source or "") or (preset.source if preset else "") or "IMPORT"
    explained = words.index(preset.explained) if preset and preset.explained else None
    return Plan(
        preset=preset.name if preset else None,
        source=source,
        shop=text.clean(options.shop or ""),
        places=found.places,
        custom=found.custom,
        ignored=tuple(name for n, name in enumerate(names) if n not in taken and name),
        has_address_country="addressCountry" in found.places or "addressCountry" in fixed,
        fixed=fixed,
        fallback=found.fallback,
        explained=explained,
    )


KNOWN_BY: Final = ("id", "externalId", "email", "phone", "name", "firstName", "lastName")


def must_tell_somebody(plan: Plan) -> None:
    """Raises ImportUnreadable when no column is one that somebody is known by: every row would be refused for it."""
    if not any(field in found for field in KNOWN_BY for found in (plan.places, plan.fallback, plan.fixed)):
        why = "no column is known as email, phone, name or externalId: say which one is"
        raise ImportUnreadable([FieldError("map", "required", why)])


class _Found:
    """Columns as they are found, best first; a column is one field's."""

    def __init__(
        self,
        names: Sequence[str],
        words: Sequence[str],
        preset: _Preset | None,
        sample: pl.DataFrame | None,
        custom_keys: Collection[str],
    ) -> None:
        self.names = names
        self.places: dict[str, int] = {}
        self.custom: dict[str, int] = {}
        self.fallback: dict[str, int] = {}
        self._words = list(words)
        self._sample = None if sample is None else sample.head(SAMPLE_ROWS)
        self._keys = {key.lower(): key for key in custom_keys}
        self._free = dict.fromkeys(n for n, name in enumerate(names) if name)
        self._groups: tuple[dict[str, int], dict[str, int], dict[str, int]] = ({}, {}, {})
        self._own: Mapping[str, str] = preset.own if preset else {}
        self._by_preset()
        self._by_exact_name()
        self._by_words()
        self._by_prefix()
        self._settle_places()
        self._by_custom_key()
        self._by_cells()

    def key(self, name: str) -> str:
        """A custom field's key as it is declared; as it is written where none is."""
        return self._keys.get(name.lower(), name)

    def _put(self, field: str, n: int) -> None:
        if field not in self.places:
            self.places[field] = n
        self._free.pop(n, None)

    def _by_preset(self) -> None:
        never: list[int] = []
        for n in list(self._free):
            field = self._own.get(self._words[n])
            if field == "":
                never.append(n)
            elif field in FIELDS:
                self._put(field, n)
            elif field is not None:
                self._words[n] = field
        for n in never:
            # A custom field may still ask for it by its key.
            self._words[n] = ""

    def _by_exact_name(self) -> None:
        for n in list(self._free):
            name = self.names[n]
            if name.lower().startswith(CUSTOM.lower()) and len(name) > len(CUSTOM):
                self.custom.setdefault(self.key(name[len(CUSTOM) :]), n)
                del self._free[n]
        for n in sorted(self._free, key=lambda n: self.names[n].lower() == "id"):
            field = _EXACT.get(self.names[n].lower())
            if field == "id" and not self._holds(n, _is_uuid, self.names[n] == "id" and "externalId" in self.names):
                field = "externalId"
            if (field == "name" and "vorname" in self._words) or field in self.places:
                continue
            if field is not None and self._words[n]:
                self._put(field, n)
        for n in list(self._free):
            if (key := self._keys.get(self.names[n].lower())) is not None:
                self.custom.setdefault(key, n)
                del self._free[n]

    def _by_words(self) -> None:
        beside = frozenset(self._words)
        found: dict[str, list[tuple[int, int]]] = {}
        for n in self._free:
            word = self._words[n]
            field = next((f for w, others, f in _BESIDE if w == word and others & beside), _ALONE.get(word))
            for told, rank in [(field, 0)] if field else _RANKS.get(word, ()):
                found.setdefault(told, []).append((rank, n))
        for field, columns in found.items():
            if field not in self.places:
                self._put(field, min(columns)[1])
        for columns in found.values():
            for _, n in columns:
                self._free.pop(n, None)

    def _by_prefix(self) -> None:
        found: dict[tuple[int, str], tuple[int, int]] = {}
        for n in list(self._free):
            word = self._words[n]
            group, rest = next(
                (
                    (g, word.removeprefix(p))
                    for p, g in _GROUPS
                    if word.startswith(p) and word.removeprefix(p) in _RANKS
                ),
                (0, ""),
            )
            for told, rank in _RANKS.get(rest, ()):
                field = told if told in _OF_PLACE else _IN_PLACE.get(told)
                if field is not None:
                    found[group, field] = min(found.get((group, field), (rank, n)), (rank, n))
                    self._free.pop(n, None)
        for (group, field), (_, n) in found.items():
            self._groups[group][field] = n

    def _settle_places(self) -> None:
        """An address is one group's columns: those without a beginning, else the shipping, else the billing address's."""
        plain, shipping, billing = self._groups
        for field, n in plain.items():
            if field == "email":
                continue
            self.places.setdefault(field, n)
        groups = [g for g in (shipping, billing) if any(line in g for line in _LINES)]
        if not any(line in self.places for line in _LINES) and groups:
            main = groups.pop(0)
            for field in (*_LINES, "recipientName", "recipientFirstName", "recipientLastName", "addressPhone"):
                if field in main and (main is shipping or field in _LINES):
                    self.places.setdefault(field, main[field])
            if "country" in main:
                self.places.setdefault("addressCountry" if "country" in self.places else "country", main["country"])
        for field in (*_LINES, "country") if groups else ():
            if field in groups[0] and groups[0][field] not in self.places.values():
                self.fallback[field] = groups[0][field]
        has_name = any(field in self.places for field in ("name", "firstName", "lastName"))
        for field, of_place in _PEOPLE:
            is_name = of_place.startswith("recipient")
            for group in (billing, shipping, plain) if is_name and not has_name else (billing, shipping):
                column = group.get(of_place)
                if column is None:
                    continue
                if field not in self.places and not (is_name and has_name):
                    self.places[field] = column
                elif self.places.get(field) != column:
                    self.fallback.setdefault(field, column)

    def _by_custom_key(self) -> None:
        keys = {squeezed(key): key for key in self._keys.values()}
        taken = {*self.places.values(), *self.fallback.values()}
        for n in list(self._free):
            name = self.names[n]
            metafield = _METAFIELD.search(name) or _MATRIXIFY_METAFIELD.search(name)
            asked = [squeezed(name), *([squeezed(metafield[1])] if metafield else [])]
            key = next((keys[word] for word in asked if word in keys), None)
            if key is not None and key not in self.custom and n not in taken:
                self.custom[key] = n
                del self._free[n]
            elif metafield:
                for field, _ in _RANKS.get(squeezed(metafield[1]), ()):
                    if field not in self.places:
                        self._put(field, n)

    def _by_cells(self) -> None:
        """A column that its name does not tell, by what stands in it; where two could be it, none is."""
        for field, is_one, may_be in _BY_CELLS:
            if field in self.places:
                continue
            fitting = [n for n in self._unnamed() if may_be(self.names[n]) and self._holds(n, is_one, False)]
            if len(fitting) == 1:
                self._put(field, fitting[0])

    def _unnamed(self) -> Iterator[int]:
        taken = {*self.places.values(), *self.fallback.values(), *self.custom.values()}
        return (n for n in range(len(self.names)) if n not in taken)

    def _holds(self, n: int, is_one: Callable[[str], bool], unseen: bool) -> bool:
        """Whether nearly all cells of a column are of a kind; `unseen` is the answer where there are none."""
        if self._sample is None or str(n) not in self._sample.columns:
            return unseen
        cells = [cell for cell in self._sample.get_column(str(n)).to_list() if cell]
        if not cells:
            return unseen
        return sum(map(is_one, cells)) >= 0.95 * len(cells)


_UUID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
_ISO: Final = re.compile(r"(?:18|19|20)\d\d-\d\d-\d\d")
_INTERNATIONAL: Final = re.compile(r"\+\d[\d ().-]{6,20}")
_BIRTH: Final = ("birth", "geburt", "naiss", "nacim", "sinh", "bday")
# Whose address it is not: a shop's own people, or somebody else of the customer's.
_OTHERS: Final = re.compile(
    r"staff|employee|agent|sales|rep\b|owner|manager|admin|author|refer|invit|parent|secondary|second|alternat|other|backup|support|"
    r"vendor|supplier|seller|created|updated|assign|sender|from|spouse|partner|emergency"
)


def _is_uuid(cell: str) -> bool:
    return _UUID.fullmatch(cell) is not None


def _is_email(cell: str) -> bool:
    return text.email_shown(cell) is not None


_BY_CELLS: Final[Sequence[tuple[str, Callable[[str], bool], Callable[[str], bool]]]] = (
    ("email", _is_email, lambda name: not _OTHERS.search(text.fold(name))),
    ("phone", lambda cell: _INTERNATIONAL.fullmatch(cell) is not None, lambda name: not squeezed(name)),
    (
        "dateOfBirth",
        lambda cell: _ISO.fullmatch(cell) is not None,
        lambda name: any(b in squeezed(name) for b in _BIRTH),
    ),
)


# --- what is told --------------------------------------------------------------------------------------------------------


def _mapped(options: CustomerImportOptions, found: _Found, errors: list[FieldError]) -> None:
    columns = {name.lower(): n for n, name in reversed(list(enumerate(found.names))) if name}
    told: dict[str, int] = {}
    for name, column in options.map.items():
        field = _field(name, found)
        if field is None:
            errors.append(FieldError(f"map/{name}", "unknown", f"is not a field of a customer{_nearest(name, FIELDS)}"))
            continue
        if not column.strip():
            _drop(found, field)
            continue
        n = columns.get(column.strip().lower())
        if n is None:
            near = _nearest(column, found.names)
            errors.append(FieldError(f"map/{name}", "column", f"the file has no column {column!r}{near}"))
            continue
        told[field] = n
    for taken in (found.places, found.fallback, found.custom):
        # A column that is said to be one field is no longer the other one that it looked like.
        for field in [f for f, n in taken.items() if n in told.values()]:
            del taken[field]
    for field, n in told.items():
        _drop(found, field)
        if field.startswith(CUSTOM):
            found.custom[field.removeprefix(CUSTOM)] = n
        else:
            found.places[field] = n


def _judge(options: CustomerImportOptions, errors: list[FieldError]) -> None:
    """What is said for all rows, and so must be right before the first."""
    for name, value, most in (
        ("source", options.source, customer_rules.SOURCE_LENGTH),
        ("shop", options.shop, customer_rules.SHOP_LENGTH),
    ):
        if len(text.clean(value or "")) > most:
            errors.append(FieldError(name, "length", f"can have at most {most} characters"))
    if options.country and countries.code(options.country) is None:
        errors.append(FieldError("country", "unknown", f"{options.country[:40]!r} is not a country"))
    tags = [text.clean(tag) for tag in options.tags]
    if len(tags) > customer_rules.MAX_TAGS:
        errors.append(FieldError("tags", "length", f"can be at most {customer_rules.MAX_TAGS} tags"))
    if any(len(tag) > customer_rules.TAG_LENGTH for tag in tags):
        errors.append(FieldError("tags", "length", f"can have at most {customer_rules.TAG_LENGTH} characters each"))


def _drop(found: _Found, field: str) -> None:
    found.places.pop(field, None)
    found.fallback.pop(field, None)
    found.custom.pop(field.removeprefix(CUSTOM), None)


def _fixed(options: CustomerImportOptions, found: _Found, errors: list[FieldError]) -> dict[str, str]:
    fixed: dict[str, str] = {}
    for name, value in options.set.items():
        field = _field(name, found)
        if field is None:
            errors.append(FieldError(f"set/{name}", "unknown", f"is not a field of a customer{_nearest(name, FIELDS)}"))
        else:
            fixed[field] = value.strip()
    return fixed


def _field(name: str, found: _Found) -> str | None:
    if name.lower().startswith(CUSTOM.lower()) and len(name) > len(CUSTOM):
        return CUSTOM + found.key(name[len(CUSTOM) :])
    return _EXACT.get(name.strip().lower())


def _nearest(name: str, among: Sequence[str]) -> str:
    # It costs their lengths' product each, and both come from whoever sent the file.
    short = {squeezed(a): a for a in reversed(among[:200]) if 0 < len(a) <= 100}
    near = difflib.get_close_matches(squeezed(name), list(short), 1, 0.6) if len(name) <= 100 else []
    return worded(f" (did you mean {short[near[0]]}?)") if near else ""
