"""fal's public keys: cached, renewed, and requested rarely, whatever their page returns."""

import asyncio

import httpx
import pytest

from adapters.providers.fal.webhooks import FalKeys
from domain.errors import VerificationUnavailable
from tests.unit.adapters.providers.fal.signing import JWKS_URL, Account, Clock, KeyPage, page_of

HOUR_SECONDS = 3600
DAY_SECONDS = 24 * HOUR_SECONDS
OLD, NEW = Account(b"o" * 32), Account(b"n" * 32)
MESSAGE = b"message"


def keys_on(page: KeyPage, clock: Clock) -> FalKeys:
    return FalKeys(page.http, JWKS_URL, clock=clock)


async def is_believed(keys: FalKeys, account: Account) -> bool:
    return await keys.verify(account.sign(MESSAGE), MESSAGE)


async def test_keys_are_fetched_once_an_hour() -> None:
    page, clock = KeyPage(page_of(OLD)), Clock()
    keys = keys_on(page, clock)
    asked = []
    for passing in (0, 1, HOUR_SECONDS - 2, 2):
        clock.seconds += passing
        assert await is_believed(keys, OLD)
        asked.append(page.asked)

    assert asked == [1, 1, 1, 2]


async def test_a_new_key_is_found_on_the_page() -> None:
    page, clock = KeyPage(page_of(OLD)), Clock()
    keys = keys_on(page, clock)
    assert await is_believed(keys, OLD)
    page.answer = page_of(OLD, NEW)
    clock.seconds += 31

    assert [await is_believed(keys, NEW), await is_believed(keys, OLD)] == [True, True]
    assert page.asked == 2


async def test_a_key_that_left_the_page_counts_no_longer_once_it_is_read_again() -> None:
    page, clock = KeyPage(page_of(OLD)), Clock()
    keys = keys_on(page, clock)
    assert await is_believed(keys, OLD)
    page.answer = page_of(NEW)
    clock.seconds += 31
    assert await is_believed(keys, NEW)

    assert not await is_believed(keys, OLD)


async def test_a_flood_of_forgeries_asks_for_the_page_once_in_thirty_seconds() -> None:
    page, clock = KeyPage(page_of(OLD)), Clock()
    keys = keys_on(page, clock)
    asked = []
    for _ in range(3):
        believed = await asyncio.gather(*(is_believed(keys, NEW) for _ in range(200)))
        assert not any(believed)
        asked.append(page.asked)
        clock.seconds += 31

    assert asked == [1, 2, 3]


@pytest.mark.parametrize("answer", [httpx.ConnectError("down"), httpx.Response(500)])
async def test_a_flood_asks_no_more_often_of_a_page_that_is_down(
    answer: httpx.ConnectError | httpx.Response,
) -> None:
    page, clock = KeyPage(answer), Clock()
    keys = keys_on(page, clock)
    attempts = (is_believed(keys, OLD) for _ in range(200))
    outcomes = await asyncio.gather(*attempts, return_exceptions=True)

    assert {type(outcome) for outcome in outcomes} == {VerificationUnavailable}
    assert page.asked == 1


BROKEN_PAGES = {
    "unreachable": httpx.ConnectError("down"),
    "slow": httpx.ReadTimeout("slow"),
    "500": httpx.Response(500),
    "404": httpx.Response(404),
    "moved": httpx.Response(302, headers={"Location": "https://elsewhere.test/"}),
    "empty": b"",
    "html": b"<html>",
    "not utf-8": b"\xff",
    "null": b"null",
    "a list": [OLD.jwk],
    "deep": b"[" * 100_000,
    "no keys": {},
    "no list": {"keys": OLD.jwk},
    "keys of null": {"keys": None},
    "an empty list": {"keys": []},
    "not objects": {"keys": ["x", None, 5, []]},
    "another kind": {"keys": [{"kty": "RSA", "n": "AQAB", "e": "AQAB"}]},
    "another curve": {"keys": [{**OLD.jwk, "crv": "X25519"}]},
    "no x": {"keys": [{"kty": "OKP", "crv": "Ed25519"}]},
    "x of null": {"keys": [{**OLD.jwk, "x": None}]},
    "short x": {"keys": [{**OLD.jwk, "x": "AAAA"}]},
    "x not base64": {"keys": [{**OLD.jwk, "x": "\u00e9" * 43}]},
    "x cut": {"keys": [{**OLD.jwk, "x": "A"}]},
}


@pytest.mark.parametrize("answer", BROKEN_PAGES.values(), ids=BROKEN_PAGES)
async def test_without_any_key_nothing_can_be_verified(answer: object) -> None:
    with pytest.raises(VerificationUnavailable):
        await is_believed(keys_on(KeyPage(answer), Clock()), OLD)


@pytest.mark.parametrize("answer", BROKEN_PAGES.values(), ids=BROKEN_PAGES)
async def test_cached_keys_stay_valid_for_a_day_while_the_page_is_broken(answer: object) -> None:
    page, clock = KeyPage(page_of(OLD)), Clock()
    keys = keys_on(page, clock)
    assert await is_believed(keys, OLD)
    page.answer = answer
    clock.seconds += DAY_SECONDS - 1

    assert await is_believed(keys, OLD)
    assert not await is_believed(keys, NEW)
    assert page.asked == 2
    clock.seconds += 1
    for account in (OLD, NEW):
        with pytest.raises(VerificationUnavailable):
            await is_believed(keys, account)


async def test_a_withdrawn_key_is_believed_for_an_hour_at_most() -> None:
    page, clock = KeyPage(page_of(OLD, NEW)), Clock()
    keys = keys_on(page, clock)
    assert await is_believed(keys, OLD)
    page.answer = page_of(NEW)
    clock.seconds += HOUR_SECONDS
    assert not await is_believed(keys, OLD)


async def test_a_page_that_recovers_is_used_again() -> None:
    page, clock = KeyPage(httpx.ConnectError("down")), Clock()
    keys = keys_on(page, clock)
    with pytest.raises(VerificationUnavailable):
        await is_believed(keys, OLD)
    page.answer = page_of(OLD)
    clock.seconds += 31

    assert await is_believed(keys, OLD)


async def test_a_valid_key_among_others_is_found() -> None:
    strange = ["x", None, {"kty": "RSA"}, {**OLD.jwk, "crv": "X25519"}, {**OLD.jwk, "x": "AAAA"}]
    page = KeyPage({"keys": [*strange, OLD.jwk]})

    assert await is_believed(keys_on(page, Clock()), OLD)


async def test_only_the_first_twenty_keys_are_tried() -> None:
    crowd = [Account(bytes([number]) * 32) for number in range(1, 31)]
    keys = keys_on(KeyPage(page_of(*crowd)), Clock())

    assert [await is_believed(keys, account) for account in crowd] == [True] * 20 + [False] * 10
