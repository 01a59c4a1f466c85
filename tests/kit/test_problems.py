import json

import pytest

from supover.kit import problems
from supover.kit.edge import problem_response
from supover.kit.problems import FieldError, Invalid, NotFound, Problem


class TeaIsCold(NotFound):
    """The tea is cold.

    What else there is to say is not in the title.
    """


class URLTooLong(Problem):
    """An address has too many characters."""

    status = 414


def test_a_problem_is_named_by_its_class_and_titled_by_its_first_line() -> None:
    assert TeaIsCold.title() == "The tea is cold"
    assert TeaIsCold.type_uri() == "https://supover.dev/problems/tea-is-cold"
    assert TeaIsCold.status == 404
    assert URLTooLong.type_uri().startswith("https://supover.dev/problems/")
    assert str(TeaIsCold()) == "The tea is cold"
    assert str(TeaIsCold("It stood there for an hour.")) == "It stood there for an hour."


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (problems.Malformed, 400), (problems.Unauthorized, 401), (problems.Forbidden, 403), (problems.NotFound, 404),
        (problems.MethodNotAllowed, 405), (problems.Conflict, 409), (problems.Stale, 412), (problems.TooLarge, 413),
        (problems.UnsupportedMediaType, 415), (problems.Invalid, 422), (problems.TooManyRequests, 429), (problems.Unavailable, 503),
        (problems.Problem, 500),
    ],
)  # fmt: skip
def test_each_base_gives_its_status(kind: type[Problem], status: int) -> None:
    assert kind.status == status
    assert kind().status == status


def answer(problem: Problem) -> tuple[int, dict[str, object], dict[str, str]]:
    found = problem_response(problem, {"path": "/api/tea", "request_id": "12345678"})
    headers = {name.decode(): value.decode() for name, value in found.encode_headers()}
    return found.status_code, json.loads(found.body), headers


def test_a_problem_becomes_problem_details() -> None:
    status, body, headers = answer(TeaIsCold("It is 3 °C.", extra={"degrees": 3}, headers={"Retry-After": "5"}))
    assert status == 404
    assert body == {
        "type": "https://supover.dev/problems/tea-is-cold",
        "title": "The tea is cold",
        "status": 404,
        "detail": "It is 3 °C.",
        "instance": "/api/tea",
        "requestId": "12345678",
        "degrees": 3,
    }
    assert headers["retry-after"] == "5"
    assert headers["content-type"].startswith("application/problem+json")


def test_a_detail_is_never_empty() -> None:
    assert answer(TeaIsCold())[1]["detail"] == "The tea is cold"


def test_invalid_fields_are_listed_and_the_first_three_told_in_words() -> None:
    errors = [FieldError(f"/f{n}", "range", f"is {n}") for n in range(5)]
    status, body, _ = answer(Invalid(errors))
    assert status == 422
    assert body["detail"] == "/f0: is 0; /f1: is 1; /f2: is 2"
    assert body["errors"] == [{"pointer": f"/f{n}", "code": "range", "message": f"is {n}"} for n in range(5)]
    placed = answer(Invalid([FieldError("", "syntax", "ends too soon", 7)]))[1]
    assert placed["detail"] == "body: ends too soon"
    assert placed["errors"] == [{"pointer": "", "code": "syntax", "message": "ends too soon", "position": 7}]


def test_one_fields_error_is_said_in_a_line() -> None:
    class TeaRefused(Invalid):
        """This is no tea."""

    refused = TeaRefused.at("/kind", "unknown", "is coffee")
    assert isinstance(refused, Invalid)
    assert refused.errors == (FieldError("/kind", "unknown", "is coffee"),)
    assert str(refused) == "/kind: is coffee"
    assert type(refused) is TeaRefused
