"""Every sentence of the screens in every language."""

import ast
import re
import time
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Final, Literal
from uuid import UUID

import httpx
import msgspec
import pytest
from jinja2 import nodes

from supover.analytics.prediction_rules import reasons
from supover.kit import ids
from supover.kit.problems import from_library
from supover.web import wordings
from supover.web.model import LANGUAGES
from supover.web.rendering import environment
from supover.web.rendering import words as said_in
from tests.makers import Json, make_customer, make_order, told
from tests.web import crawl, sentences, words
from tests.web.test_frame import told_by


def test_every_sentence_is_said_in_vietnamese_with_the_same_places() -> None:
    for message in words.catalogue("vi"):
        if not message.id:
            continue
        english = [message.id] if isinstance(message.id, str) else list(message.id)
        told: Any = message.string
        said: str = told if isinstance(told, str) else told[0]
        assert said.strip(), english
        places = {tuple(sorted(set(re.findall(r"%\(\w+\)s", one)))) for one in english}
        assert tuple(sorted(set(re.findall(r"%\(\w+\)s", said)))) in places, english


async def test_pages_are_told_in_the_readers_language(web: httpx.AsyncClient) -> None:
    web.headers["Accept-Language"] = "vi-VN,vi;q=0.9,en;q=0.5"
    found = await crawl.crawl(web)
    assert [(one.status, one.path, one.parent) for one in found if one.status != 200] == []
    [customers] = [one for one in found if one.path == "/customers"]
    assert '<html lang="vi">' in customers.text
    assert "<h1>Khách hàng</h1>" in customers.text
    english = await web.get("/customers", headers={"Accept-Language": "de"})
    assert "<h1>Customers</h1>" in english.text


SAYING: Final = {"see": slice(2, None), "say": slice(0, 1), "say_many": slice(0, 2)}
"""Which of their arguments are sentences."""


def test_what_was_done_is_told_by_sentences_of_the_catalogue() -> None:
    """Sentences are literals, or what `say` made of one: nothing else is found for the catalogues."""
    wrong: list[str] = []
    for file in {*words.WEB.glob("*.py")} - {words.WEB / "frame.py"}:
        for function in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                wrong += [f"{file.name}:{one.lineno}" for one in _sentences(function) if not _is_said(one)]
    assert sorted(wrong) == []


def _sentences(function: ast.AST) -> Iterator[ast.expr]:
    """What is told in a function; of a variable what it was given."""
    nodes = list(ast.walk(function))
    given = {ast.unparse(node.targets[0]): node.value for node in nodes if isinstance(node, ast.Assign)}
    for node in nodes:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in SAYING:
            yield from (given.get(ast.unparse(one), one) for one in node.args[SAYING[node.func.id]])


def _is_said(node: ast.expr) -> bool:
    if isinstance(node, ast.IfExp):
        # Of two literals neither would be found.
        return not any(isinstance(one, ast.Constant) and one.value for one in (node.body, node.orelse))
    return isinstance(node, ast.Constant | ast.Call)


async def test_what_was_done_is_told_in_vietnamese(web: httpx.AsyncClient, api: httpx.AsyncClient) -> None:
    web.headers["Accept-Language"] = "vi"
    ann = await make_customer(api, email="ann@lee.com")
    made = await web.post("/segments", data={"name": "Friends", "kind": "manual"})
    group = made.headers["location"]
    await web.post(f"{group}/pick", data={"people": "ann@lee.com bob@ray.com cid@fox.com"})
    assert told_by(await web.get(group)) == "Đã thêm 1 khách hàng. Không tìm thấy 2: bob@ray.com, cid@fox.com."
    await web.post(f"{group}/customers/{ann['id']}")
    assert told_by(await web.get(group)) == "Khách hàng đã có trong nhóm."
    await web.post("/settings/inbox/replay", data={"status": "dead"})
    assert told_by(await web.get("/settings/inbox")) == "Không có webhook nào để xử lý lại."


async def test_what_is_wrong_is_told_in_vietnamese(web: httpx.AsyncClient) -> None:
    web.headers["Accept-Language"] = "vi"
    answer = await web.post("/customers/new", data={"email": "nobody"}, headers={"HX-Request": "true"})
    assert (answer.status_code, answer.json()["title"]) == (422, "Một số trường không thể nhận như đã nhập")
    assert answer.json()["errors"] == [{"name": "email", "text": "phải là địa chỉ email như ann@example.com"}]
    gone = await web.get(f"/customers/{ids.new()}")
    assert "<h1>Không có khách hàng nào với mã này trong không gian làm việc</h1>" in gone.text
    assert "Số đơn hàng</option>" in (await web.get("/segments/new")).text


