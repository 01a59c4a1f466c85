"""Every sentence of the screens in every language."""

import ast
import inspect
import re
from collections.abc import Iterator
from datetime import date
from typing import Any, Final

import httpx
from jinja2 import nodes

from supover.analytics.prediction_rules import Seen, missing, reasons
from supover.duplicates import scoring
from supover.kit import ids
from supover.web import wordings
from supover.web.model import LANGUAGES
from supover.web.rendering import environment
from tests.makers import make_customer
from tests.web import crawl, words
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


def test_what_predictions_say_is_told_by_sentences_of_the_catalogue() -> None:
    day = date(2026, 11, 22)
    said = [
        text
        for seen in (Seen(0, None, None, 0), Seen(499, date(2026, 6, 1), date(2026, 9, 30), 0))
        for text in missing(seen, day)
    ]
    for days, first, last in ((1, 22, 22), (1, 21, 21), (1, 2, 2), (2, 1, 22), (2, 19, 21), (3, 1, 5)):
        said += reasons(days, date(2026, 11, first), date(2026, 11, last), day, [(7, 2)])
    assert {wordings.found(text).text for text in said} <= {*wordings.PREDICTED}
    for text in said:
        assert wordings.found(text).text % wordings.found(text).values == text


def test_a_day_that_a_prediction_names_is_written_as_the_reader_writes_days() -> None:
    [reason] = [
        one for one in reasons(3, date(2026, 11, 1), date(2026, 11, 5), date(2026, 11, 22), []) if "days since" in one
    ]
    told = {one: environment(one).from_string("{{ said|told }}").render(said=reason) for one in LANGUAGES}
    assert told == {"en": "Ordered on 3 days since Nov 1, 2026.", "vi": "Đã đặt hàng vào 3 ngày kể từ 1 thg 11, 2026."}


def test_why_two_may_be_one_is_told_by_sentences_of_the_catalogue() -> None:
    told = {re.sub(r"%\(\w+\)s", "X", one) for one in wordings.SUSPECTED}
    for node in ast.walk(ast.parse(inspect.getsource(scoring))):
        if (
            isinstance(node, ast.Call)
            and ast.unparse(node.func) == "Reason"
            and isinstance(node.args[1], ast.Constant | ast.JoinedStr)
        ):
            text = _written(node.args[1])
            assert text in told or "any two of" in text, text
    assert {scoring.FIRST_NAMES, scoring.GENERATIONS, scoring.SAME_EMAIL, scoring.SAME_PHONE} <= told
    found = wordings.found("same last name, Lee (a family at one address)")
    assert (found.text, found.values) == ("same last name, %(name)s (a family at one address)", {"name": "Lee"})


def _written(node: ast.Constant | ast.JoinedStr) -> str:
    parts = node.values if isinstance(node, ast.JoinedStr) else [node]
    return "".join(str(one.value) if isinstance(one, ast.Constant) else "X" for one in parts)


def test_only_sentences_of_ours_are_told_as_html() -> None:
    """`_` makes HTML of what it is given: that is a literal; what comes from elsewhere goes through the filter `told`."""
    wrong: list[str] = []
    for file in sorted(words.WEB.rglob("*.html")):
        for call in environment("en").parse(file.read_text("utf-8")).find_all(nodes.Call):
            if isinstance(call.node, nodes.Name) and call.node.name in ("_", "gettext", "ngettext"):
                sentences = call.args[: 2 if call.node.name == "ngettext" else 1]
                wrong += [f"{file.name}:{call.lineno}" for one in sentences if not isinstance(one, nodes.Const)]
    assert wrong == []
