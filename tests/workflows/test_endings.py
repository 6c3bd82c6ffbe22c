"""How generations end, and what that does to credits, images and the provider."""

from dataclasses import replace

import pytest

from activities.assets import object_keys
from domain.credits import Balance
from domain.errors import (
    ContentRejected,
    NotDelivered,
    ProviderThrottled,
    ProviderUnavailable,
    ResultExpired,
    ResultUnusable,
    SubmitAmbiguous,
)
from domain.generation import GenerationInput, Stage, Status, TerminalState, Undelivered
from domain.moderation import ModeratedAt
from domain.provider import AttemptRef, JobStatus, ProviderJob, ProviderResult, ResultFile
from tests.support.eventually import eventually
from tests.support.requests import QUICK_TIMING, new_id
from tests.support.scripted import RUNNING, Script, success
from tests.support.world import World

SOON = replace(QUICK_TIMING, first_poll_seconds=0.3, longest_poll_seconds=0.3)
REFUNDED = Balance(available=10, held=0, spent=0)
CHARGED = Balance(available=6, held=0, spent=4)
MODERATED = ProviderResult(JobStatus.FAILED, code=ContentRejected.code, provider_message="a secret word")


async def test_a_webhook_settles_the_held_credits(world: World) -> None:
    job = await world.start()
    await job.reaches(Stage.GENERATING)
    await job.webhook(success("one"))
    outcome = await job.outcome()
    await job.keep_history("completed_by_webhook")

    assert (outcome.status, outcome.charged_credits, outcome.images) == (Status.COMPLETED, 4, 1)
    assert await job.balance() == CHARGED
    assert world.store.objects[f"{job.tenant_id}/{job.id}/0"] == b"one"
    assert len(job.script.submitted) == 1


async def test_a_poll_finishes_what_no_webhook_reports(world: World) -> None:
    job = await world.start(Script(polls=[RUNNING, success("one")]), timing=SOON)
    outcome = await job.outcome()
    await job.keep_history("completed_by_poll")

    assert outcome.status is Status.COMPLETED
    assert job.script.polled == 2
    assert await job.balance() == CHARGED


async def test_a_failed_poll_is_no_verdict(world: World) -> None:
    script = Script(polls=[ProviderUnavailable(), RuntimeError("a bug"), success("one")])
    job = await world.start(script, timing=SOON)

    assert (await job.outcome()).status is Status.COMPLETED


async def test_a_submit_that_the_provider_refuses_is_refunded(world: World) -> None:
    job = await world.start(Script(submits=[ContentRejected("a secret word")]))
    outcome = await job.outcome()
    await job.keep_history("rejected_at_submit")

    assert (outcome.status, outcome.code) == (Status.FAILED, "content_rejected")
    assert await job.balance() == REFUNDED
    assert await job.error_stage() is ModeratedAt.INPUT


async def test_a_verdict_of_failure_by_webhook_is_refunded(world: World) -> None:
    job = await world.start()
    await job.webhook(MODERATED)
    outcome = await job.outcome()
    await job.keep_history("rejected_by_webhook")

    assert (outcome.status, outcome.code) == (Status.FAILED, "content_rejected")
    assert await job.balance() == REFUNDED
    assert job.script.cancels == []


async def test_a_verdict_of_failure_by_poll_is_refunded(world: World) -> None:
    job = await world.start(Script(polls=[MODERATED]), timing=SOON)

    assert (await job.outcome()).code == "content_rejected"
    assert await job.balance() == REFUNDED


async def test_a_short_balance_submits_nothing(world: World) -> None:
    job = await world.start(credits=3)
    outcome = await job.outcome()
    await job.keep_history("insufficient_credits")

    assert (outcome.status, outcome.code) == (Status.FAILED, "insufficient_credits")
    assert job.script.submitted == []
    assert await job.balance() == Balance(3, 0, 0)


async def test_a_job_without_a_price_is_held_and_settled_like_any_other(world: World) -> None:
    job = await world.start(price_credits=0)
    await job.webhook(success("one"))

    assert (await job.outcome()).status is Status.COMPLETED
    assert await job.transfers() == ["hold", "settle"]


