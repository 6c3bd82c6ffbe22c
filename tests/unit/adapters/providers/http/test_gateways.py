"""What is compatible with a provider is understood, and what is not is left as it was."""

import httpx
import pytest

from adapters.providers.http.gateways import canonical, field_of, identifier, wrapped_error


@pytest.mark.parametrize("name", ["b64_json", "B64_JSON", "b64Json", "b64-json", "B64Json"])
def test_a_field_is_found_in_any_case(name: str) -> None:
    assert field_of({"url": 1, name: "x"}, "b64_json") == "x"


def test_the_exact_name_goes_first_and_what_has_no_fields_has_none() -> None:
    assert field_of({"B64_JSON": "other", "b64_json": None}, "b64_json") is None
    containers: list[object] = [None, [], "b64_json", 7, {}]
    for container in containers:
        assert field_of(container, "b64_json") is None


@pytest.mark.parametrize("word", ["IN_QUEUE", "in_queue", "In Queue", "in-queue", "InQueue"])
def test_a_status_is_known_in_any_case(word: str) -> None:
    assert canonical(word, ("IN_PROGRESS", "IN_QUEUE")) == "IN_QUEUE"


@pytest.mark.parametrize("word", [None, 7, "", "QUEUE", ["IN_QUEUE"]])
def test_any_other_status_stays_as_it_is(word: object) -> None:
    assert canonical(word, ("IN_QUEUE",)) == word


@pytest.mark.parametrize(
    ("value", "expected"),
    [("abc", "abc"), (7, "7"), (True, None), (7.5, None), (None, None), ("two words", None), ("", None)],
)
def test_a_number_is_an_id(value: object, expected: str | None) -> None:
    assert identifier(value) == expected


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"error": {"code": 400}}, 400),
        ({"error": {"code": "503"}}, 503),
        ({"error": {"status_code": 429, "code": "rate_limit"}}, 429),
        ({"error": {"status": "RESOURCE_EXHAUSTED"}}, 429),
        ({"error": {"type": "invalid_request_error", "code": None}}, 400),
        ({"error": {"code": "moderation_blocked", "type": "image_generation_user_error"}}, 400),
        ({"error": "not enough credits", "status": 402}, 402),
        ({"detail": "no such model", "status": 404}, 404),
        ({"error": {"code": 200}}, None),
        ({"error": {"code": 10**400}}, None),
        ({"error": {"code": "²"}}, None),
        ({"error": {"message": "sorry"}}, None),
        ({"error": "sorry"}, None),
        ({"error": None, "status": 500}, None),
        ({"error": {}}, None),
        ({"code": 429}, None),
        ({}, None),
    ],
)
def test_an_error_in_a_200_says_its_status(body: dict[str, object], status: int | None) -> None:
    headers = httpx.Headers({"content-encoding": "br", "content-length": "3", "retry-after": "7"})
    found = wrapped_error(headers, body)
    assert (found and found.status_code) == status
    if found is not None:
        assert (found.json(), found.headers["retry-after"]) == (body, "7")


def test_an_error_in_a_200_may_say_anything() -> None:
    found = wrapped_error({}, {"error": {"code": 400, "message": "läuft \ud800", "at": float("nan")}})
    assert found is not None
    assert "läuft ?" in found.text
