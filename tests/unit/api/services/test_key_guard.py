"""Wrong keys cost the database little, and no genuine key is locked out by them."""

import asyncio

import pytest
from starlette.exceptions import HTTPException

from api.http.client import RequestClient
from api.services import key_guard
from api.services.key_guard import KeyGuard
from domain.auth import Caller
from domain.errors import DatabaseUnavailable, ServiceError, TooManyFailedKeys, Unauthenticated
from tests.support.eventually import eventually

STRANGER, OFFICE = "203.0.113.1", "203.0.113.2"
PER_MINUTE = 6
Guard = KeyGuard[Caller]
CALLER = Caller("ten_1", "key_1", frozenset())


class Keys:
    """An authenticator that counts its questions, and may be slow or away. genuine: the keys."""

    def __init__(self, *genuine: str) -> None:
        self.genuine = set(genuine)
        self.asked: list[str] = []
        self.is_away = False
        self.go_on = asyncio.Event()
        self.go_on.set()

    async def authenticate(self, api_key: str) -> Caller:
        self.asked.append(api_key)
        await self.go_on.wait()
        if self.is_away:
            raise DatabaseUnavailable
        if api_key not in self.genuine:
            raise Unauthenticated
        return CALLER


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def keys() -> Keys:
    return Keys("good", "other")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def guard(keys: Keys, clock: Clock) -> Guard:
    return KeyGuard(keys, failures_per_minute=PER_MINUTE, max_remembered=50, clock=clock)


async def outcome(guard: Guard, api_key: str, client: str = STRANGER) -> str:
    try:
        return (await guard.identify_caller(api_key, RequestClient(client))).key_id
    except ServiceError as error:
        return error.code


async def guess(guard: Guard, number: int, client: str = STRANGER, start: int = 0) -> list[str]:
    return [await outcome(guard, f"wrong {start + each}", client) for each in range(number)]


async def test_after_too_many_wrong_keys_the_database_is_not_asked(guard: Guard, keys: Keys) -> None:
    found = await guess(guard, PER_MINUTE + 3)

    assert found == ["unauthenticated"] * PER_MINUTE + ["too_many_failed_keys"] * 3
    assert len(keys.asked) == PER_MINUTE


async def test_wrong_keys_at_the_same_time_count_before_they_are_known(guard: Guard, keys: Keys) -> None:
    keys.go_on.clear()
    guesses = [asyncio.create_task(outcome(guard, f"wrong {each}")) for each in range(100)]
    await eventually(lambda: len(keys.asked) == PER_MINUTE)
    keys.go_on.set()
    found = await asyncio.gather(*guesses)

    assert found.count("unauthenticated") == len(keys.asked) == PER_MINUTE


async def test_the_refusal_says_when_to_come_again_and_it_is_true(
    guard: Guard, keys: Keys, clock: Clock
) -> None:
    await guess(guard, PER_MINUTE)
    with pytest.raises(TooManyFailedKeys) as refused:
        await guard.identify_caller("good", RequestClient(STRANGER))
    assert refused.value.retry_after_seconds == 60 / PER_MINUTE

    clock.seconds += 60 / PER_MINUTE
    assert await outcome(guard, "good") == "key_1"


async def test_other_addresses_are_not_limited(guard: Guard) -> None:
    await guess(guard, PER_MINUTE + 1)

    assert await outcome(guard, "wrong", OFFICE) == "unauthenticated"
    assert await outcome(guard, "good", OFFICE) == "key_1"


async def test_a_key_that_was_genuine_passes_however_many_wrong_ones_come(guard: Guard, clock: Clock) -> None:
    assert await outcome(guard, "good", OFFICE) == "key_1"
    await guess(guard, 10 * PER_MINUTE)

    for _ in range(3):
        assert await outcome(guard, "good") == "key_1"
        assert await outcome(guard, "other") == "too_many_failed_keys"
        clock.seconds += 9  # the address stays over its limit
        await guess(guard, PER_MINUTE, start=int(clock.seconds) * 10)

    clock.seconds += 601
    await guess(guard, PER_MINUTE, start=10**6)
    assert await outcome(guard, "good") == "too_many_failed_keys"


async def test_genuine_keys_take_nothing_of_the_limit(guard: Guard, keys: Keys) -> None:
    for number in range(3 * PER_MINUTE):
        keys.genuine.add(f"key {number}")
        assert await outcome(guard, f"key {number}") == "key_1"

    assert await guess(guard, 1) == ["unauthenticated"]


async def test_a_burst_of_one_new_key_is_admitted_whole(guard: Guard, keys: Keys) -> None:
    found = await asyncio.gather(*(outcome(guard, "good") for _ in range(50)))

    assert found == ["key_1"] * 50
    assert keys.asked == ["good"] * 50  # nothing is remembered of a genuine key but that it is one


