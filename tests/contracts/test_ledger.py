"""What the ledger promises."""

from collections.abc import Awaitable, Callable

import pytest

from domain.credits import Balance, HoldState, Refund, Reservation
from domain.errors import GenerationNotFound, ProviderFailed, ResultUnusable, WorkflowLost
from domain.generation import GenerationError, Outcome, Stage, Status, TerminalState
from tests.contracts.subjects import Subject
from tests.support.requests import new_id, request

FAILED = TerminalState(Status.FAILED, ProviderFailed.code)
PRICE = 4


async def held(subject: Subject, *, n: int = 1) -> tuple[str, str]:
    """Return a tenant with 10 credits and its generation, whose price is held."""
    ledger, books = subject.ledger, subject.books
    tenant_id = await books.tenant(10)
    generation_id = await books.add(tenant_id, request(n=n, price_credits=PRICE))
    assert (await ledger.reserve(generation_id)).state is HoldState.HELD
    return tenant_id, generation_id


async def test_a_hold_is_taken_once(subject: Subject) -> None:
    ledger, books = subject.ledger, subject.books
    tenant_id, generation_id = await held(subject)
    again = await ledger.reserve(generation_id)
    assert (again.state, again.outcome) == (HoldState.HELD, None)
    assert await books.balance(tenant_id) == Balance(6, 4, 0)
    assert await books.transfers(generation_id) == [("hold", PRICE)]
    assert (await books.read(generation_id)).stage is Stage.THROTTLED


@pytest.mark.parametrize(("delivered", "charged"), [(1, 1), (2, 2), (3, 4)])
async def test_what_was_delivered_is_charged_once(subject: Subject, delivered: int, charged: int) -> None:
    ledger, books = subject.ledger, subject.books
    tenant_id, generation_id = await held(subject, n=3)
    await books.store(generation_id, delivered)
    outcome = await ledger.settle(generation_id)
    assert outcome == Outcome(generation_id, Status.COMPLETED, None, charged, delivered)
    assert await ledger.settle(generation_id) == outcome
    assert await ledger.refund(generation_id, FAILED) == Refund(outcome)
    assert await ledger.reserve(generation_id) == Reservation(HoldState.ALREADY_TERMINAL, outcome)
    generation = await books.read(generation_id)
    assert (generation.outcome, generation.refunded_credits) == (outcome, PRICE - charged)
    assert await books.balance(tenant_id) == Balance(10 - charged, 0, charged)
    assert await books.transfers(generation_id) == [("hold", PRICE), ("settle", charged)]
    await books.assert_consistent(tenant_id)


async def test_a_refund_returns_the_hold_once(subject: Subject) -> None:
    ledger, books = subject.ledger, subject.books
    tenant_id, generation_id = await held(subject)
    refund = await ledger.refund(generation_id, FAILED)
    outcome = Outcome(generation_id, Status.FAILED, ProviderFailed.code)
    assert refund == Refund(outcome)
    assert await ledger.refund(generation_id, TerminalState(Status.CANCELED)) == refund
    assert await ledger.settle(generation_id) == outcome
    generation = await books.read(generation_id)
    assert (generation.outcome, generation.error) == (
        outcome,
        GenerationError(ProviderFailed.code, Stage.THROTTLED),
    )
    assert (generation.held_credits, generation.refunded_credits) == (PRICE, PRICE)
    assert await books.balance(tenant_id) == Balance(10, 0, 0)
    assert await books.transfers(generation_id) == [("hold", PRICE), ("refund", PRICE)]
    await books.assert_consistent(tenant_id)


async def test_a_lost_workflow_expires_its_hold(subject: Subject) -> None:
    _, generation_id = await held(subject)
    lost = TerminalState(Status.FAILED, WorkflowLost.code, attention="workflow_lost")
    await subject.ledger.refund(generation_id, lost)
    assert await subject.books.transfers(generation_id) == [("hold", PRICE), ("expire", PRICE)]
    assert (await subject.books.read(generation_id)).needs_attention == "workflow_lost"


