"""Consent in the segment language."""

import httpx
import pytest

from supover.consent.fields import FIELDS
from tests.consent.test_preferences import choose, path_of
from tests.makers import Json, make_customer, told


@pytest.fixture
async def people(api: httpx.AsyncClient) -> dict[str, Json]:
    made = {
        name: await make_customer(api, name=name, email=f"{name}@lee.example", phone=f"+1503555010{n}")
        for n, name in enumerate(("ann", "bob", "cy", "dee"))
    }
    await choose(api, made["ann"], "SUBSCRIBED")
    await choose(api, made["bob"], "UNSUBSCRIBED")
    await choose(api, made["cy"], "SUBSCRIBED", topic="surveys")
    await choose(api, made["cy"], "PENDING", channel="sms")
    await choose(api, made["dee"], "SUBSCRIBED", channel="whatsapp")
    told(await api.patch(path_of(made["ann"]), json={"language": "de-AT"}))
    told(await api.patch(path_of(made["dee"]), json={"language": "yue"}))
    told(await api.patch(path_of(made["bob"]), json={"preferredChannel": "email"}))
    return made


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("email_subscription_status = 'SUBSCRIBED'", "ann"),
        ("email_subscription_status != 'SUBSCRIBED'", "bob cy dee"),
        ("email_subscription_status = 'NOT_SUBSCRIBED'", "cy dee"),
        ("email_subscription_status IN ('UNSUBSCRIBED', 'NOT_SUBSCRIBED')", "bob cy dee"),
        ("sms_subscription_status = 'PENDING'", "cy"),
        ("whatsapp_subscription_status = 'SUBSCRIBED'", "dee"),
        ("customer_language = 'de-at'", "ann"),
        ("customer_language = 'DE'", "ann"),
        ("customer_language != 'de'", "bob cy dee"),
        ("customer_language = 'de-a'", ""),
        ("customer_language = 'd'", ""),
        ("customer_language = '%'", ""),
        ("customer_language IN ('de', 'yue')", "ann dee"),
        ("customer_language = 'yue'", "dee"),
        ("customer_language = 'yu'", ""),
        ("customer_language IS NULL", "bob cy"),
        ("customer_language IS NOT NULL AND email_subscription_status = 'SUBSCRIBED'", "ann"),
    ],
)
async def test_customers_are_found_by_what_they_chose(
    api: httpx.AsyncClient, people: dict[str, Json], text: str, names: str
) -> None:
    found = told(await api.get("/api/customers", params={"filter": text, "sort": "name"}))["data"]
    assert [one["name"] for one in found] == [people[name]["name"] for name in names.split()]


async def test_a_state_that_is_none_is_refused(api: httpx.AsyncClient) -> None:
    answer = await api.get("/api/customers", params={"filter": "email_subscription_status = 'YES'"})
    assert "SUBSCRIBED" in told(answer, 422)["errors"][0]["message"]


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("customer_language = 'German'", "de"),
        ("customer_countries CONTAINS 'Germany'", "DE"),
        ("customer_countries NOT IN ('FR', 'germny')", "DE"),
        # A code of its own, and a country in words that are no country's name.
        ("customer_language = 'lao'", None),
        ("customer_countries CONTAINS 'Unspecified'", None),
    ],
)
async def test_a_name_in_place_of_a_code_is_told_the_code(api: httpx.AsyncClient, text: str, meant: str | None) -> None:
    answer = await api.get("/api/customers", params={"filter": text})
    if meant is None:
        assert told(answer)["data"] == []
        return
    [error] = told(answer, 422)["errors"]
    assert (error["code"], error["message"].endswith(f"did you mean '{meant}'?")) == ("choice", True)


def test_every_field_has_words_and_an_example() -> None:
    assert [field.name for field in FIELDS] == [
        "email_subscription_status",
        "sms_subscription_status",
        "whatsapp_subscription_status",
        "customer_language",
    ]
    assert all(field.example.startswith(f"{field.name} = '") for field in FIELDS)
