"""What has to be a client's own doing before it costs anything."""

from dataclasses import replace

import pytest

from adapters.database.erasure import request_erasure
from domain.attempt import AttemptState
from domain.audit import Actor
from domain.charging import ChargePolicies
from domain.credits import Balance
from domain.errors import (
    ContentRejected,
    ProviderFailed,
    ProviderRefused,
    ProviderTimedOut,
    SubmitUnknown,
    WorkflowLost,
)
from domain.generation import Outcome, Status, TerminalState
from domain.moderation import ModeratedAt
from domain.provider import AttemptRef, JobStatus, ProviderJob, ProviderResult
from tests.contracts.held import CANCELED, CHARGE, FREE_REFUSAL, PRICE, REFUSAL, REFUSED, Held, held
from tests.contracts.subjects import Subject
from tests.support.requests import NO_CHARGES, request


async def test_a_cancel_before_the_submit_is_free(subject: Subject) -> None:
    generation = await held(subject, CHARGE)
    await generation.cancel()
    assert await generation.end(CANCELED) == 0
    assert await generation.uncharged() == []


@pytest.mark.parametrize("code", [ProviderFailed.code, SubmitUnknown.code, ContentRejected.code])
async def test_a_cancel_of_what_had_failed_costs_no_more_than_the_failure(
    subject: Subject, code: str
) -> None:
    generation = await held(subject, CHARGE)
    await generation.submit()
    await subject.attempts.record_result(generation.ref, ProviderResult(JobStatus.FAILED, code))
    await generation.cancel()
    assert await generation.end(CANCELED) == 0


async def test_a_cancel_of_a_call_that_was_cut_is_free(subject: Subject) -> None:
    """The attempt has ended, as unknown, and an operator looks at it."""
    generation = await held(subject, CHARGE)
    await subject.attempts.begin_submit(generation.ref)
    await generation.cancel()
    await subject.attempts.record_lost(generation.ref, "the worker was stopped")
    assert await generation.end(CANCELED) == 0
    assert await generation.uncharged() == []


async def test_a_cancel_of_what_is_flagged_is_free(subject: Subject) -> None:
    generation = await held(subject, CHARGE)
    await generation.submit()
    await subject.books.sql(
        "UPDATE generations SET needs_attention = 'stalled' WHERE id = :id", id=generation.id
    )
    await generation.cancel()
    assert await generation.end(CANCELED) == 0


async def test_a_cancel_by_the_erasure_of_the_tenant_is_the_operators(subject: Subject) -> None:
    generation = await held(subject, CHARGE)
    await generation.submit()
    await request_erasure(subject.books.database, generation.tenant_id, by=Actor("ada"))
    assert await generation.end(CANCELED) == 0


async def test_a_cancel_before_the_erasure_is_the_clients(subject: Subject) -> None:
    generation = await held(subject, CHARGE)
    await generation.submit()
    await generation.cancel()
    await request_erasure(subject.books.database, generation.tenant_id, by=Actor("ada"))
    assert await generation.end(CANCELED) == PRICE


@pytest.mark.parametrize(
    ("first", "second", "charged"),
    [(CHARGE, NO_CHARGES, 0), (NO_CHARGES, CHARGE, PRICE)],
    ids=["first", "second"],
)
async def test_a_job_at_the_fallback_costs_what_its_model_says(
    subject: Subject, first: ChargePolicies, second: ChargePolicies, charged: int
) -> None:
    tenant_id = await subject.books.tenant(10)
    fallback = request(price_credits=PRICE, provider="replicate", charging=second)
    wanted = replace(request(price_credits=PRICE, charging=first), fallback=fallback)
    generation = Held(subject, tenant_id, await subject.books.add(tenant_id, wanted))
    await subject.ledger.reserve(generation.id)
    await subject.attempts.begin_submit(generation.ref)
    await subject.attempts.record_rejected(generation.ref, ProviderRefused())
    other = AttemptRef(generation.id, 2)
    await subject.attempts.begin_submit(other)
    await subject.attempts.record_accepted(other, ProviderJob("job", {}))
    await generation.cancel()
    assert await generation.end(CANCELED) == charged


async def test_a_free_refusal_is_free_under_every_policy(subject: Subject) -> None:
    generation = await held(subject, CHARGE)
    await generation.submit()
    await subject.attempts.record_result(generation.ref, FREE_REFUSAL)
    assert await generation.end(REFUSED) == 0


async def test_what_a_process_of_the_version_before_accepted_keeps_its_policy(subject: Subject) -> None:
    generation = await held(subject, NO_CHARGES)
    await subject.books.sql("UPDATE generations SET charges_rejected = true WHERE id = :id", id=generation.id)
    await generation.submit()
    await subject.attempts.record_result(generation.ref, REFUSAL)
    assert await generation.end(REFUSED) == PRICE