async def test_images_of_a_refunded_generation_are_neither_counted_nor_shown(subject: Subject) -> None:
    _, generation_id = await held(subject)
    await subject.books.store(generation_id)
    refund = await subject.ledger.refund(generation_id, FAILED)
    assert refund.outcome == Outcome(generation_id, Status.FAILED, ProviderFailed.code, images=0)
    assert await subject.ledger.settle(generation_id) == refund.outcome
    generation = await subject.books.read(generation_id)
    assert (generation.outcome, generation.images) == (refund.outcome, ())


async def test_a_refund_without_a_hold_moves_nothing(subject: Subject) -> None:
    ledger, books = subject.ledger, subject.books
    tenant_id = await books.tenant(10)
    generation_id = await books.add(tenant_id)
    refund = await ledger.refund(generation_id, TerminalState(Status.CANCELED))
    assert refund == Refund(Outcome(generation_id, Status.CANCELED))
    assert await books.balance(tenant_id) == Balance(10, 0, 0)


async def test_too_few_credits_fail_the_generation(subject: Subject) -> None:
    ledger, books = subject.ledger, subject.books
    tenant_id = await books.tenant(PRICE - 1)
    generation_id = await books.add(tenant_id, request(price_credits=PRICE))
    reservation = await ledger.reserve(generation_id)
    assert reservation.state is HoldState.INSUFFICIENT
    generation = await books.read(generation_id)
    assert generation.outcome == reservation.outcome
    assert generation.error == GenerationError("insufficient_credits", Stage.RESERVING)
    assert await books.balance(tenant_id) == Balance(PRICE - 1, 0, 0)
    assert await books.transfers(generation_id) == []


async def test_a_cancel_comes_before_the_hold(subject: Subject) -> None:
    ledger, books = subject.ledger, subject.books
    tenant_id = await books.tenant(10)
    generation_id = await books.add(tenant_id)
    await books.cancel(generation_id)
    reservation = await ledger.reserve(generation_id)
    assert reservation.state is HoldState.CANCELED
    assert reservation.outcome == Outcome(generation_id, Status.CANCELED)
    assert await books.balance(tenant_id) == Balance(10, 0, 0)


@pytest.mark.parametrize("delivered", [True, False])
async def test_a_price_of_zero_is_held_and_resolved_too(subject: Subject, delivered: bool) -> None:
    ledger, books = subject.ledger, subject.books
    tenant_id = await books.tenant()
    generation_id = await books.add(tenant_id, request(price_credits=0))
    assert (await ledger.reserve(generation_id)).state is HoldState.HELD
    if delivered:
        await books.store(generation_id)
        assert (await ledger.settle(generation_id)).status is Status.COMPLETED
    else:
        await ledger.refund(generation_id, FAILED)
    resolution = "settle" if delivered else "refund"
    assert await books.transfers(generation_id) == [("hold", 0), (resolution, 0)]
    assert await books.balance(tenant_id) == Balance(0, 0, 0)


async def test_nothing_stored_is_never_charged(subject: Subject) -> None:
    ledger, books = subject.ledger, subject.books
    tenant_id, generation_id = await held(subject)
    with pytest.raises(ResultUnusable):
        await ledger.settle(generation_id)
    assert await books.balance(tenant_id) == Balance(6, 4, 0)


@pytest.mark.parametrize("step", ["reserve", "settle", "refund"])
async def test_an_unknown_generation_is_not_found(subject: Subject, step: str) -> None:
    ledger = subject.ledger
    steps: dict[str, Callable[[str], Awaitable[object]]] = {
        "reserve": ledger.reserve,
        "settle": ledger.settle,
        "refund": lambda generation_id: ledger.refund(generation_id, FAILED),
    }
    with pytest.raises(GenerationNotFound):
        await steps[step](new_id("gen"))
