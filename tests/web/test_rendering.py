"""What is drawn once and kept: it is HTML where it is ours, and text where people wrote it."""

import os
import time
from pathlib import Path

import pytest
from markupsafe import Markup

from supover.web import rendering


@pytest.mark.parametrize("turns", [1, 2])
def test_what_looks_alike_is_not_taken_for_one_another(turns: int) -> None:
    for _ in range(turns):
        assert rendering.badge("<b>a</b>") == '<span class="badge" data-tone="quiet">&lt;b&gt;a&lt;/b&gt;</span>'
        assert rendering.badge(Markup("<b>a</b>")) == '<span class="badge" data-tone="quiet"><b>a</b></span>'
        assert rendering.select_options([("x", "<i>")]) == '<option value="x">&lt;i&gt;</option>'
        assert rendering.select_options([("x", Markup("<i>"))]) == '<option value="x"><i></option>'


def test_a_badge_has_its_tone_and_what_else_is_given() -> None:
    drawn = rendering.badge("Late", "bad", title='"why"', **{"class": "ml-1"})
    assert drawn == '<span class="badge ml-1" data-tone="bad" title="&#34;why&#34;">Late</span>'
    assert rendering.badges({"VIP": "VIP", "odd": "Odd"}) == {
        "VIP": rendering.badge("VIP", "brand"),
        "odd": rendering.badge("Odd", "quiet"),
    }


def test_one_option_is_chosen_by_its_value_whatever_its_type() -> None:
    choices = [("", "None"), (5, "Five"), ('"', "<Quote>")]
    assert rendering.select_options(choices, "5").count(" selected") == 1
    assert '<option value="5" selected>Five</option>' in rendering.select_options(choices, 5)
    assert '<option value="&#34;" selected>&lt;Quote&gt;</option>' in rendering.select_options(choices, '"')
    assert " selected" not in rendering.select_options(choices)
    assert rendering.select_options([]) == ""


def test_a_file_that_changes_gets_another_address_within_a_second(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rendering, "STATIC", tmp_path)
    file = tmp_path / "style.css"
    file.write_text("a {}")
    before = rendering.asset("style.css")
    assert rendering.asset("style.css") == before
    file.write_text("b {}")
    os.utime(file, ns=(1, 1))
    monkeypatch.setattr(rendering.clock, "monotonic_s", lambda: time.monotonic() + 1)
    assert rendering.asset("style.css") != before


def test_where_somebody_comes_from_is_told_in_the_readers_language() -> None:
    text = "{% for one in ('MANUAL', 'SHOPIFY', 'My own shop', 'Manual') %}{{ one|source }};{% endfor %}{{ SOURCES.MANUAL }}"
    told = {language: rendering.environment(language).from_string(text).render() for language in ("en", "vi")}
    assert told == {
        "en": "Manual;Shopify;My own shop;Manual;Manual",
        "vi": "Thủ công;Shopify;My own shop;Manual;Thủ công",
    }