async def test_refused_images_of_a_delivered_generation_are_counted(subject: Subject) -> None:
    tenant_id = await subject.books.tenant(10)
    generation = Held(
        subject, tenant_id, await subject.books.add(tenant_id, request(n=4, price_credits=PRICE))
    )
    await subject.ledger.reserve(generation.id)
    await subject.books.store(generation.id)
    refused = '[[1, "content_rejected"], [2, "content_rejected"], [3, "not_delivered"]]'
    await subject.books.sql(
        "UPDATE generations SET undelivered = CAST(:refused AS jsonb) WHERE id = :id",
        refused=refused,
        id=generation.id,
    )
    assert (await subject.ledger.settle(generation.id)).charged_credits == 1
    assert await generation.uncharged() == [(1, 2)]


async def test_a_cancel_of_what_the_provider_does_not_bill_is_free(subject: Subject) -> None:
    generation = await held(subject, CHARGE)
    await generation.submit()
    await subject.attempts.record_result(generation.ref, FREE_REFUSAL)
    await generation.cancel()
    assert await generation.end(CANCELED) == 0
    assert await generation.uncharged() == []


async def test_a_cancel_of_an_unknown_submit_is_free(subject: Subject) -> None:
    generation = await held(subject, CHARGE)
    await subject.attempts.begin_submit(generation.ref)
    await subject.attempts.record_unknown(generation.ref)
    await generation.cancel()
    assert await generation.end(TerminalState(Status.CANCELED, attention=SubmitUnknown.code)) == 0
    assert await generation.uncharged() == []


@pytest.mark.parametrize(
    "end",
    [
        CANCELED,
        TerminalState(Status.FAILED, ProviderTimedOut.code),
        TerminalState(Status.FAILED, ProviderFailed.code),
        TerminalState(Status.FAILED, SubmitUnknown.code),
        TerminalState(Status.FAILED, WorkflowLost.code, attention=WorkflowLost.code),
    ],
    ids=str,
)
async def test_what_the_client_did_not_cause_is_free(subject: Subject, end: TerminalState) -> None:
    """Without a request of the client, a cancel is an operator's."""
    generation = await held(subject, CHARGE)
    await generation.submit()
    assert await generation.end(end) == 0
    assert await generation.uncharged() == []


async def test_a_cancel_that_ends_with_its_workflow_lost_is_free(subject: Subject) -> None:
    generation = await held(subject, CHARGE)
    await generation.submit()
    await generation.cancel()
    assert await generation.end(TerminalState(Status.CANCELED, attention=WorkflowLost.code)) == 0


async def test_our_own_check_charges_nothing(subject: Subject) -> None:
    generation = await held(subject, CHARGE)
    assert await generation.end(REFUSED) == 0
    assert await generation.uncharged() == []


async def test_a_refusal_that_took_nothing_is_charged_where_the_model_says_so(subject: Subject) -> None:
    generation = await held(subject, CHARGE)
    await subject.attempts.begin_submit(generation.ref)
    await subject.attempts.record_rejected(generation.ref, ContentRejected("no", at=ModeratedAt.INPUT))
    assert (await subject.books.noted(generation.ref)).state is AttemptState.REJECTED
    assert await generation.end(REFUSED) == PRICE


async def test_a_free_refusal_is_no_uncharged_cost(subject: Subject) -> None:
    generation = await held(subject, ChargePolicies())
    await generation.submit()
    await subject.attempts.record_result(generation.ref, FREE_REFUSAL)
    assert await generation.end(REFUSED) == 0
    assert await generation.uncharged() == []


async def test_without_a_hold_nothing_is_charged(subject: Subject) -> None:
    tenant_id = await subject.books.tenant(10)
    generation_id = await subject.books.add(tenant_id, request(charging=CHARGE))
    refund = await subject.ledger.refund(generation_id, REFUSED)
    assert refund.outcome == Outcome(generation_id, Status.FAILED, ContentRejected.code)
    assert await subject.books.balance(tenant_id) == Balance(10, 0, 0)
    assert await subject.books.transfers(generation_id) == []


async def test_uncharged_costs_of_a_day_add_up(subject: Subject) -> None:
    tenant_id = await subject.books.tenant(100)
    generations = []
    for _ in range(3):
        generation = Held(
            subject, tenant_id, await subject.books.add(tenant_id, request(price_credits=PRICE))
        )
        await subject.ledger.reserve(generation.id)
        await generation.submit()
        await generation.cancel()
        await subject.ledger.refund(generation.id, CANCELED)
        generations.append(generation)
    assert await generations[-1].uncharged() == [(3, 3 * PRICE)]
