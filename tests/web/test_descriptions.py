"""What filters ask, as a reader is told."""

import re
from datetime import date
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supover import wiring
from supover.kit import filters
from supover.kit.filters import Field
from supover.web.descriptions import wording
from supover.web.model import Language
from tests.kit import filter_texts

OWN = (
    Field(name="custom.size", kind="choice", words="status", sql="x.size", choices=("NEW", "AT_RISK")),
    Field(name="custom.since", kind="day", words="date", sql="x.since"),
)
BOTH = {"email", "RFM", "SKU", "SMS", "WhatsApp", "VIP"}
"""Words that Vietnamese has, too."""


def scope(*own: Field) -> filters.Scope:
    wiring.load_fields()
    return filters.Scope(
        ZoneInfo("UTC"), date(2026, 3, 31), {**filters.registered(), **{field.name: field for field in own}}
    )


def told(text: str, language: Language = "vi") -> str:
    return filters.describe(filters.parse(text, scope(*OWN)), wording(language))


def said(text: str) -> set[str]:
    return set(re.findall(r"[^\W\d]+", text))


@given(st.deferred(lambda: filter_texts.texts(scope().asked)))
def test_whatever_is_asked_no_english_is_left_of_it_in_vietnamese(text: str) -> None:
    assert said(told(text)) & said(told(text, "en")) <= BOTH


@pytest.mark.parametrize(
    ("text", "vietnamese"),
    [
        ("amount_spent > 1000 AND customer_tags CONTAINS 'vip'", "Khách hàng có tổng chi tiêu trên 1.000 và có thẻ 'vip'."),
        ("amount_spent BETWEEN 0.50 AND 4999.99", "Khách hàng có tổng chi tiêu từ 0,50 đến 4.999,99."),
        ("rfm_group IN ('AT_RISK', 'DORMANT') OR NOT customer_countries CONTAINS 'us'", "Khách hàng có nhóm RFM là"
            " 'Có nguy cơ' hoặc 'Ngủ đông' hoặc không nằm trong số khách hàng có quốc gia 'Hoa Kỳ'."),
        ("last_order_date < -1y AND date_of_birth = 2001-01-31", "Khách hàng có ngày đặt đơn gần nhất trước ngày cách đây"
            " 1 năm và có ngày sinh là ngày 31 tháng 1, 2001."),
        ("products_purchased NOT MATCHES (sku = 'X', quantity >= 2)", "Khách hàng chưa mua sản phẩm có SKU là 'X',"
            " có số lượng từ 2 trở lên."),
        ("customer_source = 'MANUAL' AND customer_source CONTAINS 'MANUAL'", "Khách hàng có nguồn là 'Thủ công'"
            " và có nguồn chứa 'MANUAL'."),
    ],
)  # fmt: skip
def test_a_filter_is_told_in_vietnamese(text: str, vietnamese: str) -> None:
    assert told(text) == vietnamese


def test_codes_are_told_as_words_in_english_too_where_people_read_it() -> None:
    assert told("rfm_group = 'AT_RISK' AND last_order_date >= 2026-01-31", "en") == (
        "Customers whose RFM group is 'At risk' and whose last order date is on or after 31 January 2026."
    )


def test_what_people_called_themselves_is_told_as_they_called_it() -> None:
    assert told("custom.size = 'AT_RISK' AND custom.since < 0d AND customer_tags CONTAINS 'Active'") == (
        "Khách hàng có status là 'AT_RISK' và có date trước hôm nay và có thẻ 'Active'."
    )