async def test_what_is_not_delivered_is_not_charged(world: World) -> None:
    job = await world.start(n=4, price_credits=8)
    await job.webhook(success("one", "two", "three"))
    outcome = await job.outcome()

    assert (outcome.images, outcome.charged_credits) == (3, 6)
    assert await job.balance() == Balance(available=4, held=0, spent=6)


async def test_an_image_missing_from_a_webhook_is_not_delivered(world: World) -> None:
    # A webhook does not know how many were asked for; here it knows of one that was refused.
    refused = Undelivered(1, ContentRejected.code)
    job = await world.start(n=4, price_credits=8)
    await job.webhook(replace(success("one", "three"), undelivered=(refused,)))

    assert (await job.outcome()).images == 2
    assert sorted(image.index for image in (await job.generation()).images) == [0, 2]
    assert (await job.generation()).undelivered == (refused, Undelivered(3, NotDelivered.code))


async def test_more_images_than_asked_for_are_neither_stored_nor_charged(world: World) -> None:
    job = await world.start(n=1)
    await job.webhook(success("one", "two"))

    assert (await job.outcome()).images == 1
    assert f"{job.tenant_id}/{job.id}/1" not in world.store.objects


async def test_no_result_before_the_deadline_cancels_at_the_provider_and_refunds(world: World) -> None:
    job = await world.start(timing=replace(SOON, deadline_seconds=1))
    outcome = await job.outcome()
    await job.keep_history("timed_out")

    assert (outcome.status, outcome.code) == (Status.FAILED, "provider_timed_out")
    assert job.script.cancels == ["job-1"]
    assert await job.balance() == REFUNDED
    assert (await job.generation()).needs_attention is None


async def test_the_last_poll_is_at_the_deadline(world: World) -> None:
    late = replace(QUICK_TIMING, first_poll_seconds=50, deadline_seconds=0.5)
    job = await world.start(Script(polls=[success("one")]), timing=late)

    assert (await job.outcome()).status is Status.COMPLETED


async def test_what_was_provably_not_sent_is_sent_again(world: World) -> None:
    script = Script(submits=[ProviderThrottled(retry_after_seconds=0.1), ProviderJob("job-1", {})])
    job = await world.start(script)
    await eventually(lambda: script.submitted)
    await job.webhook(success("one"))

    assert (await job.outcome()).status is Status.COMPLETED
    assert len(script.submitted) == 1
    assert world.attempts.permits[AttemptRef(job.id)] == 2


async def test_what_a_webhook_shows_to_be_taken_after_all_is_not_sent_again(world: World) -> None:
    script = Script(submits=[ProviderThrottled(retry_after_seconds=1), ProviderJob("job-2", {})])
    job = await world.start(script)

    async def is_not_sent() -> bool:
        attempts = await job.attempts()
        return 1 in attempts and attempts[1].state == "not_sent"

    await eventually(is_not_sent)
    await job.webhook(success("one"))

    assert (await job.outcome()).status is Status.COMPLETED
    assert script.submitted == []


async def test_an_ambiguous_submit_is_not_repeated_and_a_webhook_resolves_it(world: World) -> None:
    job = await world.start(Script(submits=[SubmitAmbiguous()]))
    await job.reaches(Stage.SUBMIT_UNKNOWN)
    await job.webhook(success("one"))
    outcome = await job.outcome()
    await job.keep_history("completed_after_unknown_submit")

    assert outcome.status is Status.COMPLETED
    assert world.attempts.permits[AttemptRef(job.id)] == 1
    assert await job.balance() == CHARGED


async def test_a_submit_that_stays_unknown_is_refunded_and_flagged(world: World) -> None:
    job = await world.start(Script(submits=[SubmitAmbiguous()]), timing=replace(SOON, deadline_seconds=1))
    outcome = await job.outcome()
    await job.keep_history("submit_unknown")

    assert (outcome.status, outcome.code) == (Status.FAILED, "submit_unknown")
    assert world.attempts.permits[AttemptRef(job.id)] == 1
    assert (await job.generation()).needs_attention == "submit_unknown"
    assert await job.balance() == REFUNDED


