"""Charge policies in models.toml."""

from pathlib import Path

import pytest

from tests.unit.adapters.catalog.test_models_toml import load, text


@pytest.mark.parametrize("policy", ["cancel_after_submit", "moderation"])
def test_a_charge_at_cost_wants_to_know_what_a_unit_costs(tmp_path: Path, policy: str) -> None:
    with pytest.raises(
        ValueError, match=r"models\.one: provider_cost needs providers\.fal\.credits_per_cost"
    ):
        load(tmp_path / "models.toml", text(**{policy: '"provider_cost"'}))
