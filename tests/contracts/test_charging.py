"""What the policies of a model say of work that is not delivered."""

from decimal import Decimal

import pytest

from domain.charging import ChargePolicies
from domain.errors import (
    ContentRejected,
)
from domain.generation import GenerationError
from domain.moderation import ModeratedAt
from domain.provider import ProviderCost
from tests.contracts.held import AT_COST, CANCELED, CHARGE, PRICE, REFUSAL, REFUSED, held
from tests.contracts.subjects import Subject


@pytest.mark.parametrize(
    ("charging", "charged"), [(ChargePolicies(), 0), (CHARGE, PRICE), (AT_COST, 3)], ids=str
)
async def test_a_cancel_after_the_submit_costs_what_the_model_says(
    subject: Subject, charging: ChargePolicies, charged: int
) -> None:
    generation = await held(subject, charging)
    await generation.submit(ProviderCost(Decimal("1.7"), "bfl_credit"))
    await generation.cancel()
    assert await generation.end(CANCELED) == charged
    assert await generation.uncharged() == [(1, PRICE - charged)] * (charged < PRICE)


@pytest.mark.parametrize(
    ("charging", "charged"), [(ChargePolicies(), 0), (CHARGE, PRICE), (AT_COST, 3)], ids=str
)
async def test_refused_content_costs_what_the_model_says(
    subject: Subject, charging: ChargePolicies, charged: int
) -> None:
    generation = await held(subject, charging)
    await generation.submit(ProviderCost(Decimal("1.7"), "bfl_credit"))
    await subject.attempts.record_result(generation.ref, REFUSAL)
    assert await generation.end(REFUSED) == charged
    read = await subject.books.read(generation.id)
    assert read.error == GenerationError(ContentRejected.code, ModeratedAt.OUTPUT)
    assert await generation.uncharged() == [(1, PRICE - charged)] * (charged < PRICE)


@pytest.mark.parametrize(
    "cost", [None, ProviderCost(Decimal(2), "token"), ProviderCost(Decimal(0), "bfl_credit")]
)
async def test_a_cost_that_is_not_known_charges_nothing(subject: Subject, cost: ProviderCost | None) -> None:
    generation = await held(subject, AT_COST)
    await generation.submit(cost)
    await generation.cancel()
    assert await generation.end(CANCELED) == 0
    assert await generation.uncharged() == [(1, PRICE)]


async def test_a_cost_above_the_price_charges_the_price(subject: Subject) -> None:
    generation = await held(subject, AT_COST)
    await generation.submit(ProviderCost(Decimal(99), "bfl_credit"))
    await generation.cancel()
    assert await generation.end(CANCELED) == PRICE