async def test_a_bug_while_submitting_counts_as_unknown(world: World) -> None:
    job = await world.start(Script(submits=[RuntimeError("a bug"), ProviderJob("job-2", {})]))
    await job.reaches(Stage.SUBMIT_UNKNOWN)
    await job.webhook(success("one"))

    assert (await job.outcome()).status is Status.COMPLETED
    assert world.attempts.permits[AttemptRef(job.id)] == 1


async def test_a_queue_timeout_is_refunded(world: World) -> None:
    # No worker serves this provider's queue.
    job = await world.start(provider="unserved", timing=replace(QUICK_TIMING, queue_timeout_seconds=1))
    outcome = await job.outcome()
    await job.keep_history("queue_timed_out")

    assert (outcome.status, outcome.code) == (Status.FAILED, "queue_timed_out")
    assert await job.attempts() == {}
    assert await job.balance() == REFUNDED


async def test_a_result_that_is_no_image_is_refunded(world: World) -> None:
    address = new_id("result")
    world.downloader.failures[address] = ResultUnusable("a secret address")
    job = await world.start()
    await job.webhook(success(address))
    outcome = await job.outcome()
    await job.keep_history("result_unusable")

    assert (outcome.status, outcome.code) == (Status.FAILED, "result_unusable")
    assert await job.balance() == REFUNDED


async def test_a_dead_address_is_asked_for_again(world: World) -> None:
    dead, alive = new_id("result"), new_id("result")
    world.downloader.dead.add(dead)
    job = await world.start(Script(polls=[success(alive)]))
    await job.webhook(success(dead))

    assert (await job.outcome()).status is Status.COMPLETED
    assert world.store.objects[f"{job.tenant_id}/{job.id}/0"] == alive.encode()


async def test_a_result_that_is_gone_is_refunded(world: World) -> None:
    dead = new_id("result")
    world.downloader.dead.add(dead)
    job = await world.start(Script(polls=[success(dead)]))
    await job.webhook(success(dead))

    assert (await job.outcome()).code == ResultExpired.code
    assert await job.balance() == REFUNDED


@pytest.mark.parametrize("ended_as", [Stage.FAILED, Stage.CANCELED])
async def test_an_ending_by_another_hand_is_adopted(world: World, ended_as: Stage) -> None:
    job = await world.start()
    await job.reaches(Stage.GENERATING)
    code = "workflow_lost" if ended_as is Stage.FAILED else None
    await world.ledger.refund(job.id, TerminalState(ended_as.status, code))
    await job.webhook(success("one"))
    outcome = await job.outcome()

    assert (outcome.status, outcome.code) == (ended_as.status, code)
    assert len(await job.transfers()) == 2


async def test_a_workflow_started_without_a_row_moves_nothing(world: World) -> None:
    forged = GenerationInput(new_id("gen"), new_id("ten"), "flux-schnell", "fal", QUICK_TIMING)
    outcome = await (await world.run(forged)).result()

    assert (outcome.status, outcome.code) == (Status.FAILED, "generation_not_found")
    accounts = await world.books.sql("SELECT id FROM accounts WHERE tenant_id = :id", id=forged.tenant_id)
    assert accounts == []


async def test_one_dead_address_of_several_costs_only_its_own_image(world: World) -> None:
    dead = new_id("dead")
    world.downloader.dead.add(dead)
    job = await world.start(Script(polls=[success("one", dead, "three")]), n=3, price_credits=9, timing=SOON)

    outcome = await job.outcome()

    assert (outcome.status, outcome.images, outcome.charged_credits) == (Status.COMPLETED, 2, 6)
    assert [image.index for image in (await job.generation()).images] == [0, 2]
    assert (await job.generation()).undelivered == (Undelivered(1, "not_delivered"),)


async def test_an_image_in_the_place_of_an_unusable_one_can_be_cleared(world: World) -> None:
    files = (ResultFile(new_id("result")), ResultFile(new_id("result")))
    undelivered = (Undelivered(0, "content_rejected"),)
    result = ProviderResult(JobStatus.SUCCEEDED, files=files, undelivered=undelivered)
    job = await world.start()
    await job.webhook(result)

    assert (await job.outcome()).status is Status.COMPLETED
    stored = {key for key in world.store.objects if job.id in key}
    assert [key.rpartition("/")[2] for key in stored] == ["1"]
    assert stored <= set(object_keys(await job.generation()))
