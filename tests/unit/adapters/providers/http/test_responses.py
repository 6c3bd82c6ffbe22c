"""Parsing parts of a provider's response that may have any form."""

from decimal import Decimal

import httpx
import pytest

from adapters.providers.http.responses import cost_of, is_token, json_object, retry_after_seconds, storable
from domain.provider import ProviderCost

NOW = "Mon, 01 Jan 2024 00:00:00 GMT"


def answer(retry_after: str, date: str = NOW) -> httpx.Response:
    headers = [(b"retry-after", retry_after.encode()), (b"date", date.encode())]
    return httpx.Response(429, headers=headers)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0),
        ("17", 17),
        (" 17 ", 17),
        ("1.5", 1.5),
        ("3600", 3600),
        ("3601", 3600),
        ("1e300", 3600),
        ("Mon, 01 Jan 2024 00:02:00 GMT", 120),
        ("Mon, 01 Jan 2024 01:02:00 +0100", 120),
        ("Tue, 01 Jan 2025 00:00:00 GMT", 3600),
    ],
)
def test_both_forms_of_retry_after_are_seconds_up_to_an_hour(value: str, seconds: float) -> None:
    assert retry_after_seconds(answer(value)) == seconds


@pytest.mark.parametrize(
    "value",
    [
        "",
        "soon",
        "-1",
        "nan",
        "inf",
        "-inf",
        "1,5",
        "9" * 5000,
        "Sun, 31 Dec 2023 23:59:00 GMT",
        "Mon, 01 Jan 2024 00:02:00 -0000",
        "Mon, 01 Jan 99999 00:00:00 GMT",
        "Mon, 01 Jan 2024 00:00:10 +99999999999999999999",
        "Mon, 32 Jan 2024 00:00:00 GMT",
        "\u0661\u0662\u0663-",
    ],
)
def test_a_retry_after_that_says_nothing_is_none(value: str) -> None:
    assert retry_after_seconds(answer(value)) is None


def test_a_date_is_ignored_without_the_responses_own_date() -> None:
    assert retry_after_seconds(answer("Mon, 01 Jan 2024 00:02:00 GMT", date="")) is None
    assert retry_after_seconds(httpx.Response(429)) is None


@pytest.mark.parametrize(
    ("body", "seconds"),
    [
        ({"retry_after": 5}, 5),
        ({"retry_after": 1.5}, 1.5),
        ({"retry_after": "5"}, 5),
        ({"retry_after": 99_999}, 3600),
        ({"detail": "Request was throttled. Your rate limit resets in ~30s."}, 30),
        ({"detail": "Your rate limit resets in 7s", "retry_after": None}, 7),
        ({"retry_after": 5, "detail": "resets in ~30s"}, 5),
        ({"retry_after": -1}, None),
        ({"retry_after": "soon"}, None),
        ({"retry_after": [5]}, None),
        ({"retry_after": 10**400}, None),
        ({"detail": "resets in ~soon"}, None),
        ([5], None),
    ],
)
def test_a_body_may_say_when_to_retry(body: object, seconds: float | None) -> None:
    assert retry_after_seconds(httpx.Response(429, json=body)) == seconds


def test_a_header_counts_before_the_body() -> None:
    response = httpx.Response(429, json={"retry_after": 5}, headers={"Retry-After": "9"})

    assert retry_after_seconds(response) == 9


@pytest.mark.parametrize(("amount", "exact"), [(3, "3"), (0, "0"), (1.1, "1.1"), ("0.030", "0.030")])
def test_a_cost_is_exactly_what_was_stated(amount: object, exact: str) -> None:
    assert cost_of(amount, "token") == ProviderCost(Decimal(exact), "token")


@pytest.mark.parametrize("amount", [None, "", "many", -1, "nan", "-inf", 10**9, [3], {}, True])
def test_a_cost_that_is_no_amount_is_none(amount: object) -> None:
    assert cost_of(amount, "token") is None


@pytest.mark.parametrize("content", [b"", b"[]", b"null", b"1", b"{", b"\xff", b"[" * 100_000, b"9" * 5000])
def test_anything_but_an_object_is_an_empty_one(content: bytes) -> None:
    assert json_object(httpx.Response(200, content=content)) == {}


@pytest.mark.parametrize("text", ["a", "gen_1", "https://x/y?z=%20", "~", "x" * 4000])
def test_a_token_is_visible_ascii(text: str) -> None:
    assert is_token(text)


@pytest.mark.parametrize("text", ["", " ", "a b", "\n", "a\n", "\0", "\x7f", "\u00e9", "\ud800", "x" * 4001])
def test_nothing_else_is_a_token(text: str) -> None:
    assert not is_token(text)


def test_messages_lose_what_postgresql_cannot_hold_and_nothing_else() -> None:
    assert len(storable("x" * 3000)) == 2000
    assert storable("a\0b\ud800c \u00e9\n\U0001f98a") == "ab?c \u00e9\n\U0001f98a"
