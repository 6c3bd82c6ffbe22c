"""Charge policies in models.toml."""

from pathlib import Path

import pytest

from domain.charging import ChargePolicies, ChargePolicy
from tests.unit.adapters.catalog.test_models_toml import PROVIDERS, load, text


@pytest.mark.parametrize("policy", ["cancel_after_submit", "moderation"])
def test_a_charge_at_cost_wants_to_know_what_a_unit_costs(tmp_path: Path, policy: str) -> None:
    with pytest.raises(
        ValueError, match=r"models\.one: provider_cost needs providers\.fal\.credits_per_cost"
    ):
        load(tmp_path / "models.toml", text(**{policy: '"provider_cost"'}))


def test_policies_and_rates_are_read(tmp_path: Path) -> None:
    rates = "max_concurrent = 40\ncredits_per_cost_unit = { billable_unit = 2 }"
    policies = {"moderation": '"charge"', "cancel_after_submit": '"provider_cost"'}
    content = text(before=PROVIDERS.replace("max_concurrent = 40", rates), **policies)
    model = load(tmp_path / "models.toml", content).get_model("one")
    assert model.charging == ChargePolicies(
        ChargePolicy.PROVIDER_COST, ChargePolicy.CHARGE, {"billable_unit": 2}
    )