async def test_a_burst_of_one_key_leaves_the_database_to_others(guard: Guard, keys: Keys) -> None:
    assert await outcome(guard, "good") == "key_1"
    keys.go_on.clear()
    burst = [asyncio.create_task(outcome(guard, "good")) for _ in range(50)]
    other = asyncio.create_task(outcome(guard, "other"))
    await eventually(lambda: "other" in keys.asked)

    assert keys.asked[1:] == ["good"] * 4 + ["other"]
    keys.go_on.set()
    assert await asyncio.gather(*burst, other) == ["key_1"] * 51


async def test_one_wrong_key_is_asked_once_in_some_seconds(guard: Guard, keys: Keys, clock: Clock) -> None:
    await asyncio.gather(*(outcome(guard, "wrong") for _ in range(50)))
    assert keys.asked == ["wrong"]

    clock.seconds += 6
    assert await outcome(guard, "wrong") == "unauthenticated"
    assert keys.asked == ["wrong"] * 2


async def test_a_revoked_key_is_refused_at_once_and_then_like_any_wrong_one(guard: Guard, keys: Keys) -> None:
    assert await outcome(guard, "good") == "key_1"
    keys.genuine.discard("good")

    assert [await outcome(guard, "good") for _ in range(20)] == ["unauthenticated"] * 20
    assert keys.asked == ["good"] * 2


async def test_a_database_that_is_away_makes_no_key_wrong(guard: Guard, keys: Keys) -> None:
    keys.is_away = True
    found = [await outcome(guard, key) for key in ["good", "other"] * PER_MINUTE]
    keys.is_away = False

    assert set(found) == {"database_unavailable"}
    assert (await outcome(guard, "good"), await outcome(guard, "other")) == ("key_1", "key_1")


async def test_who_waits_for_the_first_answer_fails_with_it(guard: Guard, keys: Keys) -> None:
    """Not one after the other, each with a question of its own that takes its time."""
    keys.is_away = True
    keys.go_on.clear()
    waiting = [asyncio.create_task(outcome(guard, "good")) for _ in range(20)]
    await eventually(lambda: keys.asked == ["good"])
    keys.go_on.set()

    assert await asyncio.gather(*waiting) == ["database_unavailable"] * 20
    assert keys.asked == ["good"]


async def test_no_first_answer_is_waited_for_without_end(
    guard: Guard, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_guard, "_FIRST_ASK_SECONDS", 0.05)
    keys.go_on.clear()

    assert await asyncio.gather(*(outcome(guard, "good") for _ in range(5))) == ["database_unavailable"] * 5
    assert len(guard._first_asks) == 0


async def test_who_asks_first_may_go_and_the_others_are_answered(guard: Guard, keys: Keys) -> None:
    keys.go_on.clear()
    first, *others = [asyncio.create_task(outcome(guard, "good")) for _ in range(3)]
    await eventually(lambda: keys.asked == ["good"])
    first.cancel()
    keys.go_on.set()

    assert await asyncio.gather(*others) == ["key_1"] * 2


async def test_no_more_wait_for_a_first_answer_than_a_burst_has(
    guard: Guard, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_guard, "_MAX_FIRST_WAITERS", 3)
    keys.go_on.clear()
    waiting = [asyncio.create_task(outcome(guard, "good")) for _ in range(3)]
    await eventually(lambda: keys.asked == ["good"])
    with pytest.raises(HTTPException) as refused:
        await outcome(guard, "good")
    keys.go_on.set()

    assert refused.value.status_code == 429
    assert await asyncio.gather(*waiting) == ["key_1"] * 3


async def test_what_waits_for_its_turn_counts_for_its_tenant_and_ends_with_its_client(
    guard: Guard, keys: Keys
) -> None:
    assert await outcome(guard, "good") == "key_1"
    keys.go_on.clear()
    recognized: list[str] = []
    clients = [RequestClient(STRANGER) for _ in range(10)]
    for each in clients:
        each.when_recognized(recognized.append)
    asking = [asyncio.create_task(guard.identify_caller("good", each)) for each in clients]
    await eventually(lambda: len(recognized) == 10)
    for each in clients[5:]:
        each.mark_gone()
    gone = await asyncio.gather(*asking[5:], return_exceptions=True)
    keys.go_on.set()

    assert recognized == ["ten_1"] * 10
    assert [isinstance(each, HTTPException) and each.status_code for each in gone] == [408] * 5
    assert await asyncio.gather(*asking[:5]) == [CALLER] * 5
    assert keys.asked == ["good"] * 6


async def test_what_is_remembered_is_bounded(guard: Guard) -> None:
    for number in range(300):
        await outcome(guard, f"wrong {number}", f"client {number}")

    remembered = (guard._refused, guard._allowances, guard._genuine)
    assert [len(each) for each in remembered] == [50, 50, 0]
    assert len(guard._first_asks) == 0
