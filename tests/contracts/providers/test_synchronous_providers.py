"""Every synchronous provider fulfills the contract of its port, with every fault of its simulator."""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from adapters.providers.http.client import provider_client
from devstack.process.ports import pick_free
from domain.errors import (
    ProviderRefused,
    ProviderThrottled,
    ProviderUnavailable,
    ResultUnusable,
    SubmitAmbiguous,
)
from domain.generation import Undelivered
from domain.provider import JobStatus
from tests.contracts.providers.all_cases import SYNCHRONOUS_CASES
from tests.contracts.providers.conftest import Simulators
from tests.contracts.providers.synchronous_case import SynchronousCase
from tests.contracts.providers.synchronous_harness import ATTEMPT, SynchronousHarness, digest
from tests.support.time_limits import scaled

MODERATION = [(case, fault) for case in SYNCHRONOUS_CASES for fault in case.moderation]
REFUSALS = [(case, fault) for case in SYNCHRONOUS_CASES for fault in case.refusals]
FAILURES = [(case, fault) for case in SYNCHRONOUS_CASES for fault in case.failures]


def named(pairs: list[tuple[SynchronousCase, str]]) -> list[str]:
    return [f"{case.name}-{fault}" for case, fault in pairs]


@pytest.fixture(params=SYNCHRONOUS_CASES, ids=lambda case: case.name)
def case(request: pytest.FixtureRequest) -> SynchronousCase:
    found: SynchronousCase = request.param
    return found


@pytest.fixture
async def harness(
    case: SynchronousCase, simulators: Simulators, tmp_path: Path
) -> AsyncIterator[SynchronousHarness]:
    simulator = await simulators.of(case.name)
    with ThreadPoolExecutor(2) as threads:
        async with provider_client(read_seconds=20, max_response_bytes=None) as http:
            yield SynchronousHarness(case, simulator, http, threads, tmp_path)


async def test_a_call_returns_an_image_an_id_and_a_cost(harness: SynchronousHarness) -> None:
    answer = await harness.response_to("a fox")
    (facts,) = await harness.inspected(answer)

    assert (answer.result.status, answer.result.undelivered) == (JobStatus.SUCCEEDED, ())
    assert facts.content_type in ("image/png", "image/jpeg")
    assert ATTEMPT.generation_id not in answer.job_id
    cost = answer.result.cost
    assert (cost.unit if cost and cost.amount > 0 else None) == harness.case.cost_unit


async def test_several_images_come_as_several(harness: SynchronousHarness) -> None:
    if not harness.case.makes_several:
        pytest.skip("one image for each call")
    answer = await harness.response_to("four foxes", n=4)
    facts = await harness.inspected(answer)

    assert (len({fact.sha256 for fact in facts}), answer.result.undelivered) == (4, ())


async def test_an_image_that_was_not_delivered_is_named(harness: SynchronousHarness) -> None:
    if not harness.case.makes_several:
        pytest.skip("all or nothing")
    answer = await harness.response_to("four foxes, two away [sim:fewer_images=2]", n=4)

    assert (answer.result.status, len(await harness.inspected(answer))) == (JobStatus.SUCCEEDED, 2)
    assert answer.result.undelivered == (Undelivered(2, "not_delivered"), Undelivered(3, "not_delivered"))


async def test_a_draft_is_not_the_image(harness: SynchronousHarness) -> None:
    if harness.case.drafts is None:
        pytest.skip("no drafts")
    (plain,) = await harness.inspected(await harness.response_to("a fox at once"))
    (facts,) = await harness.inspected(await harness.response_to(f"a fox [sim:{harness.case.drafts}]"))

    assert (facts.width, facts.height) == (plain.width, plain.height)


async def test_the_clients_images_arrive_whole_and_in_order(harness: SynchronousHarness) -> None:
    colors = ["red", "lime", "blue", "white"][: harness.case.max_inputs]
    images = tuple(harness.picture(f"{color}.png", color) for color in colors)
    mask = harness.picture("mask.png", "#00000000") if harness.case.has_masks else None
    prompt = "a fox in these colors"
    submission = harness.submission(prompt, images=images, mask=mask)
    answer = await harness.provider().generate(submission, harness.folder)

    (entry,) = await harness.accepted(prompt)
    assert [given["sha256"] for given in entry["inputs"]] == [digest(image) for image in images]
    assert (entry["mask"] and entry["mask"]["sha256"]) == (mask and digest(mask))
    assert len(await harness.inspected(answer)) == 1