async def test_values_stand_in_what_is_wrong_and_programs_are_told_in_english(
    web: httpx.AsyncClient, api: httpx.AsyncClient
) -> None:
    web.headers.update({"Accept-Language": "vi", "HX-Request": "true"})
    ann = await make_customer(api)
    order = await make_order(api, ann, total="50.00", currency="USD")
    place = {"type": "SHIPPING", "line1": "1 A St", "city": "Austin", "state": "TX", "country": "US"}

    async def wrong(path: str, form: Json) -> list[tuple[str, str]]:
        answer = await web.post(path, data=form)
        assert answer.status_code == 422, answer.text
        return [(one["name"], one["text"]) for one in answer.json()["errors"]]

    assert await wrong(f"/customers/{ann['id']}/addresses", place | {"postalCode": "94043"}) == [
        ("postalCode", "không thuộc TX, Hoa Kỳ, nơi mã bưu chính có dạng 75000")
    ]
    assert await wrong("/customers/new", {"email": "a@x.org", "name": "A" * 1_000}) == [("name", "có tối đa 200 ký tự")]
    assert await wrong("/segments", {"name": "x" * 300, "kind": "manual"}) == [("name", "có tối đa 200 ký tự")]
    assert await wrong(f"/orders/{order['id']}/refund", {"amount": "much"}) == [("amount", "số thập phân không hợp lệ")]
    assert await wrong(f"/orders/{order['id']}/refund", {"amount": "60.00"}) == [
        ("amount", "Chỉ còn 50.00 USD để hoàn tiền.")
    ]
    told = (await api.post(f"/api/customers/{ann['id']}/addresses", json=place | {"postalCode": "94043"})).json()
    assert [one["message"] for one in told["errors"]] == [
        "does not belong to TX, United States, whose postal codes are like 75000"
    ]


def test_a_day_that_a_prediction_names_is_written_as_the_reader_writes_days() -> None:
    [reason] = [
        one for one in reasons(3, date(2026, 11, 1), date(2026, 11, 5), date(2026, 11, 22), []) if "days since" in one
    ]
    told = {one: environment(one).from_string("{{ said|told|with_days }}").render(said=reason) for one in LANGUAGES}
    assert told == {"en": "Ordered on 3 days since Nov 1, 2026.", "vi": "Đã đặt hàng vào 3 ngày kể từ 1 thg 11, 2026."}


async def test_what_rooms_have_kept_in_english_is_told_in_vietnamese(
    web: httpx.AsyncClient, api: httpx.AsyncClient
) -> None:
    web.headers["Accept-Language"] = "vi"
    ann = await make_customer(api, email="ann@x.org")
    order = await make_order(api, email="ann@x.org")
    await api.patch(f"/api/orders/{order['id']}", json={"onHold": True})
    page = (await web.get(f"/orders/{order['id']}")).text
    assert "Được giữ lại thủ công." in page
    assert "Email ann@x.org là của khách hàng này." in page
    audit = (await web.get(f"/settings/audit?subjectId={ann['id']}")).text.partition("<tbody")[2]
    assert "Tạo khách hàng" in audit
    asked = await web.post("/segments/builder", data={"as": "text", "filter": "amountspent > 5"})
    assert "amountspent không phải là trường; ý là" in asked.text


def test_what_rooms_say_can_be_told_in_every_language() -> None:
    """Where people read a sentence stands one that the catalogues find: no part of it is put in by a condition."""
    assert [f"{one.at}: {one.text}" for one in sentences.found() if one.is_lost] == []


def test_a_sentence_that_is_made_past_the_catalogue_is_found() -> None:
    said = {
        'Invalid.at("/x", "length", f"can have at most {MOST} tags")': ["can have at most %(1)s tags"],
        'Invalid.at("/x", "length", "one" if few else f"{n} of {m} are left")': ["%(1)s of %(2)s are left"],
        'FieldError("/x", "unknown", f"is not of {countries.name(code)}")': ["is not of %(country)s"],
        'Conflict(f"It has {n:.0%} and 5 %.")': ["It has %(1)s and 5 %%."],
        'Conflict("It is " + name)': None,
        "Conflict(f\"It {'has' if n else 'has not'} gone.\")": None,
        'Conflict("It is {}.".format(name))': None,
        "FieldError('/x', 'unknown', made(name))": None,
    }
    for source, texts in said.items():
        found = sentences.said_by(f"def said(name, n, m, few):\n    raise {source}\n")
        if texts is None:
            assert [one.is_lost for one in found if one.is_lost], source
        else:
            assert [one.text for one in found if not one.is_lost and "%" in one.text] == texts
            assert not [one for one in found if one.is_lost], source


def test_every_form_is_found_again_with_its_values() -> None:
    told = said_in("vi")
    forms = wordings.forms([one.text for one in sentences.found() if not one.is_lost])
    for sentence, _ in forms:
        hung = re.sub(r"(?<=[\w).])%\(\d+\)s", "", sentence)
        text = re.sub(r"%\((\w+)\)s", lambda place: "Peru" if place[1] == "country" else f"X{place[1]}Y", hung).replace(
            "%%", "%"
        )
        found = wordings.found(text, forms)
        assert found is not None and found[0] == sentence, (text, found)
        assert told.told(text) != text, text


