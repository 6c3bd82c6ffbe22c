"""What a client pays for work that is not delivered: what it canceled late, or what was refused."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, Decimal
from enum import StrEnum


class ChargePolicy(StrEnum):
    """Who bears what the provider was asked for.

    PROVIDER_COST charges what the provider says that it cost, at most the price, and nothing while it says
    nothing.
    """

    REFUND = "refund"
    CHARGE = "charge"
    PROVIDER_COST = "provider_cost"


@dataclass(frozen=True)
class ChargePolicies:
    """The policies of a request, fixed when it is accepted, like its price.

    Attributes:
        cancel_after_submit: For a client's cancel of a job that the provider had accepted.
        moderation: For content that the provider refused.
        credits_per_cost_unit: What one unit of a provider's cost is in our credits, by the unit's name.
    """

    cancel_after_submit: ChargePolicy = ChargePolicy.REFUND
    moderation: ChargePolicy = ChargePolicy.REFUND
    credits_per_cost_unit: Mapping[str, float] = field(default_factory=dict)


def undelivered_charge(
    policy: ChargePolicy,
    price_credits: int,
    costs: Iterable[tuple[Decimal | None, str | None]],
    credits_per_cost_unit: Mapping[str, float],
) -> int:
    """Return the whole credits to charge, from 0 to the price.

    costs: Amount and unit of each attempt; an unknown amount, or a unit without a rate, counts as nothing.
    """
    if policy is ChargePolicy.REFUND:
        return 0
    if policy is ChargePolicy.CHARGE:
        return price_credits
    known = (
        amount * Decimal(str(credits_per_cost_unit[unit]))
        for amount, unit in costs
        if amount is not None and unit is not None and unit in credits_per_cost_unit
    )
    cost = sum(known, Decimal(0)).to_integral_value(ROUND_CEILING)
    return min(price_credits, max(0, int(cost)))
