"""Every sentence of the screens in every language."""

import re
from typing import Any

import httpx

from tests.web import crawl, words


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
