"""docs/simulator.md names every fault, with the providers that have it."""

import pytest

from simulator.registry import PROVIDERS
from tests.simulator.process import REPOSITORY

TEXT = (REPOSITORY / "docs" / "simulator.md").read_text()


def test_every_fault_is_documented() -> None:
    faults = {name for registered in PROVIDERS.values() for name in registered.faults}
    assert [name for name in sorted(faults) if f"`{name}`" not in TEXT] == []


@pytest.mark.parametrize("provider", ["fal", "replicate", "bfl"])
def test_the_table_says_at_which_provider_with_jobs_a_fault_can_be(provider: str) -> None:
    lines = TEXT.splitlines()
    rows = [line.removeprefix("| ").split(" | ") for line in lines if line.startswith("| `")]
    reported = {row[0].strip("`") for row in rows if {provider, "jobs"} & set(row[1].split(", "))}

    assert reported == set(PROVIDERS[provider].faults)