async def test_a_slow_response_is_received(harness: SynchronousHarness) -> None:
    answer = await harness.response_to("a slow fox [sim:latency=1] [sim:slow_body=1]")
    assert len(await harness.inspected(answer)) == 1


async def test_calls_wait_side_by_side(harness: SynchronousHarness) -> None:
    folders = [harness.folder / str(number) for number in range(20)]
    submission = harness.submission("a patient fox [sim:latency=2]")
    async with asyncio.timeout(scaled(20)):
        calls = []
        for folder in folders:
            folder.mkdir()
            calls.append(harness.provider().generate(submission, folder))
        answers = await asyncio.gather(*calls)

    assert {answer.result.status for answer in answers} == {JobStatus.SUCCEEDED}
    assert len({answer.job_id for answer in answers}) == 20


async def test_a_throttled_call_is_not_accepted_and_says_when_to_retry(harness: SynchronousHarness) -> None:
    prompt = "a throttled fox [sim:submit_429=7]"
    with pytest.raises(ProviderThrottled) as caught:
        await harness.response_to(prompt)
    before = await harness.accepted(prompt)
    await harness.response_to(prompt)

    assert (caught.value.retry_after_seconds, before) == (7, [])
    assert len(await harness.accepted(prompt)) == 1


@pytest.mark.parametrize(
    "fault", ["fail", "lost_answer", "truncated_body", "truncated_body=none", "not_json", "huge_body"]
)
async def test_a_broken_response_is_ambiguous_and_requested_once(
    harness: SynchronousHarness, fault: str
) -> None:
    prompt = f"a fox that is never seen [sim:{fault}]"
    with pytest.raises(SubmitAmbiguous):
        await harness.response_to(prompt)

    assert len(await harness.accepted(prompt)) == 1


@pytest.mark.parametrize("fault", ["hang", "latency=8", "slow_body=8"])
async def test_a_response_that_does_not_end_is_ambiguous_and_requested_once(
    harness: SynchronousHarness, fault: str
) -> None:
    prompt = f"a fox that is never there [sim:{fault}]"
    with pytest.raises(SubmitAmbiguous):
        await harness.response_to(prompt, total_seconds=1)

    assert len(await harness.accepted(prompt)) == 1


async def test_a_call_that_broke_at_the_provider_is_ambiguous(harness: SynchronousHarness) -> None:
    with pytest.raises(SubmitAmbiguous):
        await harness.response_to("a broken fox [sim:submit_500]")
    with pytest.raises(harness.case.unavailable):
        await harness.response_to("a fox too many [sim:submit_503]")


async def test_an_unavailable_provider_accepted_nothing(harness: SynchronousHarness) -> None:
    away = harness.provider(url=f"http://127.0.0.1:{pick_free()}")
    with pytest.raises(ProviderUnavailable):
        await away.generate(harness.submission("a fox for nobody"), harness.folder)


@pytest.mark.parametrize(("case", "fault"), REFUSALS, ids=named(REFUSALS))
async def test_a_rejected_call_is_not_accepted(harness: SynchronousHarness, fault: str) -> None:
    prompt = f"an unwanted fox [sim:{fault}]"
    with pytest.raises(ProviderRefused):
        await harness.response_to(prompt)

    assert await harness.accepted(prompt) == []


async def test_a_wrong_key_is_refused(harness: SynchronousHarness) -> None:
    with pytest.raises(ProviderRefused):
        await harness.provider(key="guessed").generate(harness.submission("a fox"), harness.folder)


@pytest.mark.parametrize(("case", "fault"), MODERATION, ids=named(MODERATION))
async def test_moderation_says_what_was_refused(harness: SynchronousHarness, fault: str) -> None:
    at = await harness.moderated(f"a naughty fox [sim:{fault}]")
    assert at is harness.case.moderation[fault]


@pytest.mark.parametrize(("case", "fault"), FAILURES, ids=named(FAILURES))
async def test_a_response_without_an_image_counts_as_charged(harness: SynchronousHarness, fault: str) -> None:
    answer = await harness.response_to(f"an invisible fox [sim:{fault}]")

    assert (answer.result.status, answer.result.code) == (JobStatus.FAILED, "provider_failed")
    assert (answer.result.does_not_charge, answer.files) == (False, ())


async def test_bytes_that_are_no_image_are_unusable(harness: SynchronousHarness) -> None:
    answer = await harness.response_to("a garbled fox [sim:wrong_bytes]")
    with pytest.raises(ResultUnusable):
        await harness.inspected(answer)