def test_parts_of_a_sentence_are_told_too() -> None:
    tell = said_in("vi").told
    assert tell("the file has no column 'Mail' (did you mean E-Mail?)") == "tệp không có cột 'Mail' (ý là E-Mail?)"
    assert tell("is not a field of an order") == "không phải là trường của đơn hàng"
    assert tell("The email with customer 7 did not count: relay contacts never match.") == (
        "email của khách hàng 7 không được tính: liên hệ loại relay không bao giờ được dùng để ghép."
    )
    several = "'GOLD' is not one of ACTIVE, VIP; tags: can be at most 250 tags; name: is required"
    assert tell(several) == "'GOLD' không thuộc ACTIVE, VIP; tags: tối đa là 250 thẻ; name: là bắt buộc"
    assert tell("has more than 1,000,000 bytes") == "có hơn 1.000.000 byte"
    assert tell("Last ordered 3 days ago; until then every 7.5 days on average.") == (
        "Đặt hàng lần cuối 3 ngày trước; trước đó trung bình 7.5 ngày một lần."
    )
    assert tell("Ann; Lee: of no sentence of ours") == "Ann; Lee: of no sentence of ours"
    assert said_in("en").told(several) == several


def test_text_that_somebody_made_up_is_told_at_once() -> None:
    """What a file or a form had in it stands in what is wrong with it, and is tried as every sentence of ours."""
    tell = said_in("vi").told
    for sentence, _ in wordings.forms([one.text for one in sentences.found() if not one.is_lost]):
        begin, *rest = re.split(r"%\(\w+\)s", sentence.replace("%%", "%"))
        for again in {*rest} - {""}:
            text = (begin + f"x{again}" * 1_000)[: wordings.LONGEST - 5] + "; a: "
            started = time.process_time()
            tell(text)
            assert time.process_time() - started < 0.5, text[:80]
    for text in ("a: " * 600, "is required; a: " * 10_000, "%(name)s was deleted.", "9" + ",999" * 3_000):
        assert tell(f"{text}!") == f"{text}!"


@pytest.mark.parametrize(
    ("kind", "value", "told"),
    [
        (int, "x", "cần `int`, nhưng nhận được `str`"),
        (Literal["a"], "x", "giá trị 'x' không có trong danh sách"),
        (datetime, "x", "thời điểm không đúng dạng RFC3339"),
        (UUID, "x", "UUID không hợp lệ"),
        (Decimal, "x", "số thập phân không hợp lệ"),
        (Annotated[str, msgspec.Meta(max_length=2)], "long", "cần `str` có độ dài <= 2"),
        (Annotated[int, msgspec.Meta(ge=2)], 1, "cần `int` >= 2"),
    ],
)
def test_what_the_decoder_says_is_told_in_vietnamese(kind: Any, value: object, told: str) -> None:
    with pytest.raises(msgspec.ValidationError) as refused:
        msgspec.convert(value, kind)
    assert said_in("vi").told(from_library(str(refused.value))) == told


async def test_built_in_segments_and_decisions_are_told_in_vietnamese(
    web: httpx.AsyncClient, api: httpx.AsyncClient
) -> None:
    web.headers["Accept-Language"] = "vi"
    await make_order(api, email="ann@lee.com", phone="+14155552671", name="Ann Lee")
    order = await make_order(api, email="x7@marketplace.amazon.com", phone="+14155552671", name="Ann")
    page = (await web.get(f"/orders/{order['id']}")).text
    assert "Số điện thoại +14155552671 là của khách hàng này, và tên khớp nhau." in page
    assert "email không được tính: liên hệ loại relay không bao giờ được dùng để ghép." in page
    own = told(
        await api.post("/api/segments", json={"name": "Friends", "description": "Active", "kind": "manual"}), 201
    )
    page = (await web.get("/segments")).text
    assert ("Chưa từng đặt hàng" in page, "Never ordered" in page, "Friends" in page) == (True, False, True)
    assert ">Active<" in (await web.get(f"/segments/{own['id']}")).text
    assert "Chưa từng đặt hàng" in (await web.get("/customers")).text
    home = (await web.get("/")).text
    assert ('<th scope="col">Người mua</th>' in home, "tất cả phím tắt" in home) == (True, True)


def test_only_sentences_of_ours_are_told_as_html() -> None:
    """`_` makes HTML of what it is given: that is a literal; what comes from elsewhere goes through the filter `told`."""
    wrong: list[str] = []
    for file in sorted(words.WEB.rglob("*.html")):
        for call in environment("en").parse(file.read_text("utf-8")).find_all(nodes.Call):
            if isinstance(call.node, nodes.Name) and call.node.name in ("_", "gettext", "ngettext"):
                sentences = call.args[: 2 if call.node.name == "ngettext" else 1]
                wrong += [f"{file.name}:{call.lineno}" for one in sentences if not isinstance(one, nodes.Const)]
    assert wrong == []
